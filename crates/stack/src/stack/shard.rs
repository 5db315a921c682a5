//! A stack that is one of several on the same links: it opens only connections of its own, and what it puts together for
//! another it gives away (decision 028).

use alloc::collections::VecDeque;
use core::net::{IpAddr, SocketAddr};

use woshou_tcp::{Endpoints, Instant};
use woshou_wire::ipv6;

use super::Stack;
use super::input::How;
use crate::config::LinkId;
use crate::error::ConnectError;
use crate::ip::Datagram;
use crate::ip::fragments::{Fragment, Whole};
use crate::ip::route::socket_address;
use crate::steering::{Shard, Steering};

/// Datagrams that wait to be taken away; more are dropped.
const MOST: usize = 64;

/// Which of several stacks this is.
pub(super) struct Share {
    steering: Steering,
    number: u16,
    strays: VecDeque<Stray>,
}

impl Share {
    pub(super) fn owns(&self, who: &Endpoints) -> bool {
        self.steering.connection(who) == self.number
    }
}

/// A datagram that was put together from fragments and belongs to another shard. It may change threads.
pub struct Stray {
    to: u16,
    link: LinkId,
    source: IpAddr,
    destination: IpAddr,
    foreign: bool,
    whole: Whole,
}

impl core::fmt::Debug for Stray {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stray")
            .field("to", &self.to)
            .field("octets", &self.octets())
            .finish_non_exhaustive()
    }
}

impl Stray {
    /// The shard it belongs to.
    #[must_use]
    pub const fn to(&self) -> u16 {
        self.to
    }

    /// How long it is, octets.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.whole.octets.len()
    }

    /// What is inside; `None`: its headers are wrong.
    fn datagram(&self) -> Option<Datagram<'_>> {
        let Self {
            source,
            destination,
            ref whole,
            ..
        } = *self;
        let datagram = Datagram {
            source,
            destination,
            protocol: whole.protocol,
            named_at: 9,
            hop_limit: 0,
            ecn: whole.ecn,
            payload: &whole.octets,
            packet: &whole.quote,
        };
        if source.is_ipv4() {
            return Some(datagram);
        }
        let upper = ipv6::walk_extensions(whole.protocol, &whole.octets).ok()?;
        upper.fragment.is_none().then_some(Datagram {
            protocol: upper.protocol,
            // Of a packet that was never on the wire: the first fragment's fixed header is the best to point at.
            named_at: 6,
            payload: upper.payload,
            ..datagram
        })
    }
}

impl Stack {
    /// From now on this stack is number `number` of those among which `steering` divides the flows: [`Self::connect`] takes
    /// only ports that make the connection its own, neighbours are answered by number 0 alone, and what is put together
    /// from fragments for others waits in [`Self::poll_stray`].
    ///
    /// To be called before anything else, on each of them, with the same links, addresses and routes. Packets are not
    /// looked at again: whoever hands them in does so where [`Steering::packet`] says.
    pub fn set_share(&mut self, steering: Steering, number: u16) {
        self.share = Some(alloc::boxed::Box::new(Share {
            steering,
            number,
            strays: VecDeque::new(),
        }));
    }

    /// The next datagram that belongs to another shard; to be handed to its [`Self::handle_stray`].
    pub fn poll_stray(&mut self) -> Option<Stray> {
        self.share.as_mut()?.strays.pop_front()
    }

    /// A datagram that another shard has put together.
    pub fn handle_stray(&mut self, now: Instant, stray: &Stray) {
        let how = How {
            foreign: stray.foreign,
            ..How::default()
        };
        match stray.datagram() {
            Some(datagram) => self.handle_datagram(now, stray.link, &datagram, how),
            None => self.counters.bad_ip += 1,
        }
    }

    /// The shard that a connection to `to` from `from`, whose port is given, belongs to. 0 without shards.
    ///
    /// # Errors
    /// As [`Self::connect`], where no local address is found.
    pub fn shard_of(&self, to: SocketAddr, from: SocketAddr) -> Result<u16, ConnectError> {
        let Some(share) = &self.share else {
            return Ok(0);
        };
        let (path, remote) = self.way_to(to)?;
        let ip = self.choose_source(remote, Some(from), &path)?;
        let local = socket_address(ip, from.port(), path.link);
        Ok(share.steering.connection(&Endpoints { local, remote }))
    }

    /// Whether neighbours' questions are this stack's to answer.
    pub(super) fn answers_neighbours(&self) -> bool {
        self.share.as_ref().is_none_or(|share| share.number == 0)
    }

    /// A datagram is whole: it is handled here, or waits for the shard whose it is.
    pub(super) fn handle_whole(
        &mut self,
        now: Instant,
        fragment: &Fragment<'_>,
        whole: Whole,
        foreign: bool,
    ) {
        let mut stray = Stray {
            to: 0,
            link: fragment.link,
            source: fragment.key.source,
            destination: fragment.key.destination,
            foreign,
            whole,
        };
        if let Some(share) = &mut self.share
            && let Some(datagram) = stray.datagram()
            && let Shard::One(owner) = share.steering.datagram(&datagram)
            && owner != share.number
        {
            if share.strays.len() < MOST {
                stray.to = owner;
                share.strays.push_back(stray);
            } else {
                self.counters.dropped_out += 1;
            }
            return;
        }
        self.handle_stray(now, &stray);
    }
}
