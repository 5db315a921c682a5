//! The user's calls: they never block and never send.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use bytes::{Buf, Bytes};
use woshou_tcp::{Endpoints, Instant, Listener, Opening, Pressure, ReadError, Wake, WriteError};

use super::{Stack, context};
use crate::demux::Key;
use crate::error::{ConnectError, ListenError};
use crate::ip::route::{Path, is_peer_address, scope, socket_address};
use crate::listeners::ListenerId;
use crate::table::{Body, ConnId, Holder};

impl Stack {
    /// Opens a connection: the SYN is owed at once.
    ///
    /// `from`: local address and port; `None`, an unspecified address or port 0 lets the stack choose (route;
    /// RFC 6056). A link-local IPv6 address names its link by its scope, the link's number plus one; without, the
    /// first link with a route takes it.
    ///
    /// # Errors
    /// One [`ConnectError`] per cause; what the network answers later is in [`Self::ended`].
    //= rfc9293 MUST-46
    pub fn connect(
        &mut self,
        now: Instant,
        to: SocketAddr,
        from: Option<SocketAddr>,
    ) -> Result<ConnId, ConnectError> {
        let (path, remote) = self.way_to(to)?;
        let ip = remote.ip();
        if !self.has_room_to_open(now, Pressure::Critical) {
            return Err(ConnectError::NoMemory);
        }
        let path = self.with_pmtu(now, path, ip);
        if self
            .routes
            .link(path.link)
            .is_some_and(|link| link.is_broadcast(ip))
            && !path.local
        {
            return Err(ConnectError::InvalidAddress(to));
        }
        let local = self.choose_local(remote, from, &path)?;
        let endpoints = Endpoints { local, remote };
        let setup = self.setup(now, endpoints, &path);
        let config = Arc::clone(&self.tcp);
        let opening = Opening::new(&mut context(now, &mut self.outside), setup, config);
        let body = Body::Opening(Box::new(opening));
        let id = self
            .table
            .insert(body, path, self.usual_marks(), Holder::User);
        self.label(id, &endpoints);
        self.demux.insert(self.key(&endpoints).hash, id.index);
        self.settle(now, id);
        Ok(id)
    }

    /// The way to a peer, and its address there.
    pub(super) fn way_to(&self, to: SocketAddr) -> Result<(Path, SocketAddr), ConnectError> {
        let ip = to.ip().to_canonical();
        if to.port() == 0 || !is_peer_address(ip) {
            return Err(ConnectError::InvalidAddress(to));
        }
        let path = self
            .routes
            .find(ip, scope(&to))
            .ok_or(ConnectError::NoRoute(ip))?;
        Ok((path, socket_address(ip, to.port(), path.link)))
    }

    /// The local address of a connection to `remote`.
    pub(super) fn choose_source(
        &self,
        remote: SocketAddr,
        from: Option<SocketAddr>,
        path: &Path,
    ) -> Result<IpAddr, ConnectError> {
        let wanted = from.filter(|from| !from.ip().is_unspecified());
        match wanted {
            //= rfc9293 MUST-43
            Some(from) => {
                let ip = from.ip().to_canonical();
                if ip.is_ipv4() != remote.is_ipv4() || self.routes.owner_of(ip).is_none() {
                    return Err(ConnectError::NotLocal(from));
                }
                Ok(ip)
            }
            //= rfc9293 MUST-44
            None => {
                let source = self.routes.source(remote.ip(), path);
                source.ok_or(ConnectError::NoRoute(remote.ip()))
            }
        }
    }

    fn choose_local(
        &mut self,
        remote: SocketAddr,
        from: Option<SocketAddr>,
        path: &Path,
    ) -> Result<SocketAddr, ConnectError> {
        let ip = self.choose_source(remote, from, path)?;
        let local = |port| socket_address(ip, port, path.link);
        let Self {
            ports,
            demux,
            table,
            time_waits,
            listeners,
            tuple_hash,
            share,
            ..
        } = self;
        // SYN-RECEIVED is a connection, too, though it is a listener's still.
        let is_known = |who: &Endpoints| {
            let key = Key::new(tuple_hash, who);
            let is_it = |index| table.endpoints(index) == Some(who);
            demux.find(key.hash, is_it).is_some()
                || time_waits.find(&key).is_some()
                || listeners.half_open(who).is_some()
        };
        let is_free = |port| {
            let local = local(port);
            let who = Endpoints { local, remote };
            let is_ours = share.as_ref().is_none_or(|share| share.owns(&who));
            is_ours && !is_known(&who) && local != remote
        };
        match from.map_or(0, |from| from.port()) {
            0 => {
                // A port that someone listens on would make its listener's connections hard to tell from ours.
                let is_free = |port| is_free(port) && !listeners.serves(local(port));
                ports
                    .choose(ip, Some(remote), is_free)
                    .map(local)
                    .ok_or(ConnectError::NoPort)
            }
            port if !is_known(&Endpoints {
                local: local(port),
                remote,
            }) =>
            {
                Ok(local(port))
            }
            _ => Err(ConnectError::InUse),
        }
    }

