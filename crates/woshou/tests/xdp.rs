//! A net on an AF_XDP socket against a real kernel: 64 MiB there and back, and frames that arrive damaged are refused.
//!
//! Skips, with the reason, where AF_XDP is not permitted (it takes root of the machine itself).
#![allow(clippy::unwrap_used, reason = "a test: failing is its way to speak")]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: needs Linux");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::task::Waker;
    use std::thread;
    use std::time::Duration;

    use woshou::link::{
        Device, DeviceInfo, Namespace, NamespaceError, Outgoing, PrivateSpec, Readiness, Received,
        Way, XdpError,
    };
    use woshou::{Cidr, Net, blocking};

    const OCTETS: usize = 64 << 20;
    /// Every so manieth long frame arrives damaged.
    const EVERY: u32 = 1_000;

    pub(crate) fn main() {
        let spec = PrivateSpec {
            way: Way::Xdp,
            ..PrivateSpec::default()
        };
        for damage in [false, true] {
            match Namespace::new(&spec) {
                Ok(namespace) => there_and_back(namespace, damage),
                Err(
                    error @ (NamespaceError::Xdp(XdpError::NotPermitted { .. })
                    | NamespaceError::NotPermitted(_)),
                ) => return println!("skipped: {error}"),
                Err(error) => panic!("{error}"),
            }
            println!("ok: 64 MiB there and back, damage {damage}");
        }
    }

    /// Damages long frames on their way in.
    struct Damaging {
        device: Box<dyn Device>,
        seen: u32,
    }

    impl Device for Damaging {
        fn info(&self) -> DeviceInfo {
            self.device.info()
        }
        fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
            let received = self.device.recv(buffer)?;
            if received.len > 500 {
                self.seen += 1;
                if self.seen.is_multiple_of(EVERY) {
                    // A port, the flags, and twice the text.
                    let at = [36, 47, 100, 499][(self.seen / EVERY % 4) as usize];
                    buffer[at] ^= 0x10;
                }
            }
            Ok(received)
        }
        fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
            self.device.send(frame)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.device.flush()
        }
        fn readiness(&self) -> Readiness<'_> {
            self.device.readiness()
        }
        fn register(&mut self, waker: &Waker) {
            self.device.register(waker);
        }
    }

    fn text() -> Vec<u8> {
        let mut state = 1_u64 << 40;
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        words.take(OCTETS / 8).flatten().collect()
    }

    fn there_and_back(mut namespace: Namespace, damage: bool) {
        let who = namespace.addresses();
        let mut device = namespace.take_device().unwrap();
        if damage {
            device = Box::new(Damaging { device, seen: 0 });
        }
        let ours = Cidr {
            address: who.woshou_v4.address(),
            prefix: who.woshou_v4.prefix(),
        };
        let net = Net::builder()
            .device(device, [ours])
            .spawn_thread()
            .unwrap();
        let listener = blocking::TcpListener::bind_on(&net, "0.0.0.0:80").unwrap();
        let to = SocketAddr::new(ours.address, 80);
        let client = thread::spawn(move || namespace.run(move || client(to)).unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        let mut chunk = vec![0; 256 << 10];
        loop {
            let read = stream.read(&mut chunk).unwrap();
            if read == 0 {
                break;
            }
            stream.write_all(&chunk[..read]).unwrap();
        }
        drop(stream);
        assert!(client.join().unwrap() == text(), "what came back");
        let bad = net.counters().stack.bad_checksum;
        assert_eq!(bad > 0, damage, "{bad} bad checksums");
        if damage {
            let least = OCTETS as u64 / 1500 / u64::from(EVERY);
            assert!(bad >= least / 2, "{bad} bad checksums");
        }
        net.shutdown();
    }

    /// The kernel's side: sends the text and takes it back.
    fn client(to: SocketAddr) -> Vec<u8> {
        let mut stream = TcpStream::connect(to).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut from = stream.try_clone().unwrap();
        let reader = thread::spawn(move || {
            let mut back = Vec::new();
            from.read_to_end(&mut back).unwrap();
            back
        });
        stream.write_all(&text()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        reader.join().unwrap()
    }
}
