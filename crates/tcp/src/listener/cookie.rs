//! SYN cookies (RFC 4987 section 3.6): the half-open connection that is kept nowhere but in the numbers of the SYN,ACK.

use core::fmt;
use core::time::Duration;

use siphasher::sip::SipHasher24;
use woshou_wire::tcp_option::TcpOptions;

use crate::config::Config;
use crate::options::{Agreed, Offer, Setup};
use crate::packed::PackedEndpoints;
use crate::segment::{Flags, Header};
use crate::seq::SeqNum;
use crate::time::Instant;

/// A cookie tells in which slot it was made, and counts in that slot and the next: for 64 to 128 s.
const SLOT: Duration = Duration::from_secs(64);
/// What a cookie can say about the peer's MSS: the greatest that is not above it. The usual ones of Ethernet, of tunnels, of
/// jumbo frames, and of those that want little.
const MSS_V4: [u16; 8] = [64, 536, 1200, 1360, 1400, 1440, 1460, 8960];
const MSS_V6: [u16; 8] = [64, 536, 1220, 1340, 1380, 1420, 1440, 8940];
/// Bits of the initial sequence number that say which MSS.
const MSS_BITS: u32 = 3;
/// The bit above them: the slot's lowest.
const SLOT_BIT: u32 = 1 << MSS_BITS;
/// Bits of our TSval that say what was agreed.
const OPTION_BITS: u32 = 6;
const OPTIONS: u32 = (1 << OPTION_BITS) - 1;
/// Snd.Wind.Shift; this one: no scaling.
const NO_SCALE: u32 = 15;
/// Both want SACK.
const SACK: u32 = 1 << 4;
/// Both take part in ECN.
const ECN: u32 = 1 << 5;

/// Makes and checks cookies.
///
/// The initial sequence number is 28 bits of a keyed hash (SipHash-2-4 over the four-tuple, the peer's initial sequence
/// number, the slot and all that the other bits say), the lowest bit of the slot, and an index into a table of MSS. The
/// options that both sides agreed on go into the low six bits of our TSval, which then lies up to 63 ms back; without
/// timestamps there are none (no scaling, no SACK).
///
/// Sixteen of the 2^32 numbers count at a time for a given four-tuple and SEG.SEQ, so a forged acknowledgement makes a
/// connection with a probability of 2^-28: at a million a second, once in four and a half minutes, and only while cookies are
/// being sent. A table entry has 2^-32.
///
/// The price: nothing is sent again by itself, and only a segment that begins where the SYN ended makes the connection. If the
/// handshake's last segment is lost and text overtakes text, what comes first is reset, as by any listener.
pub(super) struct Cookies {
    key: [u8; 16],
    /// When the last was sent; before and long after, no acknowledgement can be one.
    sent_at: Option<Instant>,
}

/// Shows no secret.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies")
            .field("sent_at", &self.sent_at)
            .finish_non_exhaustive()
    }
}

/// What the SYN,ACK says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cookie {
    /// Our initial sequence number.
    pub(super) iss: SeqNum,
    /// Our TSval.
    pub(super) timestamp: u32,
}

/// What an acknowledgement said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) iss: SeqNum,
    pub(super) agreed: Agreed,
    /// When the SYN,ACK left at the latest 63 ms later; `None`: nobody knows.
    pub(super) sent_at: Option<Instant>,
}

const fn table(v6: bool) -> &'static [u16; 8] {
    if v6 { &MSS_V6 } else { &MSS_V4 }
}

fn is_v6(setup: &Setup) -> bool {
    setup.endpoints.remote.ip().to_canonical().is_ipv6()
}

impl Cookies {
    pub(super) const fn new(key: [u8; 16]) -> Self {
        Self { key, sent_at: None }
    }

    /// What of `agreed` a cookie can remember: without timestamps, nothing but the MSS.
    pub(super) fn reduce(agreed: Agreed) -> Agreed {
        if agreed.timestamps.is_some() {
            return agreed;
        }
        Agreed {
            scaling: false,
            send_scale: 0,
            receive_scale: 0,
            sack: false,
            ecn: false,
            ..agreed
        }
    }

