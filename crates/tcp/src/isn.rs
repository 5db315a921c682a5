//! Numbers that nobody on the outside can guess: initial sequence numbers (RFC 6528) and timestamp offsets
//! (RFC 7323 section 5.4).

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;

use crate::segment::Endpoints;
use crate::seq::SeqNum;
use crate::time::Instant;

/// Says what a hash is for. The first octet of what is hashed, so that one key serves as two: the outputs of
/// a keyed pseudo-random function for different inputs tell nothing about each other.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Purpose {
    InitialSequence = 1,
    TimestampOffset = 2,
}

/// The secret of RFC 6528, and the function F keyed by it: SipHash-2-4.
///
/// One for a host, chosen at random when it starts and kept until it ends.
#[derive(Clone)]
pub struct IsnKey([u8; 16]);

/// Does not show the secret.
impl fmt::Debug for IsnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IsnKey(..)")
    }
}

impl IsnKey {
    /// From 128 random bits.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// The initial sequence number of a connection that opens at `now`.
    ///
    /// ISN = M + F(localip, localport, remoteip, remoteport, secretkey), M one step every 4 us; so a new
    /// incarnation of the same four-tuple starts after the one before (unless that sent more than 250 kB/s), and nobody
    /// who knows the ISN of one four-tuple knows that of another.
    ///
    /// Source: RFC 9293 section 3.4.1, RFC 6528 section 3.
    //= rfc9293 MUST-8
    //= rfc9293 MUST-9
    //= rfc9293 SHLD-1
    #[must_use]
    pub fn isn(&self, now: Instant, endpoints: &Endpoints) -> SeqNum {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the clock part wraps every 4.77 h"
        )]
        let clock = (now.as_micros() / 4) as u32;
        SeqNum(self.hash(Purpose::InitialSequence, endpoints)) + clock
    }

    /// What is added to the timestamp clock towards this peer.
    ///
    /// The same for all connections between the two addresses, whatever the ports: timestamps then grow from one incarnation
    /// to the next, which lets the peer shorten TIME-WAIT (RFC 6191 section 3); and another peer cannot compute our
    /// uptime or theirs from its own (RFC 7323 section 5.4).
    #[must_use]
    pub fn timestamp_offset(&self, endpoints: &Endpoints) -> u32 {
        self.hash(Purpose::TimestampOffset, endpoints)
    }

    fn hash(&self, purpose: Purpose, endpoints: &Endpoints) -> u32 {
        let mut input = [0; 37];
        input[0] = purpose as u8;
        input[1..17].copy_from_slice(&octets(&endpoints.local));
        input[17..33].copy_from_slice(&octets(&endpoints.remote));
        if matches!(purpose, Purpose::InitialSequence) {
            input[33..35].copy_from_slice(&endpoints.local.port().to_be_bytes());
            input[35..37].copy_from_slice(&endpoints.remote.port().to_be_bytes());
        }
        let hash = SipHasher24::new_with_key(&self.0).hash(&input);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "32 of 64 equally random bits"
        )]
        let half = hash as u32;
        half
    }
}

