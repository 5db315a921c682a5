//! TLS by tokio-rustls, unchanged.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::nets::{connected, nets, pattern, rest};

#[tokio::test]
async fn rustls_on_both_sides() {
    let made = rcgen::generate_simple_self_signed(["woshou.test".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server_config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client_config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();

    let (client, server) = nets();
    let (ours, theirs, _listener) = connected(&client, &server).await;
    let acceptor = TlsAcceptor::from(Arc::new(server_config));
    let connector = TlsConnector::from(Arc::new(client_config));
    let name = ServerName::try_from("woshou.test").unwrap();
    let (ours, theirs) = tokio::join!(connector.connect(name, ours), acceptor.accept(theirs));
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    let text = pattern(1_000_000, 5);
    let send = async {
        ours.write_all(&text).await.unwrap();
        ours.shutdown().await.unwrap();
    };
    let ((), got) = tokio::join!(send, rest(&mut theirs));
    assert!(got.unwrap() == text);
}