    /// Listens at `at` with at most `backlog` connections waiting for [`Self::accept`]. An unspecified address
    /// listens on all of ours (and `[::]` on IPv4 too); port 0 takes a free one, see [`Self::listener_address`].
    ///
    /// # Errors
    /// One [`ListenError`] per cause.
    pub fn listen(&mut self, at: SocketAddr, backlog: usize) -> Result<ListenerId, ListenError> {
        let ip = at.ip().to_canonical();
        if !ip.is_unspecified() && !self.is_local(SocketAddr::new(ip, 0)) {
            return Err(ListenError::NotLocal(at));
        }
        let Self {
            ports, listeners, ..
        } = self;
        let port = match at.port() {
            0 => {
                let is_free = |port| !listeners.is_taken(SocketAddr::new(ip, port));
                ports.choose(ip, None, is_free).ok_or(ListenError::InUse)?
            }
            port => port,
        };
        let address = SocketAddr::new(ip, port);
        // Connections of the port, open or opening, are no reason against it.
        //= rfc9293 MUST-42
        if listeners.is_taken(address) {
            return Err(ListenError::InUse);
        }
        Ok(listeners.insert(
            Listener::new(Arc::clone(&self.tcp), backlog, self.listener_key),
            address,
        ))
    }

    /// Where it listens; `None` for ids that name nothing.
    #[must_use]
    pub fn listener_address(&self, id: ListenerId) -> Option<SocketAddr> {
        self.listeners.get(id).map(|entry| entry.address)
    }

    /// Takes the connection that has waited longest; `None`: none waits. One that has ended meanwhile is handed
    /// out too: reading it tells why.
    pub fn accept(&mut self, id: ListenerId) -> Option<ConnId> {
        loop {
            let entry = self.listeners.get_mut(id)?;
            let connection = entry.queue.pop_front()?;
            entry.listener.accepted();
            if let Some(slot) = self.table.get_mut(connection) {
                slot.holder = Holder::User;
                self.table.wake(connection, Wake::NONE);
                return Some(connection);
            }
        }
    }

    /// Closes a listener: half-open connections go, those in the accept queue are reset.
    pub fn close_listener(&mut self, now: Instant, id: ListenerId) {
        let Some(mut entry) = self.listeners.remove(id) else {
            return;
        };
        self.deferred.cancel_all_of(id);
        entry.listener.close(&mut context(now, &mut self.outside));
        for connection in entry.queue {
            if let Some(slot) = self.table.get_mut(connection) {
                slot.holder = Holder::Nobody;
                slot.body.abort(&mut context(now, &mut self.outside));
                self.settle(now, connection);
            }
        }
    }

    /// SEND: takes as many of `octets` as there is room for.
    ///
    /// # Errors
    /// As [`woshou_tcp::Connection::write`]; while still opening [`WriteError::Full`]; for ids that name nothing
    /// [`WriteError::Finished`].
    pub fn write(&mut self, now: Instant, id: ConnId, octets: &[u8]) -> Result<usize, WriteError> {
        self.press(id);
        // What one call takes has to fit, too; the next finds memory short and hears that the buffer is full.
        let octets = octets.get(..self.room().max(1)).unwrap_or(octets);
        let slot = self.table.of_user_mut(id).ok_or(WriteError::Finished)?;
        let taken = match &mut slot.body {
            Body::Opening(opening) => {
                return Err(opening.ended().map_or(WriteError::Full, WriteError::Ended));
            }
            Body::Connection(connection) => {
                connection.write(&mut context(now, &mut self.outside), octets)?
            }
        };
        self.settle(now, id);
        Ok(taken)
    }

