//! Names of hosts on the command line.

use std::net::{IpAddr, SocketAddr};

use crate::failure::Failure;
use crate::node::Node;

/// The address of `host`: an address, `peer` or `peer6`, or a name that the system knows.
pub(crate) async fn resolve(node: &Node, host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let none = || Failure::Usage(format!("this link has no `{host}`: give an address"));
    match host {
        "peer" => node
            .peer_v4
            .map(|a| SocketAddr::new(a, port))
            .ok_or_else(none),
        "peer6" => node
            .peer_v6
            .map(|a| SocketAddr::new(a, port))
            .ok_or_else(none),
        _ => {
            let unknown = || Failure::Usage(format!("unknown host `{host}`"));
            let mut found = tokio::net::lookup_host((host, port))
                .await
                .map_err(|_| unknown())?;
            found.next().ok_or_else(unknown)
        }
    }
}