    /// The cookie for a SYN, to be sent now; `agreed` went through [`Self::reduce`].
    pub(super) fn make(&mut self, now: Instant, setup: &Setup, agreed: &Agreed) -> Cookie {
        self.sent_at = Some(now);
        let table = table(is_v6(setup));
        let index = table.partition_point(|&mss| mss <= agreed.peer_mss);
        let index = u32::try_from(index.saturating_sub(1)).unwrap_or(0);
        let scale = if agreed.scaling {
            u32::from(agreed.send_scale)
        } else {
            NO_SCALE
        };
        let bit = |set, bit| if set { bit } else { 0 };
        let options = scale | bit(agreed.sack, SACK) | bit(agreed.ecn, ECN);
        let slot = slot(now);
        let options = agreed.timestamps.map(|_| options);
        let hash = self.hash(setup, agreed.irs, (slot, index, options));
        #[expect(clippy::cast_possible_truncation, reason = "its lowest bit is wanted")]
        let parity = slot as u32 & 1;
        Cookie {
            iss: SeqNum(hash | (parity * SLOT_BIT) | index),
            timestamp: stamp(setup.timestamp(now), options.unwrap_or(0)),
        }
    }

    /// Whether one was sent so recently that it may come back.
    pub(super) fn recently_sent(&self, now: Instant) -> bool {
        self.sent_at.is_some_and(|at| now.since(at) < 2 * SLOT)
    }

    /// What was agreed when the SYN,ACK was sent that `header` acknowledges; `None`: it was no cookie of ours.
    pub(super) fn check(
        &self,
        now: Instant,
        config: &Config,
        setup: &Setup,
        header: &Header,
    ) -> Option<Remembered> {
        if !self.recently_sent(now) {
            return None;
        }
        let (irs, iss) = (header.seq - 1, header.ack - 1);
        let index = iss.0 & (SLOT_BIT - 1);
        let newest = slot(now);
        let made_in = if (newest & 1 == 1) == (iss.0 & SLOT_BIT != 0) {
            newest
        } else {
            newest.checked_sub(1)?
        };
        let stamps = header.options.timestamps.filter(|_| config.timestamps);
        let options = stamps.map(|stamps| stamps.echo & OPTIONS);
        if self.hash(setup, irs, (made_in, index, options)) != iss.0 & !(SLOT_BIT * 2 - 1) {
            return None;
        }
        let scale = options
            .map(|options| options & 15)
            .filter(|&scale| scale != NO_SCALE);
        let ecn = options.is_some_and(|options| options & ECN != 0);
        // As if the SYN came once more.
        let syn = Header {
            seq: irs,
            flags: if ecn {
                Flags::SYN | Flags::ECE | Flags::CWR
            } else {
                Flags::SYN
            },
            options: TcpOptions {
                mss: table(is_v6(setup)).get(index as usize).copied(),
                window_scale: scale.and_then(|scale| u8::try_from(scale).ok()),
                sack_permitted: options.is_some_and(|options| options & SACK != 0),
                timestamps: stamps,
                ..TcpOptions::default()
            },
            ..Header::default()
        };
        let sent_at = stamps.and_then(|stamps| {
            let ago = setup.timestamp(now).wrapping_sub(stamps.echo);
            let ago = Duration::from_millis(ago.into());
            (ago < 2 * SLOT).then(|| Instant::ZERO + now.since(Instant::ZERO).saturating_sub(ago))
        });
        Some(Remembered {
            iss,
            agreed: Offer::new(config, setup.receive_mss).agree(&setup.endpoints, &syn),
            sent_at,
        })
    }

    /// The high 28 bits.
    fn hash(
        &self,
        setup: &Setup,
        irs: SeqNum,
        (slot, index, options): (u64, u32, Option<u32>),
    ) -> u32 {
        let mut input = [0; 40 + 4 + 8 + 2];
        input[..40].copy_from_slice(&PackedEndpoints::new(&setup.endpoints).octets());
        input[40..44].copy_from_slice(&irs.0.to_be_bytes());
        input[44..52].copy_from_slice(&slot.to_be_bytes());
        input[52] = u8::try_from(index).unwrap_or(0);
        // Six bits, so that "none" is none of them.
        input[53] = options.map_or(u8::MAX, |options| u8::try_from(options).unwrap_or(0));
        let hash = SipHasher24::new_with_key(&self.key).hash(&input);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "28 of 64 equally random bits"
        )]
        let half = hash as u32;
        half & !(SLOT_BIT * 2 - 1)
    }
}