    /// SEND without a copy: takes as much as there is room for off `chunk`. What is shorter than 16 KiB is copied.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_chunk(
        &mut self,
        now: Instant,
        id: ConnId,
        chunk: &mut Bytes,
    ) -> Result<usize, WriteError> {
        self.press(id);
        let fits = chunk.len().min(self.room().max(1));
        let mut now_taken = chunk.slice(..fits);
        let slot = self.table.of_user_mut(id).ok_or(WriteError::Finished)?;
        let taken = match &mut slot.body {
            Body::Opening(opening) => {
                return Err(opening.ended().map_or(WriteError::Full, WriteError::Ended));
            }
            Body::Connection(connection) => {
                connection.write_chunk(&mut context(now, &mut self.outside), &mut now_taken)?
            }
        };
        chunk.advance(taken);
        self.settle(now, id);
        Ok(taken)
    }

    /// RECEIVE: `Ok(0)` is the end of the peer's text (unless `into` is empty).
    ///
    /// # Errors
    /// As [`woshou_tcp::Connection::read`]; [`ReadError::Empty`] while still opening, and for ids that name nothing.
    pub fn read(&mut self, now: Instant, id: ConnId, into: &mut [u8]) -> Result<usize, ReadError> {
        self.press(id);
        let read = match &mut self.table.of_user_mut(id).ok_or(ReadError::Empty)?.body {
            Body::Opening(opening) => {
                return Err(opening.ended().map_or(ReadError::Empty, ReadError::Ended));
            }
            Body::Connection(connection) => connection.read(into)?,
        };
        self.settle(now, id);
        Ok(read)
    }

    /// RECEIVE without a copy: at most `max` octets; empty at the end of the peer's text.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_chunk(&mut self, now: Instant, id: ConnId, max: usize) -> Result<Bytes, ReadError> {
        self.press(id);
        let chunk = match &mut self.table.of_user_mut(id).ok_or(ReadError::Empty)?.body {
            Body::Opening(opening) => {
                return Err(opening.ended().map_or(ReadError::Empty, ReadError::Ended));
            }
            Body::Connection(connection) => connection.read_chunk(max)?,
        };
        self.settle(now, id);
        Ok(chunk)
    }

    /// As [`Self::read`], leaving the text where it is.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn peek(&self, id: ConnId, into: &mut [u8]) -> Result<usize, ReadError> {
        match &self.table.of_user(id).ok_or(ReadError::Empty)?.body {
            Body::Opening(opening) => {
                Err(opening.ended().map_or(ReadError::Empty, ReadError::Ended))
            }
            Body::Connection(connection) => connection.peek(into),
        }
    }

    /// CLOSE: no more text from us; reading goes on. While still opening the attempt ends. Idempotent.
    pub fn shutdown(&mut self, now: Instant, id: ConnId) {
        let Some(slot) = self.table.of_user_mut(id) else {
            return;
        };
        let mut cx = context(now, &mut self.outside);
        match &mut slot.body {
            Body::Opening(opening) => opening.abort(&mut cx),
            Body::Connection(connection) => connection.shutdown(&mut cx),
        }
        self.settle(now, id);
    }

    /// ABORT: RST if the state calls for one, and everything is discarded; `id` stays the user's.
    pub fn abort(&mut self, now: Instant, id: ConnId) {
        let Some(slot) = self.table.of_user_mut(id) else {
            return;
        };
        slot.body.abort(&mut context(now, &mut self.outside));
        self.settle(now, id);
    }

    /// The user lets go of `id`: as [`woshou_tcp::Connection::close`]; the id names nothing from now on. The
    /// connection lives on without a user until it has ended.
    pub fn close(&mut self, now: Instant, id: ConnId) {
        let Some(slot) = self.table.of_user_mut(id) else {
            return;
        };
        let mut cx = context(now, &mut self.outside);
        match &mut slot.body {
            Body::Opening(opening) => opening.abort(&mut cx),
            Body::Connection(connection) => connection.close(&mut cx),
        }
        slot.holder = Holder::Nobody;
        self.settle(now, id);
        self.on_orphan(now, id);
    }

    /// Switches Nagle's algorithm off (`true`) or on; while opening, for the connection to come.
    pub fn set_nodelay(&mut self, now: Instant, id: ConnId, nodelay: bool) {
        let Some(slot) = self.table.of_user_mut(id) else {
            return;
        };
        match &mut slot.body {
            Body::Opening(_) => slot.nodelay = Some(nodelay),
            Body::Connection(connection) => connection.set_nodelay(nodelay),
        }
        self.settle(now, id);
    }
}
