//! The socket layer, end to end: two nets in one process, joined by a memory link.

mod blocking;
mod clock;
mod current;
mod http;
mod life;
mod nets;
mod options;
mod stream;
mod tls;
mod transfer;
