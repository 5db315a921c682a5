//! A net of several shards against a real kernel, in private namespaces: 64 connections send text and get it back.
//!
//! Runs as root or as an ordinary user; what the machine does not allow is skipped with its reason.
//! `WOSHOU_REQUIRE_NET=1` turns skipping into failing.
#![allow(clippy::unwrap_used, reason = "a test: failing is its way to speak")]

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
    use std::collections::BTreeSet;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::process::ExitCode;
    use std::thread;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use woshou::link::{Namespace, PrivateSpec, Way, enter_user_namespace};
    use woshou::{Cidr, Net, TcpListener};

    const FLOWS: u64 = 64;
    const OCTETS: usize = 400_000;

    pub(crate) fn main() -> ExitCode {
        if let Err(error) = enter_user_namespace() {
            return skipped(&error.to_string());
        }
        for queues in [1, 2, 4] {
            for offload in [true, false] {
                let spec = PrivateSpec {
                    way: Way::Tun,
                    offload,
                    queues,
                    ..PrivateSpec::default()
                };
                match Namespace::new(&spec) {
                    Ok(namespace) => talk(namespace, &spec),
                    Err(error) => return skipped(&error.to_string()),
                }
                println!("ok: {queues} queues, offload {offload}");
            }
        }
        ExitCode::SUCCESS
    }

    fn skipped(why: &str) -> ExitCode {
        println!("skipped: {why}");
        let strict = std::env::var_os("WOSHOU_REQUIRE_NET").is_some();
        ExitCode::from(u8::from(strict))
    }

    fn text(flow: u64) -> Vec<u8> {
        let mut state = flow | 1 << 40;
        let octets = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        });
        octets.take(OCTETS).collect()
    }

    fn talk(mut namespace: Namespace, spec: &PrivateSpec) {
        let who = namespace.addresses();
        let ours = [Some(who.woshou_v4), who.woshou_v6].into_iter().flatten();
        let ours = ours.map(|cidr| Cidr {
            address: cidr.address(),
            prefix: cidr.prefix(),
        });
        let net = Net::builder()
            .queues(namespace.take_devices(), ours)
            .shards(spec.queues)
            .spawn_thread()
            .unwrap();
        let listener = net.runtime(0).block_on(net.bind("[::]:80")).unwrap();
        for (shard, listener) in (0..).zip(listener.per_shard()) {
            net.runtime(shard).spawn(echo(listener));
        }
        let to = SocketAddr::new(who.woshou_v4.address(), 80);
        let open = namespace.run(move || clients(to)).unwrap();
        let shards: BTreeSet<u8> = open.iter().map(|(shard, _)| *shard).collect();
        assert_eq!(
            shards.len(),
            usize::from(spec.queues),
            "all have their share"
        );
        let counters = net.counters();
        assert_eq!(counters.handed_over > 0, spec.queues > 1, "{counters:?}");
        assert_eq!(counters.handed_over_lost, 0);
        assert_eq!(counters.stack.resets_sent, 0, "{counters:?}");
        println!(
            "{} of {} frames were handed over",
            counters.handed_over, counters.stack.packets_in
        );
        drop(open);
        net.shutdown();
    }

    /// Says which shard it is, then repeats what it hears.
    async fn echo(listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let shard = [u8::try_from(stream.shard()).unwrap()];
                stream.write_all(&shard).await.unwrap();
                let (mut from, mut to) = stream.split();
                // Until the client lets go, or the net ends.
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    }

    /// The kernel's side: connections that are still open, with the shard that answered.
    fn clients(to: SocketAddr) -> Vec<(u8, TcpStream)> {
        let one = move |flow| {
            let mut stream = TcpStream::connect(to).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let mut shard = [0];
            stream.read_exact(&mut shard).unwrap();
            let text = text(flow);
            let mut from = stream.try_clone().unwrap();
            let reader = thread::spawn(move || {
                let mut back = vec![0; OCTETS];
                from.read_exact(&mut back).unwrap();
                back
            });
            stream.write_all(&text).unwrap();
            assert!(reader.join().unwrap() == text, "flow {flow}");
            (shard[0], stream)
        };
        // Threads inherit the namespace.
        let all: Vec<_> = (0..FLOWS)
            .map(|flow| thread::spawn(move || one(flow)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    }
}
