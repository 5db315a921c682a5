//! An echo server and its client: two nets in one process, joined by a memory link.
//!
//! `cargo run -p woshou --example echo`
//!
//! For a real peer give `Net::builder` a TUN device instead of the memory link.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use woshou::link::MemoryOptions;
use woshou::link::memory::pair;
use woshou::{Cidr, Net, TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    // A cable with two ends, and a TCP/IP stack of its own on each.
    let (left, right) = pair(MemoryOptions::default());
    let net = |device, address: [u8; 4]| {
        let address = Cidr {
            address: address.into(),
            prefix: 24,
        };
        Net::builder().device(Box::new(device), [address]).spawn()
    };
    let (client, server) = (net(left, [10, 0, 0, 1])?, net(right, [10, 0, 0, 2])?);

    // Inside of `scope`, woshou's names mean that net, so both could be programs written for tokio::net.
    tokio::spawn(server.scope(serve()));
    tokio::task::yield_now().await; // let it bind
    client.scope(ask()).await?;
    client.idle().await; // both FINs are acknowledged
    Ok(())
}

async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:7").await?;
    loop {
        let (mut stream, peer) = listener.accept().await?;
        println!("server: {peer} is here");
        tokio::spawn(async move {
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await
        });
    }
}

async fn ask() -> io::Result<()> {
    let mut stream = TcpStream::connect("10.0.0.2:7").await?;
    stream.write_all(b"hello, hello").await?;
    stream.shutdown().await?; // no more from us; the echo still comes
    let mut back = String::new();
    stream.read_to_string(&mut back).await?;
    println!("client: {back:?} came back");
    Ok(())
}
