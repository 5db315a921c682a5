//! axum and hyper, unchanged.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use http_body_util::{BodyExt, Full};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;
use tower_service::Service;
use woshou::{Net, PeerAddr, TcpStream};

use crate::nets::{SERVER, nets, pattern};

/// What a program gives hyper-util's client for a transport.
#[derive(Clone)]
struct Connector(Net);

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let net = self.0.clone();
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().to_owned();
            let stream = net.connect((host, uri.port_u16().unwrap_or(80))).await?;
            Ok(TokioIo::new(stream))
        })
    }
}

async fn serve(server: &Net) {
    let listener = server.bind(SERVER).await.unwrap();
    let app = Router::new()
        .route(
            "/who",
            get(|ConnectInfo(peer): ConnectInfo<PeerAddr>| async move { peer.to_string() }),
        )
        .route("/echo", post(|body: Bytes| async move { body }))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let app = app.into_make_service_with_connect_info::<PeerAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_serves_the_pooled_client() {
    let (client_net, server) = nets();
    serve(&server).await;
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build(Connector(client_net.clone()));
    let who = || async {
        let response = client.get(Uri::from_static("http://10.0.0.2/who"));
        let body = response.await.unwrap().into_body();
        body.collect().await.unwrap().to_bytes()
    };
    let mut last = who().await;
    assert!(last.starts_with(b"10.0.0.1:"), "{last:?}");
    // Kept alive: the same connection, as soon as the pool has it back (it takes it in another task).
    let mut again = who().await;
    for _ in 0..100 {
        if again == last {
            break;
        }
        last = std::mem::replace(&mut again, who().await);
    }
    assert_eq!(again, last, "no connection is ever used twice");

    let mut tasks = JoinSet::new();
    for salt in 0..20 {
        let client = client.clone();
        tasks.spawn(async move {
            let text = Bytes::from(pattern(300_000, salt));
            let request = hyper::Request::post("http://10.0.0.2/echo")
                .body(Full::new(text.clone()))
                .unwrap();
            let response = client.request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.into_body().collect().await.unwrap().to_bytes() == text);
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn hypers_own_client_takes_the_stream() {
    let (client, server) = nets();
    serve(&server).await;
    let io = TokioIo::new(client.connect(SERVER).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get("/nothing")
        .header("host", "h")
        .body(Body::empty())
        .unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 404);
}
