//! What a segment may carry: the peer's MSS, the path's, the user's limit, and the search for the path's where no router
//! tells (RFC 9293 section 3.7, RFC 1191, RFC 8201, RFC 4821, RFC 8899).

use alloc::boxed::Box;

use super::{Connection, Plan};
use crate::config::Config;
use crate::event::{Context, Reason, Timer};
use crate::mtu_probe::{MtuSearch, Probe};
use crate::options::Agreed;
use crate::recovery::Phase;
use crate::time::Instant;

/// Octets that timestamps take in every segment: ten, and two of padding.
const TIMESTAMPS_LEN: u32 = 12;
/// IPv4: where a search begins (eff_pmtu of RFC 4821 section 7.2 allows 1,024; tunnels of tunnels carry it).
const BASE_V4: u16 = 1024;
/// IPv4: where it begins when not even that passes: what fits into the 576 octets that every host takes.
const FLOOR_V4: u16 = 512;
/// IPv6: every link carries 1,280 octets (RFC 8200 section 5), so this passes everywhere.
const BASE_V6: u16 = 1220;
/// Full segments that must follow a probe, so that its loss shows by acknowledgements (RFC 4821 section 7.4).
const BEHIND_PROBE: u32 = 4;

/// Eff.snd.MSS (RFC 9293 section 3.7.1): what the peer takes, the path carries and the user allows, less the timestamps
/// of every segment.
//= rfc9293 MUST-16
pub(super) fn effective_mss(config: &Config, agreed: &Agreed, send_mss: u16) -> u32 {
    let options = if agreed.timestamps.is_some() {
        TIMESTAMPS_LEN
    } else {
        0
    };
    let mss = agreed.peer_mss.min(send_mss);
    let mss = config.mss_clamp.map_or(mss, |clamp| mss.min(clamp));
    let mss = mss.max(config.min_send_mss);
    u32::from(mss).saturating_sub(options).max(1)
}

impl Connection {
    /// The path carries segments of at most `send_mss` octets (without options) from now on. What flies in larger ones is
    /// sent again at once, and is no sign of congestion (RFC 1191 section 6.5). Where it carries more than before and
    /// [`Config::mtu_probing`] is on, larger segments are tried with one probe first.
    pub fn set_send_mss(&mut self, cx: &mut Context<'_>, send_mss: u16) {
        let before = self.send_limit();
        self.setup.send_mss = send_mss;
        let flying = self.search.as_deref().and_then(MtuSearch::flying);
        if let Some(probe) = flying.filter(|probe| probe.size > send_mss) {
            self.resend_probe(probe);
        }
        let ceiling = self.ceiling();
        let low = before.min(ceiling);
        self.search = (self.config.mtu_probing && low < ceiling)
            .then(|| Box::new(MtuSearch::new(low, ceiling, ceiling)));
        self.apply_mss();
        self.rearm(cx.now);
    }

    /// What it was told last that the path carries, octets of text without options.
    #[must_use]
    pub fn path_mss(&self) -> u16 {
        self.setup.send_mss
    }

    /// What a search for the path's MTU has found where no router told: octets of text without options that pass, and hardly
    /// more do. `None`: nothing hinders, or the search goes on.
    #[must_use]
    pub fn found_mss(&self) -> Option<u16> {
        self.search.as_deref()?.found()
    }

    /// Whether `seq` is the number of an octet sent and not acknowledged: what an ICMP error that is not forged quotes
    /// (RFC 5927 section 4.1).
    #[must_use]
    pub fn is_in_flight(&self, seq: crate::SeqNum) -> bool {
        seq.between(self.snd.una, self.snd.nxt)
    }

    /// Whether what was sent with `seq` may have been more than `octets` octets of text: less is never too big for a
    /// path that carries so many.
    #[must_use]
    pub fn flies_above(&self, seq: crate::SeqNum, octets: u32) -> bool {
        self.is_in_flight(seq) && self.snd.in_flight.record_len(seq) > octets
    }

    /// What the path carries, as far as it is known: the link's or a router's word, or what a search has found.
    fn send_limit(&self) -> u16 {
        let found = self.search.as_deref().map_or(u16::MAX, MtuSearch::low);
        self.setup.send_mss.min(found)
    }

    /// The probe that flies, for loss detection.
    pub(super) fn mtu_probe(&self) -> Option<(crate::SeqNum, crate::SeqNum)> {
        let probe = self.search.as_deref()?.flying()?;
        Some((probe.start, probe.end))
    }

    /// The largest segment worth trying.
    fn ceiling(&self) -> u16 {
        let clamp = self.config.mss_clamp.unwrap_or(u16::MAX);
        self.setup.send_mss.min(self.agreed.peer_mss).min(clamp)
    }

