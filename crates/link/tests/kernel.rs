//! The devices against a real kernel in private namespaces, by every way, offload on and off, both families.
//!
//! Runs as root or as an ordinary user; what the machine does not allow is skipped with its reason.
//! `WOSHOU_REQUIRE_NET=1` turns skipping into failing. With `measure` as argument it prints what
//! sending costs instead.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: failing is its way to speak"
)]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: needs Linux");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::io::{Read, Write};
    use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::process::{Command, ExitCode, Stdio};
    use std::time::{Duration, Instant};

    use etherparse::{
        IcmpEchoHeader, Icmpv6Header, Icmpv6Type, IpNumber, Ipv4Header, Ipv6Header, NetSlice,
        PacketBuilder, SlicedPacket, TcpHeader, TcpOptionElement, TransportSlice,
    };
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use woshou_link::{
        Cidr, Device, MAX_XDP_MTU, Medium, Namespace, NamespaceError, Outgoing, PrivateSpec,
        Readiness, Received, Tun, TunConfig, TunError, Way, Xdp, XdpConfig, XdpError,
        enter_user_namespace,
    };

    const PATIENCE: Duration = Duration::from_secs(5);
    const OUR_PORT: u16 = 7788;

    pub(crate) fn main() -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if other_roles(&arguments) {
            return ExitCode::SUCCESS;
        }
        let host_before = std::fs::read_to_string("/proc/net/dev").map(|text| devices(&text));
        // In a process of its own, because this one may have but one thread yet. Root passes by doing nothing.
        let several = Command::new(std::env::current_exe().unwrap())
            .arg("threads")
            .status();
        assert!(several.unwrap().success());
        if let Err(error) = enter_user_namespace() {
            return skipped(&format!("everything: {error}"));
        }
        let mut skips = Vec::new();
        for (way, offloads) in [
            (Way::Tun, &[true, false][..]),
            (Way::Veth, &[true, false]),
            (Way::Xdp, &[false]),
        ] {
            for &offload in offloads {
                let spec = PrivateSpec {
                    way,
                    offload,
                    ..PrivateSpec::default()
                };
                match Namespace::new(&spec) {
                    // For the root of the machine alone on most systems, so that doing without fails nothing.
                    Err(error @ NamespaceError::Xdp(XdpError::NotPermitted { .. })) => {
                        println!("skipped: {way}: {error}");
                    }
                    Err(error) => skips.push(format!("{way}, offload {offload}: {error}")),
                    Ok(namespace) if arguments.iter().any(|a| a == "measure") => {
                        measure(namespace, offload);
                    }
                    Ok(namespace) => all(namespace, &spec),
                }
            }
        }
        if arguments.iter().any(|a| a == "measure") {
            return ExitCode::SUCCESS;
        }
        several_queues(&mut skips);
        packet_sockets_divide_the_flows(&mut skips);
        a_named_device_by_xdp(&mut skips);
        a_veth_leaves_checksums_out(&mut skips);
        ladder();
        assert_eq!(
            std::fs::read_to_string("/proc/net/dev")
                .map(|text| devices(&text))
                .unwrap(),
            host_before.unwrap(),
            "the host's devices are as they were"
        );
        for skip in &skips {
            println!("skipped: {skip}");
        }
        if skips.is_empty() {
            ExitCode::SUCCESS
        } else {
            skipped("the ways above")
        }
    }

    /// What this program does when it is started by itself, or by hand.
    fn other_roles(arguments: &[String]) -> bool {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            ["child"] => {
                let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
                print!("{text}");
            }
            ["threads"] => {
                let result = std::thread::spawn(enter_user_namespace).join().unwrap();
                let told = matches!(result, Ok(()) | Err(NamespaceError::SeveralThreads));
                assert!(told, "{result:?}");
            }
            // By hand: a device that root made for this user, attached to without any capability.
            ["attach", name] => {
                println!(
                    "{:?}",
                    Tun::open(&TunConfig::new(name)).map(|tun| tun.info())
                );
            }
            _ => return false,
        }
        true
    }

    fn skipped(what: &str) -> ExitCode {
        println!("skipped: {what}");
        let strict = std::env::var_os("WOSHOU_REQUIRE_NET").is_some();
        if strict {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    fn devices(text: &str) -> Vec<String> {
        let mut names: Vec<String> = text
            .lines()
            .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
            .collect();
        names.sort();
        names
    }

    fn told(name: &str, spec: &PrivateSpec) {
        println!("ok: {name}, {}, offload {}", spec.way, spec.offload);
    }

    fn all(mut namespace: Namespace, spec: &PrivateSpec) {
        assert_eq!(namespace.way(), spec.way);
        let mut wire = Wire::new(namespace.take_device().expect("a device"));
        assert!(namespace.take_device().is_none());
        let addresses = namespace.addresses();
        let v6 = addresses
            .woshou_v6
            .map(|ours| (ours.address(), IpAddr::V6(addresses.kernel_v6.unwrap())));
        let v4 = (
            addresses.woshou_v4.address(),
            IpAddr::V4(addresses.kernel_v4),
        );
        for (ours, kernel) in [Some(v4), v6].into_iter().flatten() {
            wire.ours = ours;
            udp_of_the_kernel_arrives(&namespace, &mut wire, ours);
            told(&format!("udp {ours}"), spec);
            the_kernel_answers_pings(&mut wire, ours, kernel);
            told(&format!("ping {kernel}"), spec);
            bulk_both_ways(&namespace, &mut wire, spec, (ours, kernel));
            told(&format!("tcp {ours}"), spec);
        }
        children_live_inside(&namespace);
        a_named_tun(&namespace, spec);
        drop_waits_for_nobody(namespace);
        told("children, named tun, drop", spec);
    }

    /// A device with just enough around it to be talked to: neighbours are answered, Ethernet is stripped.
    struct Wire {
        device: Box<dyn Device>,
        buffer: Vec<u8>,
        ours: IpAddr,
        kernel_mac: [u8; 6],
    }

    impl Wire {
        fn new(device: Box<dyn Device>) -> Self {
            Self {
                device,
                buffer: vec![0; 65_536 + 64],
                ours: IpAddr::from([0; 4]),
                kernel_mac: [0; 6],
            }
        }

        fn our_mac(&self) -> Option<[u8; 6]> {
            match self.device.info().medium {
                Medium::Ip => None,
                Medium::Ethernet { mac } => Some(mac),
            }
        }

        /// The next IP packet for which `wanted` gives something.
        fn next<T>(
            &mut self,
            what: &str,
            mut wanted: impl FnMut(Received, &[u8]) -> Option<T>,
        ) -> T {
            let end = Instant::now() + PATIENCE;
            loop {
                match self.device.recv(&mut self.buffer) {
                    Ok(received) => {
                        let frame = self.buffer[..received.len].to_vec();
                        let Some(mac) = self.our_mac() else {
                            if let Some(found) = wanted(received, &frame) {
                                return found;
                            }
                            continue;
                        };
                        self.kernel_mac.copy_from_slice(&frame[6..12]);
                        if self.answer_neighbour(mac, &frame) {
                            continue;
                        }
                        let ip = &frame[14..];
                        if !matches!(frame[12..14], [8, 0] | [0x86, 0xdd]) {
                            continue;
                        }
                        if let Some(found) = wanted(received, ip) {
                            return found;
                        }
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
                        assert!(Instant::now() < end, "waited in vain for {what}");
                        self.wait(Duration::from_millis(100));
                    }
                }
            }
        }

        fn wait(&self, time: Duration) {
            let Readiness::Fd(fd) = self.device.readiness() else {
                panic!("no descriptor")
            };
            let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
            let time = Timespec {
                tv_sec: 0,
                tv_nsec: time.as_nanos() as i64,
            };
            poll(&mut fds, Some(&time)).unwrap();
        }

        /// Answers ARP requests and neighbour solicitations for our addresses.
        fn answer_neighbour(&mut self, mac: [u8; 6], frame: &[u8]) -> bool {
            let mut reply = Vec::new();
            match (&frame[12..14], self.ours) {
                ([8, 6], IpAddr::V4(ours)) => {
                    reply.extend_from_slice(&frame[6..12]);
                    reply.extend_from_slice(&mac);
                    reply.extend_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
                    reply.extend_from_slice(&mac);
                    reply.extend_from_slice(&ours.octets());
                    reply.extend_from_slice(&frame[22..32]);
                }
                ([0x86, 0xdd], IpAddr::V6(ours)) if frame[20] == 58 && frame[54] == 135 => {
                    let asker: [u8; 16] = frame[22..38].try_into().unwrap();
                    let mut body = ours.octets().to_vec();
                    body.extend_from_slice(&[2, 1]);
                    body.extend_from_slice(&mac);
                    let advertisement = Icmpv6Header::with_checksum(
                        Icmpv6Type::Unknown {
                            type_u8: 136,
                            code_u8: 0,
                            bytes5to8: [0x60, 0, 0, 0],
                        },
                        ours.octets(),
                        asker,
                        &body,
                    )
                    .unwrap();
                    let ip = Ipv6Header {
                        payload_length: 8 + body.len() as u16,
                        next_header: IpNumber::IPV6_ICMP,
                        hop_limit: 255,
                        source: ours.octets(),
                        destination: asker,
                        ..Ipv6Header::default()
                    };
                    reply.extend_from_slice(&frame[6..12]);
                    reply.extend_from_slice(&mac);
                    reply.extend_from_slice(&[0x86, 0xdd]);
                    reply.extend_from_slice(&ip.to_bytes());
                    reply.extend_from_slice(&advertisement.to_bytes());
                    reply.extend_from_slice(&body);
                }
                _ => return frame[12..14] == [8, 6],
            }
            self.device
                .send(&Outgoing {
                    parts: [&reply, &[], &[]],
                    checksum: None,
                    segment_size: None,
                })
                .unwrap();
            self.device.flush().unwrap();
            true
        }

        /// Sends an IP packet in three parts; the checksum's place is relative to the IP header.
        fn send(
            &mut self,
            headers: &[u8],
            payload: [&[u8]; 2],
            checksum: Option<(u16, u16)>,
            segment_size: Option<u16>,
        ) {
            let mut first = Vec::new();
            if let Some(mac) = self.our_mac() {
                first.extend_from_slice(&self.kernel_mac);
                first.extend_from_slice(&mac);
                first.extend_from_slice(if headers[0] >> 4 == 4 {
                    &[8, 0]
                } else {
                    &[0x86, 0xdd]
                });
            }
            let shift = first.len() as u16;
            first.extend_from_slice(headers);
            let frame = Outgoing {
                parts: [&first, payload[0], payload[1]],
                checksum: checksum.map(|(start, offset)| (start + shift, offset)),
                segment_size,
            };
            self.device.send(&frame).unwrap();
            self.device.flush().unwrap();
        }
    }

    fn udp_of_the_kernel_arrives(namespace: &Namespace, wire: &mut Wire, ours: IpAddr) {
        let sent = namespace
            .run(move || {
                let any: IpAddr = if ours.is_ipv4() {
                    [0; 4].into()
                } else {
                    [0u16; 8].into()
                };
                let socket = UdpSocket::bind((any, 0))?;
                socket.send_to(b"hello from the kernel", (ours, OUR_PORT))
            })
            .unwrap();
        sent.expect("the kernel has a route to us at once");
        wire.next("the datagram", |_, ip| {
            let packet = SlicedPacket::from_ip(ip).ok()?;
            let Some(TransportSlice::Udp(udp)) = packet.transport else {
                return None;
            };
            (udp.destination_port() == OUR_PORT && udp.payload() == b"hello from the kernel")
                .then_some(())
        });
    }

    fn the_kernel_answers_pings(wire: &mut Wire, ours: IpAddr, kernel: IpAddr) {
        let mut packet = Vec::new();
        let echo = IcmpEchoHeader {
            id: 9,
            seq: u16::MAX,
        };
        match (ours, kernel) {
            (IpAddr::V4(a), IpAddr::V4(b)) => PacketBuilder::ipv4(a.octets(), b.octets(), 64)
                .icmpv4_echo_request(echo.id, echo.seq)
                .write(&mut packet, b"ping"),
            (IpAddr::V6(a), IpAddr::V6(b)) => PacketBuilder::ipv6(a.octets(), b.octets(), 64)
                .icmpv6_echo_request(echo.id, echo.seq)
                .write(&mut packet, b"ping"),
            _ => panic!("mixed families"),
        }
        .unwrap();
        wire.send(&packet, [&[], &[]], None, None);
        wire.next("the echo", |_, ip| {
            let packet = SlicedPacket::from_ip(ip).ok()?;
            let payload = match packet.transport? {
                TransportSlice::Icmpv4(icmp) => icmp.payload().to_vec(),
                TransportSlice::Icmpv6(icmp) => icmp.payload().to_vec(),
                _ => return None,
            };
            (payload == b"ping").then_some(())
        });
    }

    /// Just enough TCP to speak with a kernel over a link that loses nothing.
    struct Half {
        ours: SocketAddr,
        kernel: SocketAddr,
        sequence: u32,
        acknowledgment: u32,
        options: Vec<TcpOptionElement>,
    }

    impl Half {
        /// IP and TCP headers for `payload`, and the checksum left to be completed where `partial`.
        fn headers(
            &self,
            syn: bool,
            payload: &[u8],
            partial: bool,
        ) -> (Vec<u8>, Option<(u16, u16)>) {
            let mut tcp =
                TcpHeader::new(self.ours.port(), self.kernel.port(), self.sequence, 65_000);
            tcp.acknowledgment_number = self.acknowledgment;
            tcp.ack = true;
            tcp.syn = syn;
            tcp.psh = !payload.is_empty();
            if syn {
                tcp.set_options(&self.options).unwrap();
            }
            let length = tcp.header_len() + payload.len();
            let (ip, pseudo) = match (self.ours.ip(), self.kernel.ip()) {
                (IpAddr::V4(a), IpAddr::V4(b)) => {
                    let mut ip =
                        Ipv4Header::new(length as u16, 64, IpNumber::TCP, a.octets(), b.octets())
                            .unwrap();
                    ip.header_checksum = ip.calc_header_checksum();
                    tcp.checksum = tcp.calc_checksum_ipv4(&ip, payload).unwrap();
                    (ip.to_bytes().to_vec(), [a.octets(), b.octets()].concat())
                }
                (IpAddr::V6(a), IpAddr::V6(b)) => {
                    let ip = Ipv6Header {
                        payload_length: length as u16,
                        next_header: IpNumber::TCP,
                        hop_limit: 64,
                        source: a.octets(),
                        destination: b.octets(),
                        ..Ipv6Header::default()
                    };
                    tcp.checksum = tcp.calc_checksum_ipv6(&ip, payload).unwrap();
                    (ip.to_bytes().to_vec(), [a.octets(), b.octets()].concat())
                }
                _ => panic!("mixed families"),
            };
            let mut checksum = None;
            if partial {
                let mut sum: u32 = 6 + length as u32;
                for pair in pseudo.chunks(2) {
                    sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
                }
                while sum > 0xffff {
                    sum = (sum >> 16) + (sum & 0xffff);
                }
                tcp.checksum = sum as u16;
                checksum = Some((ip.len() as u16, 16));
            }
            ([ip, tcp.to_bytes().to_vec()].concat(), checksum)
        }
    }

    /// A TCP segment of the kernel's, and whether its checksum is right.
    fn segment_of_the_kernel(
        ip: &[u8],
        ours: SocketAddr,
    ) -> Option<(TcpHeader, Vec<u8>, bool, IpAddr)> {
        let packet = SlicedPacket::from_ip(ip).ok()?;
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
            return None;
        };
        if tcp.destination_port() != ours.port() {
            return None;
        }
        let header = tcp.to_header();
        let (right, source) = match packet.net? {
            NetSlice::Ipv4(ip) => (
                header
                    .calc_checksum_ipv4(&ip.header().to_header(), tcp.payload())
                    .ok()?,
                ip.header().source_addr().into(),
            ),
            NetSlice::Ipv6(ip) => (
                header
                    .calc_checksum_ipv6(&ip.header().to_header(), tcp.payload())
                    .ok()?,
                ip.header().source_addr().into(),
            ),
            NetSlice::Arp(_) => return None,
        };
        // Both spellings of zero are right, and the kernel writes the other one.
        let good = right % 0xffff == header.checksum % 0xffff;
        Some((header, tcp.payload().to_vec(), good, source))
    }

    const UP: usize = 300_000;
    const DOWN: usize = 200_000;

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
    }

    /// The kernel connects, sends in super-frames, and gets as much back: every octet and every checksum right.
    fn bulk_both_ways(
        namespace: &Namespace,
        wire: &mut Wire,
        spec: &PrivateSpec,
        (ours, kernel): (IpAddr, IpAddr),
    ) {
        let to = SocketAddr::new(ours, OUR_PORT);
        std::thread::scope(|scope| {
            let client = scope.spawn(move || {
                namespace.run(move || -> std::io::Result<Vec<u8>> {
                    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.write_all(&text(UP))?;
                    let mut back = vec![0; DOWN];
                    stream.read_exact(&mut back)?;
                    Ok(back)
                })
            });
            let mut half = answer_the_syn(wire, spec, to, kernel);
            take_up(wire, &mut half, spec);
            send_down(
                wire,
                &mut half,
                &text(DOWN),
                if ours.is_ipv4() { 1460 } else { 1440 },
            );
            assert!(
                client.join().unwrap().unwrap().unwrap() == text(DOWN),
                "what the kernel got"
            );
        });
    }

    /// Takes what the client sends, in whatever order it comes, acknowledging every segment.
    fn take_up(wire: &mut Wire, half: &mut Half, spec: &PrivateSpec) {
        let to = half.ours;
        let mut got = Vec::new();
        let mut largest = 0;
        let mut early = 0;
        let mut waiting = BTreeMap::new();
        while got.len() < UP {
            let (header, payload, received, good) = wire.next("text", |received, ip| {
                let (header, payload, good, _) = segment_of_the_kernel(ip, to)?;
                (!payload.is_empty()).then_some((header, payload, received, good))
            });
            assert!(
                good || received.checksum_valid,
                "a wrong checksum that nobody vouches for"
            );
            largest = largest.max(payload.len());
            if payload.len() > 1460 {
                assert!(
                    matches!(received.segment_size, Some(1200..=1460)),
                    "{received:?}"
                );
            }
            // Out of order is no fault: veth has a queue for each processor that the kernel sends on,
            // and an ordinary user's packet socket has little room.
            let at = header.sequence_number.wrapping_sub(half.acknowledgment);
            if at < 1 << 30 {
                early += usize::from(at > 0);
                waiting.insert(got.len() + at as usize, payload);
            }
            while let Some((start, payload)) = waiting.pop_first() {
                if start > got.len() {
                    waiting.insert(start, payload);
                    break;
                }
                let fresh = payload.get(got.len() - start..).unwrap_or_default();
                got.extend_from_slice(fresh);
                half.acknowledgment = half.acknowledgment.wrapping_add(fresh.len() as u32);
            }
            let (headers, _) = half.headers(false, &[], false);
            wire.send(&headers, [&[], &[]], None, None);
        }
        if early > 0 {
            println!("note: {early} segments came before others");
        }
        assert!(got == text(UP), "what the kernel sent");
        assert_eq!(largest > 1460, spec.offload, "largest segment {largest}");
    }

    fn answer_the_syn(
        wire: &mut Wire,
        spec: &PrivateSpec,
        ours: SocketAddr,
        kernel: IpAddr,
    ) -> Half {
        let (syn, received, good) = wire.next("a SYN", |received, ip| {
            let (header, _, good, source) = segment_of_the_kernel(ip, ours)?;
            (header.syn && source == kernel).then_some((header, received, good))
        });
        if spec.offload {
            assert!(
                received.checksum_valid && !good,
                "the SYN's checksum is partial: {received:?}"
            );
        } else {
            assert!(
                good && !received.checksum_valid,
                "the SYN's checksum is whole: {received:?}"
            );
        }
        let mss = if kernel.is_ipv4() { 1460 } else { 1440 };
        let mut half = Half {
            ours,
            kernel: SocketAddr::new(kernel, syn.source_port),
            sequence: u32::MAX - 50_000,
            acknowledgment: syn.sequence_number.wrapping_add(1),
            options: vec![
                TcpOptionElement::MaximumSegmentSize(mss),
                TcpOptionElement::WindowScale(6),
            ],
        };
        let (headers, checksum) = half.headers(true, &[], spec.offload);
        wire.send(&headers, [&[], &[]], checksum, None);
        half.sequence = half.sequence.wrapping_add(1);
        half
    }

    /// Sends `text` as super-frames of up to 60,000 octets, each after the one before was acknowledged.
    fn send_down(wire: &mut Wire, half: &mut Half, text: &[u8], mss: u16) {
        for piece in text.chunks(60_000) {
            let (headers, checksum) = half.headers(false, piece, true);
            let (a, b) = piece.split_at(piece.len() / 3);
            wire.send(&headers, [a, b], checksum, Some(mss));
            half.sequence = half.sequence.wrapping_add(piece.len() as u32);
            let (ours, wanted) = (half.ours, half.sequence);
            wire.next("an acknowledgment", |_, ip| {
                let (header, ..) = segment_of_the_kernel(ip, ours)?;
                (header.acknowledgment_number == wanted).then_some(())
            });
        }
    }

    fn children_live_inside(namespace: &Namespace) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("child").stdout(Stdio::piped());
        let child = namespace.spawn(command).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(
            devices(&String::from_utf8(output.stdout).unwrap()),
            ["lo", "woshou0"]
        );
        assert!(namespace.spawn(Command::new("/no/such/program")).is_err());
        // The loopback works too: local servers and their clients.
        let port = namespace.run(|| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            TcpStream::connect(listener.local_addr()?)
        });
        port.unwrap().unwrap();
    }

    fn a_named_tun(namespace: &Namespace, spec: &PrivateSpec) {
        let cidr = |text: &str, prefix| Cidr::new(text.parse().unwrap(), prefix).unwrap();
        let config = TunConfig {
            // The IPv6 peer is outside our prefix: it takes a route of its own.
            addresses: vec![cidr("10.9.0.2", 24), cidr("fd09::2", 128)],
            peers: vec!["10.9.0.1".parse().unwrap(), "fd99::1".parse().unwrap()],
            mtu: Some(1400),
            offload: spec.offload,
            ..TunConfig::new("mine")
        };
        let again = config.clone();
        let tun = match namespace.run(move || Tun::open(&config)).unwrap() {
            Err(TunError::Denied | TunError::Missing) if spec.way != Way::Tun => return,
            tun => tun.unwrap(),
        };
        assert_eq!(tun.info().mtu, 1400);
        assert_eq!(tun.info().queue, Some(500), "what Linux gives a TUN");
        let mut wire = Wire::new(Box::new(tun));
        for ours in ["10.9.0.2", "fd09::2"] {
            udp_of_the_kernel_arrives(namespace, &mut wire, ours.parse().unwrap());
        }
        let busy = namespace.run(move || Tun::open(&again)).unwrap();
        assert!(matches!(busy, Err(TunError::Busy(_))), "{busy:?}");
        let lo = namespace.run(|| Tun::open(&TunConfig::new("lo"))).unwrap();
        assert!(matches!(lo, Err(TunError::NotTun(_))), "{lo:?}");
    }

    fn drop_waits_for_nobody(namespace: Namespace) {
        let namespace = std::sync::Arc::new(namespace);
        let busy = std::sync::Arc::clone(&namespace);
        let (started, start) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            busy.run(move || {
                started.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(300));
            })
        });
        start.recv().unwrap();
        let now = Instant::now();
        drop(namespace);
        assert!(now.elapsed() < Duration::from_millis(200));
        thread.join().unwrap().unwrap();
    }

    /// A TUN with several queues: each carries both ways with its virtio header, together they carry everything, and the
    /// kernel follows a flow to the queue that it was written to.
    fn several_queues(skips: &mut Vec<String>) {
        for offload in [true, false] {
            let spec = PrivateSpec {
                way: Way::Tun,
                offload,
                queues: 4,
                ..PrivateSpec::default()
            };
            let mut namespace = match Namespace::new(&spec) {
                Ok(namespace) => namespace,
                Err(error) => {
                    skips.push(format!("four queues, offload {offload}: {error}"));
                    continue;
                }
            };
            let devices = namespace.take_devices();
            assert_eq!(devices.len(), 4);
            assert!(namespace.take_device().is_none());
            let ours = namespace.addresses().woshou_v4.address();
            let mut wires: Vec<Wire> = devices.into_iter().map(Wire::new).collect();
            assert!(
                wires
                    .iter()
                    .all(|wire| wire.device.info().checksum_offload == offload)
            );
            let kernel = IpAddr::V4(namespace.addresses().kernel_v4);
            new_flows_come_by_any_queue(&namespace, &mut wires, ours);
            flows_follow_what_is_written(&namespace, &mut wires, (ours, kernel));
            told("four queues", &spec);
            queues_want_a_device_made_for_them(&namespace);
        }
    }

    /// Several packet sockets on a veth: each frame of the kernel's comes by one of them, a flow's always by the same, and what one
    /// sends comes by none.
    fn packet_sockets_divide_the_flows(skips: &mut Vec<String>) {
        const FLOWS: usize = 32;
        const EACH: usize = 3;
        let spec = PrivateSpec {
            way: Way::Veth,
            queues: 4,
            ..PrivateSpec::default()
        };
        let mut namespace = match Namespace::new(&spec) {
            Ok(namespace) => namespace,
            Err(error) => return skips.push(format!("four packet sockets: {error}")),
        };
        let mut wires: Vec<Wire> = namespace
            .take_devices()
            .into_iter()
            .map(Wire::new)
            .collect();
        assert_eq!(wires.len(), 4);
        let ours = namespace.addresses().woshou_v4.address();
        wires.iter_mut().for_each(|wire| wire.ours = ours);
        let mac = wires[0].our_mac().unwrap();
        namespace
            .run(move || {
                let sockets = (0..FLOWS).map(|_| UdpSocket::bind("0.0.0.0:0").unwrap());
                let sockets: Vec<_> = sockets.collect();
                for socket in (0..EACH).flat_map(|_| &sockets) {
                    socket.send_to(b"hello", (ours, OUR_PORT)).unwrap();
                }
            })
            .unwrap();
        let mut came: BTreeMap<Vec<u8>, [usize; 4]> = BTreeMap::new();
        let count = |came: &BTreeMap<_, [usize; 4]>| came.values().flatten().sum::<usize>();
        // A little longer than needed: what comes twice would come then.
        let mut end = Instant::now() + PATIENCE;
        let mut complete = false;
        while Instant::now() < end {
            for (queue, wire) in wires.iter_mut().enumerate() {
                while let Ok(received) = wire.device.recv(&mut wire.buffer) {
                    let frame = wire.buffer[..received.len].to_vec();
                    assert_ne!(frame[6..12], mac, "one of our own");
                    if !wire.answer_neighbour(mac, &frame) && frame.ends_with(b"hello") {
                        came.entry(frame[34..36].to_vec()).or_default()[queue] += 1;
                    }
                }
            }
            if !complete && count(&came) == FLOWS * EACH {
                complete = true;
                end = Instant::now() + Duration::from_millis(50);
            }
        }
        assert_eq!((came.len(), count(&came)), (FLOWS, FLOWS * EACH));
        let alone = |queues: &[usize; 4]| queues.contains(&EACH);
        assert!(came.values().all(alone), "{came:?}");
        let used = (0..4).filter(|queue| came.values().any(|queues| queues[*queue] > 0));
        assert!(used.count() > 1, "one queue in 4^31: {came:?}");
        told("four packet sockets", &spec);
    }

    /// AF_XDP takes over the kernel's end of a veth pair, and gives it back.
    fn a_named_device_by_xdp(skips: &mut Vec<String>) {
        let spec = PrivateSpec {
            way: Way::Veth,
            offload: false,
            ..PrivateSpec::default()
        };
        let mut namespace = match Namespace::new(&spec) {
            Ok(namespace) => namespace,
            Err(error) => return skips.push(format!("a device by AF_XDP: {error}")),
        };
        let open = |config: &XdpConfig| {
            let config = config.clone();
            namespace.run(move || Xdp::open(&config)).unwrap()
        };
        for generic in [false, true] {
            let config = XdpConfig {
                generic,
                ..XdpConfig::new("woshou0")
            };
            let mut xdp = match open(&config) {
                Err(error @ XdpError::NotPermitted { .. }) => {
                    return println!("skipped: a device by AF_XDP: {error}");
                }
                xdp => xdp.unwrap(),
            };
            assert_eq!(
                xdp.info().medium,
                Medium::Ethernet {
                    mac: [2, 0x77, 0x6f, 0, 0, 1]
                }
            );
            let again = open(&config);
            assert!(matches!(again, Err(XdpError::Busy(_))), "{again:?}");
            all_multicast(&namespace, "1");
            drop(xdp);
            all_multicast(&namespace, "0");
            // A queue that the device does not have.
            let none = open(&XdpConfig {
                queue: 200,
                ..config.clone()
            });
            assert!(matches!(none, Err(XdpError::Failed { .. })), "{none:?}");
            // All of it went with the one that is gone.
            xdp = open(&config).unwrap();
            drop(xdp);
        }
        let missing = open(&XdpConfig::new("missing"));
        assert!(matches!(missing, Err(XdpError::NoDevice(_))), "{missing:?}");
        // The kernel has its device back.
        let mut wire = Wire::new(namespace.take_device().unwrap());
        wire.ours = namespace.addresses().woshou_v4.address();
        let ours = wire.ours;
        udp_of_the_kernel_arrives(&namespace, &mut wire, ours);
        told("a named device by AF_XDP", &spec);
        let large = Namespace::new(&PrivateSpec {
            mtu: MAX_XDP_MTU + 1,
            way: Way::Xdp,
            ..PrivateSpec::default()
        });
        assert!(
            matches!(large, Err(NamespaceError::Xdp(XdpError::Mtu { .. }))),
            "{large:?}"
        );
    }

    /// Whether the kernel's device takes frames of all multicast groups. Says nothing where there is no `ip`.
    fn all_multicast(namespace: &Namespace, wanted: &str) {
        let mut command = Command::new("ip");
        command.args(["-d", "link", "show", "woshou0"]);
        let Ok(child) = namespace.spawn({
            command.stdout(Stdio::piped());
            command
        }) else {
            return println!("skipped: multicast by AF_XDP: no ip");
        };
        let output = child.wait_with_output().unwrap().stdout;
        let text = String::from_utf8(output).unwrap();
        let mut words = text.split_whitespace();
        if !words.any(|word| word == "allmulti") {
            return println!("skipped: multicast by AF_XDP: this ip does not tell");
        }
        assert_eq!(words.next(), Some(wanted), "{text}");
    }

    /// What the other end of a veth would leave to a network card is missing in what AF_XDP sees of it, and nobody says so. Hence
    /// a private namespace has it computed, and this is the proof that it has to.
    fn a_veth_leaves_checksums_out(skips: &mut Vec<String>) {
        let spec = PrivateSpec {
            way: Way::Xdp,
            ..PrivateSpec::default()
        };
        let mut namespace = match Namespace::new(&spec) {
            Ok(namespace) => namespace,
            Err(error @ NamespaceError::Xdp(XdpError::NotPermitted { .. })) => {
                return println!("skipped: checksums by AF_XDP: {error}");
            }
            Err(error) => return skips.push(format!("checksums by AF_XDP: {error}")),
        };
        let mut wire = Wire::new(namespace.take_device().unwrap());
        wire.ours = namespace.addresses().woshou_v4.address();
        let to = SocketAddr::new(wire.ours, OUR_PORT);
        for (on, right) in [(false, true), (true, false)] {
            let syn = namespace.run(move || {
                if on {
                    checksums_left_out("woshou0");
                }
                let _ = TcpStream::connect_timeout(&to, Duration::from_millis(50));
            });
            syn.unwrap();
            wire.next("a SYN", |received, ip| {
                let (header, _, good, _) = segment_of_the_kernel(ip, to)?;
                assert!(!received.checksum_valid, "nobody vouches for it");
                (header.syn && good == right).then_some(())
            });
        }
        told("a veth leaves checksums out", &spec);
        // With the namespace goes the veth: that must not look as if nobody sent.
        drop(namespace);
        let end = Instant::now() + PATIENCE;
        loop {
            match wire.device.recv(&mut wire.buffer) {
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
                _ => assert!(Instant::now() < end, "nobody said that the device is gone"),
            }
            wire.wait(Duration::from_millis(10));
        }
    }

    /// As `ethtool -K NAME tx on`.
    #[expect(unsafe_code, reason = "an ioctl that nothing wraps")]
    fn checksums_left_out(name: &str) {
        const ETHTOOL_STXCSUM: u32 = 0x17;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut value = [ETHTOOL_STXCSUM, 1];
        // SAFETY: plain C data.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_data = (&raw mut value).cast();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
        // SAFETY: the command reads an `ethtool_value`, two numbers, through the request; both outlive the call.
        let result = unsafe { libc::ioctl(fd, libc::SIOCETHTOOL as _, &raw mut request) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    fn new_flows_come_by_any_queue(namespace: &Namespace, wires: &mut [Wire], ours: IpAddr) {
        const FLOWS: usize = 64;
        namespace
            .run(move || {
                for _ in 0..FLOWS {
                    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                    socket.send_to(b"hello", (ours, OUR_PORT)).unwrap();
                }
            })
            .unwrap();
        let mut came = vec![0; wires.len()];
        for (wire, came) in wires.iter_mut().zip(&mut came) {
            while let Ok(received) = wire.device.recv(&mut wire.buffer) {
                *came += usize::from(wire.buffer[..received.len].ends_with(b"hello"));
            }
        }
        assert_eq!(came.iter().sum::<usize>(), FLOWS);
        let used = came.iter().filter(|came| **came > 0).count();
        assert!(used > 1, "one queue in 4^63: {came:?}");
    }

    fn flows_follow_what_is_written(
        namespace: &Namespace,
        wires: &mut [Wire],
        (ours, kernel): (IpAddr, IpAddr),
    ) {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (ours, kernel) else {
            panic!("IPv4")
        };
        for queue in (0..wires.len()).chain((0..wires.len()).rev()) {
            let wire = &mut wires[queue];
            // The same flow each time, by another queue.
            let socket = namespace.run(move || UdpSocket::bind((to, 4_321)).unwrap());
            let socket = socket.unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut packet = Vec::new();
            PacketBuilder::ipv4(from.octets(), to.octets(), 64)
                .udp(OUR_PORT, 4_321)
                .write(&mut packet, b"by this queue")
                .unwrap();
            let partial = wire.device.info().checksum_offload;
            if partial {
                // The sum of the pseudo-header: addresses, protocol 17, length 21.
                let octets = [from.octets(), to.octets()].concat();
                let words = octets
                    .chunks(2)
                    .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
                let sum = words.sum::<u32>() + 17 + 21;
                let folded = (sum & 0xffff) + (sum >> 16);
                packet[26..28].copy_from_slice(&(folded as u16).to_be_bytes());
            }
            wire.send(&packet, [&[], &[]], partial.then_some((20, 6)), None);
            let mut text = [0; 99];
            let (len, peer) = socket.recv_from(&mut text).unwrap();
            assert_eq!(&text[..len], b"by this queue");
            socket.send_to(b"and back", peer).unwrap();
            wire.next("the answer on the same queue", |_, ip| {
                ip.ends_with(b"and back").then_some(())
            });
        }
    }

    fn queues_want_a_device_made_for_them(namespace: &Namespace) {
        let open = |queues| {
            let config = TunConfig {
                queues,
                ..TunConfig::new("one")
            };
            namespace.run(move || Tun::open_queues(&config)).unwrap()
        };
        let one = open(1).unwrap();
        let several = open(2);
        assert!(matches!(several, Err(TunError::OneQueue(_))), "{several:?}");
        drop(one);
        assert_eq!(open(2).unwrap().len(), 2);
    }

    /// Without a preference something works wherever one of the ways does, and a forced way says why not.
    fn ladder() {
        let any = match Namespace::new(&PrivateSpec::default()) {
            Ok(any) => any.way(),
            Err(error) => return println!("skipped: ladder: {error}"),
        };
        let forced = PrivateSpec {
            way: Way::Tun,
            ..PrivateSpec::default()
        };
        match Namespace::new(&forced) {
            Ok(_) => assert_eq!(any, Way::Tun),
            Err(NamespaceError::Tun(error)) => {
                println!("ok: ladder: veth because {error}");
                assert_eq!(any, Way::Veth);
            }
            Err(error) => panic!("{error}"),
        }
        let small = PrivateSpec {
            mtu: 576,
            ..PrivateSpec::default()
        };
        let small = Namespace::new(&small).unwrap();
        assert_eq!(small.addresses().woshou_v6, None);
    }

    /// Cost of sending, the kernel's side up to routing included: to an address that is nobody's.
    fn measure(mut namespace: Namespace, offload: bool) {
        let mut wire = Wire::new(namespace.take_device().unwrap());
        wire.ours = namespace.addresses().woshou_v4.address();
        let ours = wire.ours;
        udp_of_the_kernel_arrives(&namespace, &mut wire, ours);
        let payload = text(62_000);
        for (name, size, segment) in [
            ("60 B", 20, None),
            ("1500 B", 1460, None),
            ("62 KB", 62_000, Some(1460)),
        ] {
            let half = Half {
                ours: SocketAddr::new(wire.ours, OUR_PORT),
                kernel: "10.7.0.77:9".parse().unwrap(),
                sequence: 0,
                acknowledgment: 0,
                options: Vec::new(),
            };
            let (headers, checksum) = half.headers(false, &payload[..size], offload);
            let start = Instant::now();
            let mut count = 0u32;
            while start.elapsed() < Duration::from_millis(500) {
                for _ in 0..100 {
                    wire.send(&headers, [&payload[..size], &[]], checksum, segment);
                    count += 1;
                }
            }
            let each = start.elapsed() / count;
            let gigabits = size as f64 * 8.0 / each.as_nanos() as f64;
            println!(
                "{}, offload {offload}: {name}: {each:?} each, {gigabits:.1} Gbit/s",
                namespace.way()
            );
        }
    }
}
