//! hyper's client on woshou, asking a server that knows two lines of HTTP.
//!
//! `cargo run -p woshou --example hyper_client`

use std::error::Error;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use woshou::link::MemoryOptions;
use woshou::link::memory::pair;
use woshou::{Cidr, Net};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (left, right) = pair(MemoryOptions::default());
    let net = |device, address: [u8; 4]| {
        let address = Cidr {
            address: address.into(),
            prefix: 24,
        };
        Net::builder().device(Box::new(device), [address]).spawn()
    };
    let (client, server) = (net(left, [10, 0, 0, 1])?, net(right, [10, 0, 0, 2])?);

    let listener = server.bind("0.0.0.0:80").await?;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await?);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nwoshou!\n")
            .await
    });

    // From here on it is a hyper program like any other.
    let stream = client.connect("10.0.0.2:80").await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/")
        .header("host", "10.0.0.2")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    println!("{}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&body));
    Ok(())
}