/// An address as 16 octets, IPv4 as mapped IPv6.
pub(crate) fn octets(address: &SocketAddr) -> [u8; 16] {
    match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::IsnKey;
    use crate::segment::Endpoints;
    use crate::time::Instant;
    use core::net::SocketAddr;
    use std::format;

    fn endpoints(local: &str, remote: &str) -> Endpoints {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        Endpoints {
            local: parse(local),
            remote: parse(remote),
        }
    }

    const KEY: IsnKey = IsnKey::new([7; 16]);
    const LOCAL: &str = "192.0.2.1:80";
    const REMOTE: &str = "198.51.100.7:40000";

    //= rfc9293 MUST-8 test
    #[test]
    fn the_clock_steps_every_four_microseconds_and_wraps() {
        let who = endpoints(LOCAL, REMOTE);
        let at = |micros| KEY.isn(Instant::from_micros(micros), &who);
        let cases = [
            (0, 0),
            (3, 0),
            (4, 1),
            (4_000_000, 1_000_000),
            (4 << 32, 0),
            ((4 << 32) - 4, u32::MAX),
        ];
        for (micros, steps) in cases {
            assert_eq!(at(micros).distance_from(at(0)), steps, "after {micros} us");
        }
    }

    /// ISN = M + F(localip, localport, remoteip, remoteport, secretkey): the difference of two at one time is that of their
    /// F, whatever the time; and half of F's bits change with the four-tuple.
    //= rfc9293 SHLD-1 test
    #[test]
    fn the_expression() {
        let first = endpoints(LOCAL, REMOTE);
        let mut flipped = 0;
        for port in 1..=1000_u16 {
            let mut other = first;
            other.remote.set_port(port);
            let distance = |micros| {
                let at = Instant::from_micros(micros);
                KEY.isn(at, &other).distance_from(KEY.isn(at, &first))
            };
            let apart = distance(0);
            assert!([3, 4, 1_000_000, 4 << 32].map(distance) == [apart; 4]);
            let (one, two) = (
                KEY.isn(Instant::ZERO, &first).0,
                KEY.isn(Instant::ZERO, &other).0,
            );
            flipped += (one ^ two).count_ones();
        }
        // 16,000 expected; the standard deviation is 90.
        assert!((15_500..16_500).contains(&flipped), "{flipped}");
    }

    //= rfc9293 MUST-9 test
    #[test]
    fn every_part_of_the_four_tuple_and_the_key_count() {
        let isn = |key: &IsnKey, who: &Endpoints| key.isn(Instant::ZERO, who);
        let template = isn(&KEY, &endpoints(LOCAL, REMOTE));
        let cases = [
            ("local address", "192.0.2.2:80", REMOTE),
            ("local port", "192.0.2.1:81", REMOTE),
            ("remote address", LOCAL, "198.51.100.8:40000"),
            ("remote port", LOCAL, "198.51.100.7:40001"),
            ("swapped", REMOTE, LOCAL),
            ("IPv6", "[2001:db8::1]:80", "[2001:db8::2]:40000"),
        ];
        for (name, local, remote) in cases {
            assert_ne!(isn(&KEY, &endpoints(local, remote)), template, "{name}");
        }
        let mut key = [7; 16];
        key[15] = 8;
        assert_ne!(isn(&IsnKey::new(key), &endpoints(LOCAL, REMOTE)), template);
        assert_eq!(isn(&KEY.clone(), &endpoints(LOCAL, REMOTE)), template);
    }

    #[test]
    fn timestamps_are_shifted_by_peer_and_not_by_port() {
        let offset = |local, remote| KEY.timestamp_offset(&endpoints(local, remote));
        let template = offset(LOCAL, REMOTE);
        assert_eq!(offset("192.0.2.1:81", "198.51.100.7:1"), template);
        assert_ne!(offset(LOCAL, "198.51.100.8:40000"), template);
        assert_ne!(offset("192.0.2.2:80", REMOTE), template);
        assert_ne!(
            template,
            KEY.isn(Instant::ZERO, &endpoints(LOCAL, REMOTE)).0
        );
    }

    /// From the numbers of its own connections nobody can work out the number of another: no step that repeats, no part
    /// of a number that stays.
    #[test]
    fn numbers_of_neighbouring_ports_have_nothing_in_common() {
        let isn = |port: u16| {
            let remote = alloc::format!("198.51.100.7:{port}");
            KEY.isn(Instant::ZERO, &endpoints(LOCAL, &remote)).0
        };
        let numbers: alloc::vec::Vec<u32> = (1..=1000).map(isn).collect();
        let steps = numbers.windows(2).map(|two| two[1].wrapping_sub(two[0]));
        let steps: alloc::collections::BTreeSet<u32> = steps.collect();
        assert_eq!(steps.len(), 999);
        for bit in 0..32 {
            let flips = numbers
                .windows(2)
                .filter(|two| (two[0] ^ two[1]) >> bit & 1 == 1);
            let flips = flips.count();
            assert!((420..580).contains(&flips), "bit {bit}: {flips} of 999");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert_eq!(format!("{KEY:?}"), "IsnKey(..)");
    }
}