    /// Segments are cut anew by what is known now.
    pub(super) fn apply_mss(&mut self) {
        let mss = effective_mss(&self.config, &self.agreed, self.send_limit());
        if mss < self.snd.mss && self.recovery.resend_larger(&mut self.snd, mss) {
            // What is sent again has its whole time to be acknowledged.
            self.timers.stop(Timer::Retransmission);
        }
        self.snd.mss = mss;
        self.congestion.set_mss(mss);
    }

    /// The retransmission timer fires: may a black hole swallow what is larger than the link's neighbour takes?
    ///
    /// What was lost is sent again in small pieces at the first timeout already; where the network has merely been busy,
    /// an acknowledgement of what was not sent again shows it, or the first new text that flies afterwards probes the old
    /// size. A full segment that left after the one that is missing, and that SACK reported, excuses the path, but not for
    /// ever.
    pub(super) fn suspect_black_hole(&mut self, now: Instant) {
        if !self.config.mtu_probing {
            return;
        }
        let again_after = self.config.mtu_search_interval;
        let head = self.snd.una;
        if let Some(search) = self.search.as_deref_mut() {
            match search.flying() {
                Some(probe) if probe.start == head => search.on_failure(now, again_after),
                _ => search.forget(),
            }
        }
        let limit = self.send_limit().min(self.ceiling());
        let first = self.patience.backoff == 0;
        // What a tail loss probe was cut to did not pass either.
        let swallowed = self.rates.as_deref();
        let swallowed = swallowed.is_some_and(|rates| rates.flight.tlp.is_small_unanswered());
        let base = match self.setup.endpoints.remote.is_ipv6() {
            true => BASE_V6,
            false if (limit > BASE_V4 || first) && !swallowed => BASE_V4,
            false => FLOOR_V4,
        };
        let small = effective_mss(&self.config, &self.agreed, base);
        let in_flight = &self.snd.in_flight;
        let arrived = in_flight.has_newer_sacked_segment(self.snd.mss)
            || (!self.agreed.sack && self.recovery.duplicates > 0);
        // The loss of a single segment is no sign yet.
        let alone = in_flight.octets() < 2 * u64::from(self.snd.mss);
        let excused = (self.patience.backoff < 2 && arrived) || (first && alone);
        if base >= limit || excused || in_flight.record_len(head) <= small {
            return;
        }
        let ceiling = self.ceiling();
        match self.search.as_deref_mut() {
            Some(search) => search.fall(base),
            None => self.search = Some(Box::new(MtuSearch::new(base, limit, ceiling))),
        }
        self.apply_mss();
    }

    /// Octets of text that a tail loss probe repeats at most: so little passes where full segments are swallowed, and the answer
    /// comes a round trip after the probe.
    pub(super) fn tail_room(&self) -> u32 {
        if !self.config.mtu_probing {
            return u32::MAX;
        }
        let base = match self.setup.endpoints.remote.is_ipv6() {
            true => BASE_V6,
            false => BASE_V4,
        };
        effective_mss(&self.config, &self.agreed, base)
    }

    /// A repair began: of all that flew, did only the small end arrive that a tail loss probe repeated? Then larger segments may be
    /// swallowed.
    pub(super) fn suspect_after_probe(&mut self, now: Instant) {
        let small = u64::from(self.tail_room());
        let rates = self.rates.as_deref();
        let probed = rates.is_some_and(|rates| rates.flight.tlp.was_small());
        if probed && self.snd.in_flight.sacked() <= small {
            self.suspect_black_hole(now);
        }
    }

    /// Octets of text in the next probe.
    fn probe_len(&self, now: Instant) -> Option<u32> {
        let size = self.search.as_deref()?.candidate(now, self.ceiling())?;
        let mss = effective_mss(&self.config, &self.agreed, size);
        Some(mss.saturating_sub(self.sack_len()))
    }

    /// Octets of text in the largest segment that may leave now: a probe's, or any other's.
    #[must_use]
    pub fn largest_segment(&self, now: Instant) -> u32 {
        let probe = self.probe_len(now).unwrap_or(0);
        self.snd.mss.max(probe)
    }

    /// Octets of text in a full segment without SACK blocks.
    #[must_use]
    pub fn segment_len(&self) -> u32 {
        self.snd.mss
    }

    /// Whether SACK blocks shorten the next segment: text arrived out of order, or twice.
    #[must_use]
    pub fn carries_blocks(&self) -> bool {
        self.sack_len() > 0
    }

    /// After a timeout, `ack` covers more than a small segment's worth that was not sent again: the first copies arrived,
    /// and the path carries full segments.
    pub(super) fn excuse_path(&mut self, ack: crate::SeqNum) {
        let lost = self.search.as_ref().and(self.snd.in_flight.next_lost());
        let Some((start, _)) = lost.filter(|_| matches!(self.recovery.phase, Phase::Loss { .. }))
        else {
            return;
        };
        if !ack.after(start + self.snd.mss) {
            return;
        }
        let ceiling = self.ceiling();
        if let Some(search) = self.search.as_deref_mut() {
            search.stand_up();
        }
        self.search = self.search.take().filter(|search| !search.is_over(ceiling));
        self.apply_mss();
    }

