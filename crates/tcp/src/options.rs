//! What our SYN offers, and what both SYNs agreed on.

use woshou_wire::tcp_option::{TcpOptions, Timestamps};

use crate::config::Config;
use crate::ecn::EcnPolicy;
use crate::segment::{Endpoints, Header};
use crate::seq::SeqNum;
use crate::time::Instant;

/// What a new connection must be told: all that the core cannot make up itself.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Both ends.
    pub endpoints: Endpoints,
    /// Our initial sequence number (RFC 6528; see [`crate::isn`]).
    pub iss: SeqNum,
    /// Added to the clock in every TSval, so that it tells nobody our uptime (RFC 7323 section 5.4).
    pub timestamp_offset: u32,
    /// Largest segment that IP can send, octets without TCP options (MMS_S - 20, RFC 9293 3.7.1).
    pub send_mss: u16,
    /// Largest segment that we can receive, octets without TCP options (MMS_R - 20; MUST-67).
    pub receive_mss: u16,
}

impl Setup {
    /// TSval now: a clock of 1 ms, shifted.
    #[must_use]
    pub fn timestamp(&self, now: Instant) -> u32 {
        timestamp(now, self.timestamp_offset)
    }
}

/// TSval at `now`: milliseconds, shifted by `offset` (RFC 7323 section 5.4).
#[must_use]
pub fn timestamp(now: Instant, offset: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the timestamp clock wraps")]
    let clock = now.as_millis() as u32;
    clock.wrapping_add(offset)
}

/// The options of our SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// MSS to advertise.
    pub mss: u16,
    /// Shift to offer.
    pub window_scale: Option<u8>,
    /// Offer SACK.
    pub sack: bool,
    /// Offer timestamps.
    pub timestamps: bool,
    /// Ask for ECN, or accept it.
    pub ecn: EcnPolicy,
}

/// What both SYNs agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// IRS: the peer's initial sequence number.
    pub irs: SeqNum,
    /// The peer's MSS, or the default where it sent none (MUST-15).
    pub peer_mss: u16,
    /// Both sides sent Window Scale.
    pub scaling: bool,
    /// Snd.Wind.Shift: applied to windows that arrive.
    pub send_scale: u8,
    /// Rcv.Wind.Shift: applied to windows that we send.
    pub receive_scale: u8,
    /// Both sides sent SACK-permitted.
    pub sack: bool,
    /// Both sides sent timestamps; the peer's TSval.
    pub timestamps: Option<u32>,
    /// Both sides take part in ECN (RFC 3168 section 6.1.1).
    pub ecn: bool,
}

/// Largest shift that RFC 7323 section 2.3 allows.
pub const MAX_SCALE: u8 = 14;

impl Offer {
    /// What `config` wants offered on a link whose segments carry `receive_mss` octets.
    #[must_use]
    pub fn new(config: &Config, receive_mss: u16) -> Self {
        let needed = || {
            let mut shift = 0;
            while shift < MAX_SCALE && config.receive_buffer >> shift > usize::from(u16::MAX) {
                shift += 1;
            }
            shift
        };
        Self {
            mss: [config.mss, config.mss_clamp]
                .into_iter()
                .flatten()
                .fold(receive_mss, u16::min),
            window_scale: config.window_scaling.then(|| {
                config
                    .window_scale
                    .map_or_else(needed, |s| s.min(MAX_SCALE))
            }),
            sack: config.sack,
            timestamps: config.timestamps,
            ecn: config.ecn_policy(),
        }
    }

    /// Only its MSS.
    pub(crate) fn bare(self) -> Self {
        Self {
            window_scale: None,
            sack: false,
            timestamps: false,
            ..self
        }
    }

    /// The options of a SYN.
    #[must_use]
    //= rfc9293 MUST-14
    //= rfc9293 MUST-65
    //= rfc9293 MAY-3
    //= rfc9293 SHLD-5
    //= rfc9293 MUST-67
    pub fn syn(&self, timestamp: u32) -> TcpOptions {
        TcpOptions {
            mss: Some(self.mss),
            window_scale: self.window_scale,
            sack_permitted: self.sack,
            timestamps: self.timestamps.then_some(Timestamps {
                value: timestamp,
                echo: 0,
            }),
            ..TcpOptions::default()
        }
    }

