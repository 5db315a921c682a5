//! Listeners whose program sees each SYN first, and decides whether to accept it, refuse it or stay silent: a proxy that
//! answers only when its own connection to the destination stands.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::task::Poll;

use woshou_stack::{Decision, IncomingId, IncomingSyn};
use woshou_tcp::Header;

use crate::net::WaitFor;
use crate::{Net, TcpListener, TcpStream};

/// A [`TcpListener`] that asks about each SYN. Made by [`TcpListener::deferred`]. Dropping it cancels what waits.
#[derive(Debug)]
pub struct DeferredListener {
    listener: TcpListener,
}

impl DeferredListener {
    pub(crate) fn new(listener: TcpListener) -> Self {
        for part in &listener.parts {
            listener.net().call_on(part.shard, |shared, _| {
                shared.stack.set_deferred(part.id, true);
                shared.asked.entry(part.id).or_default();
            });
        }
        Self { listener }
    }

    /// The next SYN to decide about. Safe to cancel; any number of tasks may wait.
    ///
    /// At most 1,024 wait in a net (in each of its shards), each for 10 s; a SYN that comes again is not told again.
    ///
    /// # Errors
    /// The net is over.
    pub async fn incoming(&self) -> io::Result<Incoming> {
        let net = self.listener.net();
        let mut wait = waiting(net, self.listener.shards());
        let (shard, id, syn) = poll_fn(|cx| {
            let asked = self.listener.ask(|shared, part| {
                let asked = shared.asked.entry(part.id).or_default();
                while let Some(id) = asked.pop_front() {
                    if let Some(syn) = shared.stack.incoming(id) {
                        return Ok(Some((part.shard, id, syn)));
                    }
                }
                let key = wait.key(shared);
                shared.incoming.set_future(key, cx.waker());
                Ok(None)
            });
            asked.transpose().map_or(Poll::Pending, Poll::Ready)
        })
        .await?;
        let net = net.clone();
        Ok(Incoming {
            net,
            shard,
            id,
            syn,
            decided: false,
        })
    }

    /// Connections that were accepted by [`Incoming::accept`] whose future was dropped too early.
    ///
    /// # Errors
    /// As [`TcpListener::accept`].
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept().await
    }

    /// The address and port it listens on.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A SYN to decide about. Dropping it undecided refuses it (RST): whoever lets go of it does not want it, and its sender need
/// not wait to learn that.
#[derive(Debug)]
pub struct Incoming {
    net: Net,
    shard: u16,
    id: IncomingId,
    syn: IncomingSyn,
    decided: bool,
}

impl Incoming {
    /// Who asks.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.syn.endpoints.remote
    }

    /// Whom it asks for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.syn.endpoints.local
    }

    /// The header of its SYN: options offered, window, flags.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.syn.header
    }

    /// Answers by SYN,ACK; the connection, once the handshake is over. If the future is dropped before, the connection goes to
    /// [`DeferredListener::accept`].
    ///
    /// # Errors
    /// `ConnectionAborted`: the peer gave up, or was decided about too late, or the handshake failed; or the net is over.
    pub async fn accept(mut self) -> io::Result<TcpStream> {
        let gone = || io::Error::from(io::ErrorKind::ConnectionAborted);
        if !self.decide(Decision::Accept)? {
            return Err(gone());
        }
        let (net, shard, id) = (&self.net, self.shard, self.id);
        let (listener, endpoints) = (self.syn.listener, self.syn.endpoints);
        let mut wait = waiting(net, shard..shard + 1);
        let adopted = poll_fn(|cx| {
            net.call_on(shard, |shared, _| {
                shared.check()?;
                if let Some(connection) = shared.stack.accept_incoming(listener, &endpoints)
                    && let Some(adopted) = net.adopt(shared, connection)
                {
                    return Poll::Ready(Ok(adopted));
                }
                if !shared.stack.is_opening(id) {
                    return Poll::Ready(Err(gone()));
                }
                let key = wait.key(shared);
                shared.incoming.set_future(key, cx.waker());
                Poll::Pending
            })
        })
        .await?;
        // Outside of the lock, which dropping a stream takes.
        Ok(TcpStream::new(self.net.clone(), &adopted))
    }

    /// Answers by RST, as if nobody listened.
    pub fn refuse(mut self) {
        // The net is over: nobody is left to refuse.
        let _ = self.decide(Decision::Refuse);
    }

    /// Answers nothing. The peer will ask again in a second.
    pub fn ignore(mut self) {
        // The net is over: that is silence, too.
        let _ = self.decide(Decision::Ignore);
    }

    /// Waits until there is nothing to decide any more: the peer gave up, or waited too long.
    pub async fn cancelled(&self) {
        let (net, shard, id) = (&self.net, self.shard, self.id);
        let mut wait = waiting(net, shard..shard + 1);
        poll_fn(|cx| {
            net.call_on(shard, |shared, _| {
                if shared.check().is_err() || shared.stack.incoming(id).is_none() {
                    return Poll::Ready(());
                }
                let key = wait.key(shared);
                shared.incoming.set_future(key, cx.waker());
                Poll::Pending
            })
        })
        .await;
    }

    fn decide(&mut self, decision: Decision) -> io::Result<bool> {
        self.decided = true;
        self.net.call_on(self.shard, |shared, now| {
            shared.check()?;
            Ok(shared.stack.decide(now, self.id, decision))
        })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.decided {
            // The net is over: nobody is left to refuse.
            let _ = self.decide(Decision::Refuse);
        }
    }
}

/// A place among those who wait for what becomes of a SYN.
fn waiting(net: &Net, shards: Range<u16>) -> WaitFor<'_> {
    WaitFor::new(net, shards, |shared| &mut shared.incoming)
}
