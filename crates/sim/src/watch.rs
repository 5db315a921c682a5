//! Who watches the network: told of every packet and of everything that happens inside TCP, in order.

use bytes::Bytes;
use woshou_tcp::{Endpoints, Instant, TraceEvent};

use crate::host::HostId;
use crate::link::loss::LossCause;
use crate::world::LinkId;

/// A packet of the world, numbered from 0 in the order in which they leave. All copies share the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketId(pub u64);

/// An IP packet at one end of a link.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Which.
    pub id: PacketId,
    /// When.
    pub at: Instant,
    /// On which link.
    pub link: LinkId,
    /// Who sent it.
    pub from: HostId,
    /// Whom the link leads to.
    pub to: HostId,
    /// From the IP header on, as on the wire here: when it arrives, a bit of them may be flipped.
    pub octets: &'a Bytes,
    /// What the link did to it; nothing yet when it leaves.
    pub trouble: Trouble,
}

/// What a link did to a packet that it did not lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// A bit was flipped.
    pub corrupted: bool,
    /// It is the second copy.
    pub duplicate: bool,
    /// It was held back, so that later ones could overtake it.
    pub held: bool,
}

/// A watcher. Every method does nothing by default.
///
/// The order is that of cause and effect: the TCP event [`TraceEvent::Sent`] comes right before [`left`] of
/// the packet that carries it (of several packets, when the segment is larger than one), and [`arrived`] right
/// before the events that the packet causes.
///
/// [`left`]: Self::left
/// [`arrived`]: Self::arrived
pub trait Watcher {
    /// A packet leaves a host.
    fn left(&mut self, _sight: &Sight<'_>) {}
    /// A packet arrives at a host.
    fn arrived(&mut self, _sight: &Sight<'_>) {}
    /// A packet that left will never arrive; said as soon as that is decided, not when it would have arrived.
    fn lost(&mut self, _sight: &Sight<'_>, _cause: LossCause) {}
    /// Whether it wants to hear what happens inside TCP; asked once, when the world begins. Where nobody does, no trace is
    /// kept, which makes the world faster.
    fn wants_tcp(&self) -> bool {
        true
    }
    /// Something happened inside the TCP of a host, to the connection between `who`.
    fn tcp(&mut self, _host: HostId, _now: Instant, _who: &Endpoints, _event: &TraceEvent) {}
}

/// Watches nothing.
impl Watcher for () {
    fn wants_tcp(&self) -> bool {
        false
    }
}

/// Both watch, the first one first.
impl<A: Watcher, B: Watcher> Watcher for (A, B) {
    fn left(&mut self, sight: &Sight<'_>) {
        self.0.left(sight);
        self.1.left(sight);
    }
    fn arrived(&mut self, sight: &Sight<'_>) {
        self.0.arrived(sight);
        self.1.arrived(sight);
    }
    fn lost(&mut self, sight: &Sight<'_>, cause: LossCause) {
        self.0.lost(sight, cause);
        self.1.lost(sight, cause);
    }
    fn wants_tcp(&self) -> bool {
        self.0.wants_tcp() || self.1.wants_tcp()
    }
    fn tcp(&mut self, host: HostId, now: Instant, who: &Endpoints, event: &TraceEvent) {
        self.0.tcp(host, now, who, event);
        self.1.tcp(host, now, who, event);
    }
}

impl<W: Watcher + ?Sized> Watcher for &mut W {
    fn left(&mut self, sight: &Sight<'_>) {
        (**self).left(sight);
    }
    fn arrived(&mut self, sight: &Sight<'_>) {
        (**self).arrived(sight);
    }
    fn lost(&mut self, sight: &Sight<'_>, cause: LossCause) {
        (**self).lost(sight, cause);
    }
    fn wants_tcp(&self) -> bool {
        (**self).wants_tcp()
    }
    fn tcp(&mut self, host: HostId, now: Instant, who: &Endpoints, event: &TraceEvent) {
        (**self).tcp(host, now, who, event);
    }
}