fn slot(now: Instant) -> u64 {
    now.since(Instant::ZERO).as_secs() / SLOT.as_secs()
}

/// The latest TSval that is not later than `clock` and ends in `options`.
fn stamp(clock: u32, options: u32) -> u32 {
    let stamp = (clock & !OPTIONS) | options;
    if clock & OPTIONS < options {
        stamp.wrapping_sub(1 << OPTION_BITS)
    } else {
        stamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Endpoints;
    use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
    use proptest::prelude::*;
    use woshou_wire::tcp_option::Timestamps;

    fn setup(v6: bool, port: u16) -> Setup {
        let end = |host: u8, port| match v6 {
            false => SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), port)),
            true => SocketAddr::from((Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()), port)),
        };
        Setup {
            endpoints: Endpoints {
                local: end(1, 80),
                remote: end(2, port),
            },
            iss: SeqNum(1),
            timestamp_offset: u32::MAX - 5000,
            send_mss: 1460,
            receive_mss: 1460,
        }
    }

    fn agreed(mss: u16, scale: Option<u8>, sack: bool, timestamps: Option<u32>) -> Agreed {
        Agreed {
            irs: SeqNum(u32::MAX),
            peer_mss: mss,
            scaling: scale.is_some(),
            send_scale: scale.unwrap_or(0),
            receive_scale: scale.map_or(0, |_| 10),
            sack,
            timestamps,
            ecn: sack,
        }
    }

    /// The third of the handshake, as a peer sends it.
    fn third(cookie: Cookie, stamps: Option<u32>) -> Header {
        let timestamps = stamps.map(|value| Timestamps {
            value,
            echo: cookie.timestamp,
        });
        Header {
            seq: SeqNum(u32::MAX) + 1,
            ack: cookie.iss + 1,
            flags: Flags::ACK,
            options: TcpOptions {
                timestamps,
                ..TcpOptions::default()
            },
            ..Header::default()
        }
    }

    const BORN: Instant = Instant::from_millis(63_000);

    proptest! {
        /// What was agreed comes back, whatever it was, for as long as a cookie lasts.
        #[test]
        fn all_comes_back(
            v6: bool, port: u16, mss: u16, sack: bool, stamps: Option<u32>,
            scale in prop::option::of(0..=14u8), at in 0..1_000_000u64, later in 0..64_000u64,
        ) {
            let (config, setup) = (Config::default(), setup(v6, port));
            let mut cookies = Cookies::new([5; 16]);
            let made = Instant::from_millis(at);
            let before = Cookies::reduce(agreed(mss, scale, sack, stamps));
            let cookie = cookies.make(made, &setup, &before);
            let back = setup.timestamp(made).wrapping_sub(cookie.timestamp);
            prop_assert!(back < 64, "TSval lies {back} ms back");
            let now = Instant::from_millis(at + later);
            let header = third(cookie, stamps.map(|value| value.wrapping_add(3)));
            let told = cookies.check(now, &config, &setup, &header).unwrap();
            prop_assert_eq!(told.iss, cookie.iss);
            let mss_told = told.agreed.peer_mss;
            prop_assert!(mss_told <= mss.max(64) && table(v6).contains(&mss_told));
            prop_assert!(table(v6).iter().all(|&other| other <= mss_told || other > mss));
            let expected = Agreed {
                peer_mss: mss_told,
                timestamps: stamps.map(|value| value.wrapping_add(3)),
                ..before
            };
            prop_assert_eq!(told.agreed, expected);
            let sent_at = told.sent_at.map(|sent_at| (made.since(Instant::ZERO)).saturating_sub(sent_at.since(Instant::ZERO)));
            prop_assert_eq!(sent_at.is_some(), stamps.is_some());
            prop_assert!(sent_at.is_none_or(|early| early < Duration::from_millis(65)), "{:?}", sent_at);
        }

        /// Another bit anywhere in the numbers is no cookie.
        #[test]
        fn one_bit_spoils_it(bit in 0..70u32, port: u16) {
            let (config, setup) = (Config::default(), setup(false, port));
            let mut cookies = Cookies::new([5; 16]);
            let cookie = cookies.make(BORN, &setup, &agreed(1460, Some(7), true, Some(9)));
            let mut header = third(cookie, Some(9));
            match bit {
                0..32 => header.ack = SeqNum(header.ack.0 ^ (1 << bit)),
                32..64 => header.seq = SeqNum(header.seq.0 ^ (1 << (bit - 32))),
                _ => {
                    let stamps = header.options.timestamps.as_mut().unwrap();
                    stamps.echo ^= 1 << (bit - 64);
                }
            }
            prop_assert_eq!(cookies.check(BORN, &config, &setup, &header), None);
        }
    }

    #[test]
    fn wrong_ones() {
        let config = Config::default();
        let ours = setup(false, 5000);
        let mut cookies = Cookies::new([5; 16]);
        let cookie = cookies.make(BORN, &ours, &agreed(1460, Some(7), true, Some(9)));
        let right = third(cookie, Some(9));
        assert!(cookies.check(BORN, &config, &ours, &right).is_some());
        let mut moved = setup(false, 5000);
        moved.endpoints.remote = "192.0.2.3:5000".parse().unwrap();
        let mut elsewhere = setup(false, 5000);
        elsewhere.endpoints.local = "192.0.2.1:81".parse().unwrap();
        let without = Config {
            timestamps: false,
            ..Config::default()
        };
        let mut other_key = Cookies::new([6; 16]);
        other_key.make(BORN, &setup(false, 1), &agreed(1460, None, false, None));
        let never_sent = Cookies::new([5; 16]);
        let cases = [
            ("another port", &cookies, &config, setup(false, 5001), right),
            ("another address", &cookies, &config, moved, right),
            ("another of our ports", &cookies, &config, elsewhere, right),
            ("no timestamp", &cookies, &config, ours, third(cookie, None)),
            ("timestamps not wanted", &cookies, &without, ours, right),
            ("another secret", &other_key, &config, ours, right),
            ("none was sent", &never_sent, &config, ours, right),
        ];
        for (name, cookies, config, setup, header) in cases {
            assert_eq!(cookies.check(BORN, config, &setup, &header), None, "{name}");
        }
        // Made in the last second of its slot: it lasts the next slot, whatever else is sent then.
        let seconds = |seconds: u64| Instant::from_millis(seconds * 1000);
        for (now, lasts) in [
            (63, true),
            (127, true),
            (128, false),
            (191, false),
            (192, false),
        ] {
            cookies.make(
                seconds(now),
                &setup(false, 1),
                &agreed(1460, None, false, None),
            );
            let told = cookies.check(seconds(now), &config, &ours, &right);
            assert_eq!(told.is_some(), lasts, "{now} s");
        }
        assert!(cookies.recently_sent(seconds(192 + 127)));
        assert!(!cookies.recently_sent(seconds(192 + 128)));
    }

    /// Numbers at random: with 16 right ones in 2^32 a million tries find none, unless the hash is not looked at.
    #[test]
    fn guesses_find_nothing() {
        let (config, setup) = (Config::default(), setup(false, 5000));
        let mut cookies = Cookies::new([5; 16]);
        cookies.make(BORN, &setup, &agreed(1460, None, false, None));
        let mut number = 1_u32;
        let hits = (0..200_000).filter(|_| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let header = Header {
                seq: SeqNum(0),
                ack: SeqNum(number),
                flags: Flags::ACK,
                ..Header::default()
            };
            cookies.check(BORN, &config, &setup, &header).is_some()
        });
        assert_eq!(hits.count(), 0);
    }

    #[test]
    fn shown_without_the_secret() {
        let shown = std::format!("{:?}", Cookies::new([173; 16]));
        assert!(
            shown.contains("Cookies") && !shown.contains("173"),
            "{shown}"
        );
    }

    #[test]
    fn the_stamp_is_the_latest_that_says_it() {
        assert_eq!(ECN & (SACK | 15), 0, "a bit of its own");
        for clock in [0, 1, 62, 63, 64, 1000, u32::MAX] {
            for options in 0..=OPTIONS {
                let stamp = stamp(clock, options);
                assert_eq!(stamp & OPTIONS, options);
                assert!(clock.wrapping_sub(stamp) <= OPTIONS);
            }
        }
    }
}
