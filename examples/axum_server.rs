//! axum on woshou, asked by a plain socket: only the listener differs from any axum program.
//!
//! `cargo run -p woshou --example axum_server`

use std::error::Error;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use woshou::link::MemoryOptions;
use woshou::link::memory::pair;
use woshou::{Cidr, Net, PeerAddr};

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

    let app = Router::new()
        .route(
            "/",
            get(|ConnectInfo(peer): ConnectInfo<PeerAddr>| async move {
                format!("hello {peer}, this came over woshou\n")
            }),
        )
        .into_make_service_with_connect_info::<PeerAddr>();
    let listener = server.bind("0.0.0.0:80").await?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut stream = client.connect("10.0.0.2:80").await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: 10.0.0.2\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    print!("{answer}");
    Ok(())
}