    /// New text in a segment larger than any that is known to pass (RFC 4821 section 7.4).
    pub(super) fn plan_mtu_probe(&self, now: Instant, max_text: u32) -> Option<Plan> {
        self.search.as_deref()?;
        let calm = self.recovery.phase == Phase::Open
            && self.recovery.duplicates == 0
            && !self.snd.in_flight.has_sacked()
            && !self.snd.in_flight.has_lost();
        let len = self.probe_len(now).filter(|_| calm)?;
        let seq = self.snd.nxt;
        let with_followers = len + BEHIND_PROBE * self.snd.mss;
        let fits = len > self.snd.mss
            && len <= max_text
            && self.snd.unsent() >= with_followers
            && self.snd.usable_window() >= with_followers
            && self.congestion_room(now) >= u64::from(len)
            && self.contiguous(seq, len) == len;
        fits.then_some(Plan {
            reason: Reason::MtuProbe,
            seq,
            len,
            fin: false,
        })
    }

    /// A probe left.
    pub(super) fn note_mtu_probe(&mut self, now: Instant, plan: &Plan) {
        let ceiling = self.ceiling();
        if let Some(search) = self.search.as_deref_mut()
            && let Some(size) = search.candidate(now, ceiling)
        {
            let (start, end) = (plan.seq, plan.seq + plan.len);
            search.on_sent(Probe { start, end, size });
        }
    }

    /// An acknowledgement may tell what became of a probe.
    pub(super) fn judge_mtu_probe(&mut self, now: Instant) {
        let Some(search) = self.search.as_deref_mut() else {
            return;
        };
        let Some(probe) = search.flying() else {
            return;
        };
        let again_after = self.config.mtu_search_interval;
        if self.snd.una.at_or_after(probe.end) {
            search.on_success(now, again_after);
            let ceiling = self.ceiling();
            self.search = self.search.take().filter(|search| !search.is_over(ceiling));
            self.apply_mss();
        } else if self.snd.in_flight.is_lost_within(probe.start, probe.end) {
            search.on_failure(now, again_after);
            self.resend_probe(probe);
        }
    }

    /// A probe that was lost goes again in segments that pass; that is no sign of congestion (RFC 4821 section 7.5).
    fn resend_probe(&mut self, probe: Probe) {
        self.snd.in_flight.mark_lost_within(probe.start, probe.end);
        self.recovery.owed = self.recovery.owed.or(Some(Reason::LossRecovery));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Offer, Setup};
    use crate::segment::{Endpoints, Flags, Header};
    use crate::seq::SeqNum;
    use woshou_wire::tcp_option::TcpOptions;

    /// What comes of an absurd offer, and of a limit of our own.
    #[test]
    fn segments_by_offer_path_and_clamp() {
        // The peer's MSS, the path's, the clamp; the text of a segment. 88 is the default floor.
        for (v6, offer, path, clamp, expected) in [
            (false, None, 1460, None, 536),
            (true, None, 1440, None, 1220),
            (false, Some(0), 1460, None, 88),
            (false, Some(1), 1460, None, 88),
            (false, Some(40), 1460, None, 88),
            (false, Some(88), 1460, None, 88),
            (false, Some(89), 1460, None, 89),
            (false, Some(65_535), 1460, None, 1460),
            (true, Some(65_535), 1440, None, 1440),
            (false, Some(1460), 1240, None, 1240),
            (false, Some(1460), 1460, Some(1000), 1000),
            (false, Some(900), 1460, Some(1000), 900),
            (false, Some(1460), 1460, Some(0), 88),
        ] {
            let config = Config {
                mss_clamp: clamp,
                timestamps: false,
                ..Config::default()
            };
            let host = |n| {
                if v6 {
                    alloc::format!("[fd00::{n}]:1")
                } else {
                    alloc::format!("10.0.0.{n}:1")
                }
            };
            let endpoints = Endpoints {
                local: host(1).parse().expect("an address"),
                remote: host(2).parse().expect("an address"),
            };
            let setup = Setup {
                endpoints,
                iss: SeqNum(u32::MAX),
                timestamp_offset: 0,
                send_mss: path,
                receive_mss: path,
            };
            let ours = Offer::new(&config, setup.receive_mss);
            assert_eq!(ours.mss, clamp.map_or(path, |clamp: u16| clamp.min(path)));
            let header = Header {
                flags: Flags::SYN,
                options: TcpOptions {
                    mss: offer,
                    ..TcpOptions::default()
                },
                ..Header::default()
            };
            let agreed = ours.agree(&endpoints, &header);
            assert_eq!(
                effective_mss(&config, &agreed, path),
                expected,
                "{offer:?} {path} {clamp:?}"
            );
        }
    }
}
