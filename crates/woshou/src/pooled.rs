//! Our stream in hyper-util's pooled client.

use hyper_util::client::legacy::connect::{Connected, Connection};

use crate::TcpStream;

impl Connection for TcpStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
