//! Any-IP: connections to addresses that are not ours, as a proxy accepts them.

use alloc::sync::Arc;

use woshou_tcp::Listener;

use super::Stack;
use crate::config::LinkId;
use crate::error::ListenError;
use crate::listeners::ListenerId;

impl Stack {
    /// Whether TCP is taken on `link` for every unicast destination, ours or not: what a proxy behind a TUN device wants. Off
    /// by default; never for broadcast, multicast, loopback and other addresses that nobody can have, and never from an
    /// address to itself. A segment that no [`Self::listen_any`] takes is refused as by its destination itself (RST). Echo
    /// requests, UDP and the rest for others are ignored.
    pub fn set_any_ip(&mut self, link: LinkId, any_ip: bool) {
        self.routes.set_any_ip(link, any_ip);
    }

    /// Listens on every address, of ours and (on links with [`Self::set_any_ip`]) of others, both families: on `port`, or on
    /// every port (`None`, or 0). What the peer aimed at is the connection's [`Self::endpoints`]`.local`.
    ///
    /// Other listeners come first for addresses of ours; of this kind, the one with a port. It keeps no port from
    /// [`Self::connect`].
    ///
    /// # Errors
    /// [`ListenError::InUse`]: there is one like it.
    pub fn listen_any(
        &mut self,
        port: Option<u16>,
        backlog: usize,
    ) -> Result<ListenerId, ListenError> {
        let listener = Listener::new(Arc::clone(&self.tcp), backlog, self.listener_key);
        self.listeners
            .insert_any(listener, port.unwrap_or(0))
            .ok_or(ListenError::InUse)
    }
}
