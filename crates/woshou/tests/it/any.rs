//! Any-IP accept.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use woshou::link::MemoryOptions;
use woshou::link::memory::pair;
use woshou::{Net, tcp};

use crate::nets::{addr, cidr, kind};

#[tokio::test]
async fn a_proxy_learns_where_its_clients_wanted_to_go() {
    let (a, b) = pair(MemoryOptions::default());
    let client = Net::builder()
        .device(Box::new(a), [cidr("10.0.0.1", 24), cidr("fd00::1", 64)])
        .default_route()
        .tcp(tcp::Config::default())
        .spawn()
        .unwrap();
    let proxy = Net::builder()
        .device(Box::new(b), [cidr("10.0.0.2", 24), cidr("fd00::2", 64)])
        .any_ip()
        .spawn()
        .unwrap();
    let listener = proxy.bind_any(None).unwrap();
    assert_eq!(kind(proxy.bind_any(None)), std::io::ErrorKind::AddrInUse);
    for to in ["198.51.100.7:443", "[2001:db8::7]:8080"] {
        let (ours, theirs) = tokio::join!(client.connect(to), listener.accept());
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap().0);
        assert_eq!(theirs.local_addr().unwrap(), addr(to));
        theirs.write_all(b"hello").await.unwrap();
        let mut into = [0; 5];
        ours.read_exact(&mut into).await.unwrap();
        assert_eq!(&into, b"hello");
    }
}
