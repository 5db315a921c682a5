//! SKELETON
use crate::segment::Endpoints;
use crate::seq::SeqNum;
use crate::time::Instant;

/// Secrets of RFC 6528.
#[derive(Clone)]
pub struct IsnKey([u8; 16]);
impl IsnKey {
    /// From 128 random bits.
    pub const fn new(key: [u8; 16]) -> Self { Self(key) }
    /// ISN = M + F(localip, localport, remoteip, remoteport, secretkey); M steps every 4 us (MUST-8, MUST-9, SHLD-1).
    pub fn isn(&self, now: Instant, endpoints: &Endpoints) -> SeqNum { todo!() }
    /// The random offset of the timestamp clock towards this peer (RFC 7323 section 5.4).
    pub fn timestamp_offset(&self, endpoints: &Endpoints) -> u32 { todo!() }
}
