//! What a socket layer sets and asks: a configuration for one connection or listener, ports, our addresses.

use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use woshou_tcp::config::KeepAlive;
use woshou_tcp::congestion::CongestionFactory;
use woshou_tcp::error::PathError;
use woshou_tcp::{Config, Instant, State, WriteError};

use super::{Stack, context};
use crate::error::{ConnectError, ListenError};
use crate::listeners::ListenerId;
use crate::table::{Body, ConnId, Place};

/// How a listener differs from those that [`Stack::listen`] makes.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Connections that may wait for `accept`; zero counts as one.
    pub backlog: usize,
    /// The behaviour of its connections.
    pub config: Arc<Config>,
    /// At `[::]`, IPv4 is not served: another listener may have the port there.
    pub v6_only: bool,
    /// TTL or hop limit of what it and its connections send; `None`: the stack's.
    pub ttl: Option<u8>,
    /// TOS or traffic class of what it and its connections send, the two low bits being ECN's; `None`: the stack's.
    pub tos: Option<u8>,
}

impl Stack {
    /// The behaviour of connections and listeners made from now on.
    #[must_use]
    pub const fn tcp_config(&self) -> &Arc<Config> {
        &self.tcp
    }

    /// As [`Self::connect`], for a connection that behaves by `config`.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_with(
        &mut self,
        now: Instant,
        to: SocketAddr,
        from: Option<SocketAddr>,
        config: Arc<Config>,
    ) -> Result<ConnId, ConnectError> {
        let usual = core::mem::replace(&mut self.tcp, config);
        let result = self.connect(now, to, from);
        self.tcp = usual;
        result
    }

    /// As [`Self::listen`], with `options`.
    ///
    /// # Errors
    /// As [`Self::listen`].
    pub fn listen_with(
        &mut self,
        at: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let v6_only = options.v6_only && at.ip() == IpAddr::from([0; 16]);
        self.listeners.next_is_v6_only = v6_only;
        let usual = core::mem::replace(&mut self.tcp, options.config);
        let result = self.listen(at, options.backlog);
        self.tcp = usual;
        self.listeners.next_is_v6_only = false;
        if let Ok(id) = result {
            self.set_listener_ttl(id, options.ttl);
            self.set_listener_tos(id, options.tos);
        }
        result
    }

    /// The connection behaves by `config` from now on, as far as its handshake has not settled it (see
    /// [`woshou_tcp::Connection::set_config`]).
    pub fn set_config(&mut self, now: Instant, id: ConnId, config: Arc<Config>) {
        let Some(slot) = self.table.of_user_mut(id) else {
            return;
        };
        match &mut slot.body {
            Body::Opening(opening) => opening.set_config(config),
            Body::Connection(connection) => connection.set_config(now, config),
        }
        self.settle(now, id);
    }

    /// Corks the connection or takes the cork out (see [`woshou_tcp::Connection::set_cork`]); nothing while opening.
    pub fn set_cork(&mut self, now: Instant, id: ConnId, corked: bool) {
        if let Some(Body::Connection(connection)) =
            self.table.of_user_mut(id).map(|slot| &mut slot.body)
        {
            connection.set_cork(now, corked);
            self.settle(now, id);
        }
    }

    /// SEND with the URGENT flag (see [`woshou_tcp::Connection::write_urgent`]); new programs should not use it (RFC 9293
    /// SHLD-13, RFC 6093).
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_urgent(
        &mut self,
        now: Instant,
        id: ConnId,
        octets: &[u8],
    ) -> Result<usize, WriteError> {
        self.press(id);
        // As in `write`.
        let octets = octets.get(..self.room().max(1)).unwrap_or(octets);
        let slot = self.table.of_user_mut(id).ok_or(WriteError::Finished)?;
        let taken = match &mut slot.body {
            Body::Opening(opening) => {
                return Err(opening.ended().map_or(WriteError::Full, WriteError::Ended));
            }
            Body::Connection(connection) => {
                connection.write_urgent(&mut context(now, &mut self.outside), octets)?
            }
        };
        self.settle(now, id);
        Ok(taken)
    }

    /// PUSH of what was written so far (see [`woshou_tcp::Connection::push`]); nothing while opening.
    pub fn push(&mut self, now: Instant, id: ConnId) {
        if let Some(Body::Connection(connection)) =
            self.table.of_user_mut(id).map(|slot| &mut slot.body)
        {
            connection.push(&mut context(now, &mut self.outside));
            self.settle(now, id);
        }
    }

    /// FLUSH: takes back what was written and never sent (see [`woshou_tcp::Connection::flush`]); returns how many octets.
    pub fn flush(&mut self, now: Instant, id: ConnId) -> usize {
        let Some(Body::Connection(connection)) =
            self.table.of_user_mut(id).map(|slot| &mut slot.body)
        else {
            return 0;
        };
        let flushed = connection.flush(&mut context(now, &mut self.outside));
        self.settle(now, id);
        flushed
    }

    /// Keep-alive on or off; while opening, for the connection to come.
    pub fn set_keep_alive(&mut self, now: Instant, id: ConnId, keep_alive: Option<KeepAlive>) {
        self.choose(now, id, |body| match body {
            Body::Opening(opening) => opening.set_keep_alive(keep_alive),
            Body::Connection(connection) => connection.set_keep_alive(now, keep_alive),
        });
    }

    /// How long text may stay unacknowledged: R2 (see [`woshou_tcp::Connection::set_user_timeout`]); while opening, for
    /// the connection to come.
    pub fn set_user_timeout(&mut self, now: Instant, id: ConnId, after: Option<Duration>) {
        self.choose(now, id, |body| match body {
            Body::Opening(opening) => opening.set_user_timeout(after),
            Body::Connection(connection) => connection.set_user_timeout(now, after),
        });
    }

    /// Whether its user hears of what may pass (see [`woshou_tcp::Connection::set_error_reports`]).
    pub fn set_error_reports(&mut self, now: Instant, id: ConnId, on: bool) {
        self.choose(now, id, |body| match body {
            Body::Opening(opening) => opening.set_error_reports(on),
            Body::Connection(connection) => connection.set_error_reports(on),
        });
    }

    /// The not-sent low-water mark (see [`woshou_tcp::Connection::set_not_sent_low`]); while opening, for the connection
    /// to come.
    pub fn set_not_sent_low(&mut self, now: Instant, id: ConnId, octets: Option<u32>) {
        self.choose(now, id, |body| match body {
            Body::Opening(opening) => opening.set_not_sent_low(octets),
            Body::Connection(connection) => connection.set_not_sent_low(octets),
        });
    }

    /// Its congestion control algorithm, from now on (see [`woshou_tcp::Connection::set_congestion`]); while opening, for the
    /// connection to come.
    pub fn set_congestion(
        &mut self,
        now: Instant,
        id: ConnId,
        factory: &Arc<dyn CongestionFactory>,
    ) {
        self.choose(now, id, |body| match body {
            Body::Opening(opening) => opening.set_congestion(Arc::clone(factory)),
            Body::Connection(connection) => connection.set_congestion(now, &**factory),
        });
    }

    /// The name of its congestion control algorithm: `cubic`.
    #[must_use]
    pub fn congestion_name(&self, id: ConnId) -> Option<&'static str> {
        Some(match &self.table.of_user(id)?.body {
            Body::Opening(opening) => opening.congestion_name(),
            Body::Connection(connection) => connection.congestion_name(),
        })
    }

    fn choose(&mut self, now: Instant, id: ConnId, choice: impl FnOnce(&mut Body)) {
        if let Some(slot) = self.table.of_user_mut(id) {
            choice(&mut slot.body);
            self.settle(now, id);
        }
    }

    /// What the network last reported about the way to the peer, opening or open; `None` since the peer last acknowledged
    /// anything.
    #[must_use]
    pub fn path_error(&self, id: ConnId) -> Option<PathError> {
        match &self.table.of_user(id)?.body {
            Body::Opening(opening) => opening.path_error(),
            Body::Connection(connection) => connection.path_error(),
        }
    }

    /// An acknowledgement that waits for company goes now.
    pub fn acknowledge_now(&mut self, now: Instant, id: ConnId) {
        if let Some(Body::Connection(connection)) =
            self.table.of_user_mut(id).map(|slot| &mut slot.body)
        {
            connection.acknowledge_now();
            self.settle(now, id);
        }
    }

    /// Its user will read no more: text that arrives once this side has closed is answered by RST.
    pub fn refuse_text_after_close(&mut self, id: ConnId) {
        if let Some(Body::Connection(connection)) =
            self.table.of_user_mut(id).map(|slot| &mut slot.body)
        {
            connection.refuse_text_after_close();
        }
    }

    /// Segments to the peer carry at most `mss` octets (without options), whatever it offered and the path carries.
    pub fn limit_send_mss(&mut self, now: Instant, id: ConnId, mss: u16) {
        let Some(slot) = self.table.of_user_mut(id) else {
            return;
        };
        let config = |before: &Config| {
            Arc::new(Config {
                mss_clamp: Some(mss),
                ..before.clone()
            })
        };
        match &mut slot.body {
            Body::Opening(opening) => opening.set_config(config(opening.config())),
            Body::Connection(connection) => {
                connection.set_config(now, config(connection.config()));
            }
        }
        self.settle(now, id);
    }

    /// Connections that a listener opens from now on behave by `config`.
    pub fn set_listener_config(&mut self, id: ListenerId, config: Arc<Config>) {
        if let Some(entry) = self.listeners.get_mut(id) {
            entry.listener.set_config(config);
        }
    }

    /// So many connections may wait for `accept` from now on; zero counts as one.
    pub fn set_backlog(&mut self, id: ListenerId, backlog: usize) {
        if let Some(entry) = self.listeners.get_mut(id) {
            entry.listener.set_backlog(backlog);
        }
    }

    /// Connections that wait for [`Self::accept`] there, and how many may; `None` for ids that name nothing.
    #[must_use]
    pub fn waiting(&self, id: ListenerId) -> Option<(usize, usize)> {
        let entry = self.listeners.get(id)?;
        let (_, most) = entry.listener.waiting();
        Some((entry.queue.len(), most))
    }

    /// Whether `address` is one of ours; an IPv4-mapped one counts as the IPv4 address.
    #[must_use]
    pub fn is_ours(&self, address: IpAddr) -> bool {
        self.routes.owner_of(address.to_canonical()).is_some()
    }

    /// An ephemeral port (RFC 6056) at `address` that no listener and no connection of ours has and that `is_free` too;
    /// `None`: there is none.
    pub fn choose_port(&mut self, address: IpAddr, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        let used: alloc::collections::BTreeSet<u16> = self
            .connections()
            .iter()
            .map(|(who, _)| who.local.port())
            .collect();
        let Self {
            ports, listeners, ..
        } = self;
        let ip = address.to_canonical();
        ports.choose(ip, None, |port| {
            !used.contains(&port) && !listeners.is_taken(SocketAddr::new(ip, port)) && is_free(port)
        })
    }

    /// Whether the connection, which the user may have let go of, still has text or FIN that the peer has not
    /// acknowledged.
    #[must_use]
    pub fn is_flushing(&self, id: ConnId) -> bool {
        use State::{Closing, FinWait1, LastAck};
        self.table.get(id).is_some_and(|slot| {
            slot.place == Place::Here && matches!(slot.body.state(), FinWait1 | Closing | LastAck)
        })
    }

    /// Ends the connection with this four-tuple, whoever holds it, as an abort of its user would (a RST where the state
    /// calls for one); a TIME-WAIT entry is forgotten. Returns whether there was one.
    pub fn drop_connection(&mut self, now: Instant, who: &woshou_tcp::Endpoints) -> bool {
        let key = self.key(who);
        match self.owner(&key, who) {
            Some(index) => {
                let Some(id) = self.table.id(index) else {
                    return false;
                };
                if let Some(slot) = self.table.get_mut(id) {
                    slot.body.abort(&mut context(now, &mut self.outside));
                }
                self.settle(now, id);
                true
            }
            None => {
                let waiting = self.time_waits.find(&key);
                if let Some(index) = waiting {
                    self.forget_time_wait(now, index);
                }
                waiting.is_some()
            }
        }
    }

    /// The largest IP packet on the way to the peer, octets, as far as it is known; `None` for ids that name nothing.
    #[must_use]
    pub fn path_mtu(&self, id: ConnId) -> Option<u32> {
        self.table.of_user(id).map(|slot| slot.path.mtu)
    }
}
