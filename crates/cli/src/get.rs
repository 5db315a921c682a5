//! `woshou get`: an HTTP client (hyper) on woshou's TCP.

use std::io::{ErrorKind, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use axum::http::{Request, Response, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::TokioIo;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use woshou::TcpStream;

use crate::args::Get;
use crate::failure::Failure;
use crate::node::Node;
use crate::target;
use crate::with::{Stdout, With};

/// How long the server of --with may take to listen.
const STARTUP: Duration = Duration::from_secs(10);
/// Between looks whether it does.
const RETRY: Duration = Duration::from_millis(20);

pub(crate) async fn run(args: &Get) -> Result<ExitCode, Failure> {
    let url = Url::parse(&args.url)?;
    let node = Node::start(&args.node)?;
    let mut server = match &args.node.with {
        Some(command) => Some(With::start(&node, command, Stdout::AsStderr)?),
        None => None,
    };
    let result = tokio::select! {
        result = fetch(&node, &url, args, server.as_mut()) => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    };
    if let Some(server) = &mut server {
        server.end().await;
    }
    node.finish().await?;
    result.map(|()| ExitCode::SUCCESS)
}

/// The parts of an `http://` URL.
struct Url {
    whole: String,
    host: String,
    port: u16,
    path: String,
    authority: String,
}

impl Url {
    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::Usage(format!("wrong URL `{text}`: {why}"));
        let uri: Uri = text.parse().map_err(|error| wrong(&format!("{error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("it must begin with http://"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        let host = authority.host().to_owned();
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        let after_host = authority
            .as_str()
            .rsplit_once(host.as_str())
            .map_or("", |(_, p)| p);
        let port = match after_host.strip_prefix(':') {
            None => 80,
            Some(port) => match port.parse::<u16>() {
                Ok(port) if port > 0 => port,
                _ => return Err(wrong("the port must be 1 to 65535")),
            },
        };
        Ok(Self {
            whole: text.to_owned(),
            authority: authority.as_str().to_owned(),
            host,
            port,
            path: uri.path_and_query().map_or("/", |p| p.as_str()).to_owned(),
        })
    }
}

async fn fetch(
    node: &Node,
    url: &Url,
    args: &Get,
    server: Option<&mut With>,
) -> Result<(), Failure> {
    let address = target::resolve(node, &url.host, url.port).await?;
    let stream = match server {
        Some(server) => connect_when_ready(node, address, server).await?,
        None => node
            .net
            .connect(address)
            .await
            .map_err(Failure::net(address.to_string()))?,
    };
    let response = request(stream, url).await?;
    if !response.status().is_success() {
        let status = response.status().to_string();
        return Err(Failure::Http {
            url: url.whole.clone(),
            status,
        });
    }
    match args.output.as_deref() {
        Some(path) => save(response, url, path).await,
        None => {
            let mut out = tokio::io::stdout();
            let stdout = |source| Failure::Stdio {
                name: "standard output",
                source,
            };
            copy(response, url, &mut out, &ProgressBar::hidden(), stdout).await?;
            out.flush().await.map_err(stdout)
        }
    }
}

/// Connects to the server of --with as soon as it listens.
pub(crate) async fn connect_when_ready(
    node: &Node,
    address: SocketAddr,
    server: &mut With,
) -> Result<TcpStream, Failure> {
    let deadline = Instant::now() + STARTUP;
    loop {
        match node.net.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                if let Some(status) = server.poll() {
                    let why = format!("the command of --with ended before it listened ({status})");
                    return Err(Failure::net(why)(error));
                }
                if Instant::now() > deadline {
                    return Err(Failure::net(address.to_string())(error));
                }
            }
            Err(error) => return Err(Failure::net(address.to_string())(error)),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn request(stream: TcpStream, url: &Url) -> Result<Response<Incoming>, Failure> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| http_failure(url, error))?;
    tokio::spawn(connection);
    let request = Request::get(&url.path)
        .header(header::HOST, &url.authority)
        .header(
            header::USER_AGENT,
            concat!("woshou/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failure::Usage(format!("wrong URL `{}`: {error}", url.whole)))?;
    sender
        .send_request(request)
        .await
        .map_err(|error| http_failure(url, error))
}

/// hyper's error, with the connection's own cause where there is one.
fn http_failure(url: &Url, error: hyper::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            let source = std::io::Error::new(io.kind(), io.to_string());
            return Failure::Net {
                what: url.whole.clone(),
                source,
            };
        }
        cause = inner.source();
    }
    let kind = if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        ErrorKind::UnexpectedEof
    } else {
        ErrorKind::InvalidData
    };
    Failure::Net {
        what: url.whole.clone(),
        source: std::io::Error::new(kind, error.to_string()),
    }
}

/// Writes the body beside `path` and moves it there when all of it has arrived, so that a failure costs no file.
async fn save(response: Response<Incoming>, url: &Url, path: &Path) -> Result<(), Failure> {
    let special = tokio::fs::metadata(path).await.is_ok_and(|m| !m.is_file());
    let beside = if special {
        path.to_owned()
    } else {
        part_of(path)
    };
    let mut file = if special {
        tokio::fs::OpenOptions::new()
            .write(true)
            .open(&beside)
            .await
    } else {
        File::create(&beside).await
    }
    .map_err(Failure::file(path))?;
    let bar = progress(response.body().size_hint().exact());
    let mut result = copy(response, url, &mut file, &bar, Failure::file(path)).await;
    if result.is_ok() {
        result = file.flush().await.map_err(Failure::file(path));
    }
    bar.finish_and_clear();
    if special {
        return result;
    }
    match result {
        Ok(()) => tokio::fs::rename(&beside, path)
            .await
            .map_err(Failure::file(path)),
        Err(failure) => {
            // The failure that matters is told; that of tidying up is not.
            let _ = tokio::fs::remove_file(&beside).await;
            Err(failure)
        }
    }
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn progress(total: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    match total {
        Some(total) => {
            let bar = ProgressBar::new(total);
            let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            bar.with_style(
                ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar()),
            )
        }
        None => ProgressBar::new_spinner(),
    }
}

/// Copies the body to `out`.
async fn copy(
    response: Response<Incoming>,
    url: &Url,
    out: &mut (impl AsyncWrite + Unpin),
    bar: &ProgressBar,
    write_failed: impl FnOnce(std::io::Error) -> Failure,
) -> Result<(), Failure> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| http_failure(url, error))?;
        let Ok(octets) = frame.into_data() else {
            continue;
        };
        bar.inc(octets.len() as u64);
        if let Err(error) = out.write_all(&octets).await {
            return Err(write_failed(error));
        }
    }
    Ok(())
}
