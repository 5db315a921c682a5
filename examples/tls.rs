//! TLS over woshou by tokio-rustls, with a certificate made on the spot.
//!
//! `cargo run -p woshou --example tls`

use std::error::Error;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use woshou::link::MemoryOptions;
use woshou::link::memory::pair;
use woshou::{Cidr, Net};

/// A server's and a client's side of one self-signed certificate.
fn configs() -> Result<(ServerConfig, ClientConfig), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["woshou.example".to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((server, client))
}

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
    let (server_config, client_config) = configs()?;

    let listener = server.bind("0.0.0.0:443").await?;
    let acceptor = TlsAcceptor::from(Arc::new(server_config));
    let serve = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        stream
            .write_all(b"nobody on the way can read this\n")
            .await?;
        stream.shutdown().await // close_notify, then FIN
    });

    let stream = client.connect("10.0.0.2:443").await?;
    let connector = TlsConnector::from(Arc::new(client_config));
    let mut stream = connector
        .connect(ServerName::try_from("woshou.example")?, stream)
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    print!("{text}");
    serve.await??;
    Ok(())
}