    /// The options of a SYN,ACK: only what the peer's SYN had too (RFC 7323 sections 2.2, 3.2; RFC 2018 section 2).
    #[must_use]
    pub fn syn_ack(&self, peer: &TcpOptions, timestamp: u32) -> TcpOptions {
        TcpOptions {
            mss: Some(self.mss),
            window_scale: self.window_scale.filter(|_| peer.window_scale.is_some()),
            sack_permitted: self.sack && peer.sack_permitted,
            timestamps: peer
                .timestamps
                .filter(|_| self.timestamps)
                .map(|theirs| Timestamps {
                    value: timestamp,
                    echo: theirs.value,
                }),
            ..TcpOptions::default()
        }
    }

    /// What this offer and the peer's SYN (or SYN,ACK) come to.
    #[must_use]
    pub fn agree(&self, endpoints: &Endpoints, peer: &Header) -> Agreed {
        let options = &peer.options;
        let scales = self.window_scale.zip(options.window_scale);
        // RFC 9293 MUST-15: 536 for IPv4, 1220 for IPv6. A v4-mapped peer is reached over IPv4.
        let default_mss = match endpoints.remote.ip().to_canonical() {
            core::net::IpAddr::V4(_) => 536,
            core::net::IpAddr::V6(_) => 1220,
        };
        Agreed {
            irs: peer.seq,
            //= rfc9293 MUST-15
            peer_mss: options.mss.unwrap_or(default_mss),
            scaling: scales.is_some(),
            send_scale: scales.map_or(0, |(_, theirs)| theirs.min(MAX_SCALE)),
            receive_scale: scales.map_or(0, |(ours, _)| ours),
            sack: self.sack && options.sack_permitted,
            timestamps: options
                .timestamps
                .filter(|_| self.timestamps)
                .map(|t| t.value),
            ecn: self.ecn.agrees(peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= rfc9293 MUST-14 test
    //= rfc9293 MUST-15 test
    //= rfc9293 MUST-67 test
    //= rfc9293 SHLD-5 test
    fn what_both_want_is_agreed_and_nothing_else() {
        let config = Config::default();
        let ours = Offer::new(&config, 1460);
        let mut endpoints = Endpoints {
            local: "192.0.2.1:1".parse().unwrap(),
            remote: "192.0.2.2:2".parse().unwrap(),
        };
        let bare = Header::default();
        let agreed = ours.agree(&endpoints, &bare);
        assert_eq!(
            (agreed.peer_mss, agreed.scaling, agreed.sack),
            (536, false, false)
        );
        assert_eq!(
            (agreed.timestamps, agreed.send_scale, agreed.receive_scale),
            (None, 0, 0)
        );
        let answer = ours.syn_ack(&bare.options, 7);
        assert_eq!(answer.mss, Some(1460), "whatever the peer says");
        assert_eq!(
            TcpOptions {
                mss: None,
                ..answer
            },
            TcpOptions::default()
        );
        for (remote, mss) in [("[2001:db8::1]:2", 1220), ("[::ffff:192.0.2.2]:2", 536)] {
            endpoints.remote = remote.parse().unwrap();
            assert_eq!(ours.agree(&endpoints, &bare).peer_mss, mss, "{remote}");
        }
        let syn = Header {
            options: TcpOptions {
                mss: Some(1000),
                window_scale: Some(200),
                ..ours.syn(9)
            },
            ..Header::default()
        };
        let agreed = ours.agree(&endpoints, &syn);
        assert_eq!(
            (agreed.peer_mss, agreed.send_scale, agreed.receive_scale),
            (1000, 14, 10)
        );
        assert_eq!((agreed.sack, agreed.timestamps), (true, Some(9)));
        let capped = Config {
            mss: Some(9000),
            ..Config::default()
        };
        assert_eq!(
            Offer::new(&capped, 1460).mss,
            1460,
            "never more than the link receives"
        );
    }
}
