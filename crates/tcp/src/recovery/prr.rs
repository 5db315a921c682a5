//! Proportional rate reduction: how much may fly while losses are repaired (RFC 9937).

/// The variables of RFC 9937 section 5; octets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prr {
    /// prr_delivered: delivered since the recovery began.
    delivered: u64,
    /// prr_out: sent since then.
    out: u64,
    /// RecoverFS: what flew when it began, without what SACK had reported before.
    recover_fs: u64,
    /// What may fly now.
    window: u64,
}

/// An acknowledgement, as far as PRR asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrrAck {
    /// DeliveredData.
    pub(crate) delivered: u64,
    /// Octets in flight after it, what it showed to be lost taken off.
    pub(crate) in_flight: u64,
    /// ssthresh.
    pub(crate) threshold: u64,
    /// SND.UNA moved, and no further loss was shown: SafeACK.
    pub(crate) safe: bool,
    /// SMSS.
    pub(crate) mss: u64,
}

impl Prr {
    /// A recovery begins: RecoverFS, and what may fly until the first acknowledgement is counted.
    pub(crate) fn enter(&mut self, recover_fs: u64, window: u64) {
        *self = Self {
            recover_fs: recover_fs.max(1),
            window,
            ..Self::default()
        };
    }

    /// So many octets were sent.
    pub(crate) fn on_sent(&mut self, octets: u64) {
        self.out += octets;
    }

    /// An acknowledgement arrived.
    pub(crate) fn on_ack(&mut self, ack: &PrrAck) {
        if ack.delivered == 0 {
            return;
        }
        self.delivered += ack.delivered;
        let mut count = if ack.in_flight > ack.threshold {
            // In proportion, so that at the end so much flies as ssthresh says.
            let share = u128::from(self.delivered) * u128::from(ack.threshold);
            let share = share.div_ceil(u128::from(self.recover_fs));
            u64::try_from(share)
                .unwrap_or(u64::MAX)
                .saturating_sub(self.out)
        } else {
            // As slow start, while nothing more is lost; else no more than arrives.
            let mut most = self.delivered.saturating_sub(self.out).max(ack.delivered);
            if ack.safe {
                most += ack.mss;
            }
            most.min(ack.threshold - ack.in_flight)
        };
        if self.out == 0 {
            // The fast retransmission itself.
            count = count.max(ack.mss);
        }
        self.window = ack.in_flight + count;
    }

    /// The recovery is over.
    pub(crate) fn leave(&mut self) {
        *self = Self::default();
    }

    /// cwnd of the recovery; `None`: there is none.
    pub(crate) fn window(&self) -> Option<u64> {
        (self.recover_fs > 0).then_some(self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u64 = 1000;

    fn ack(delivered: u64, in_flight: u64, threshold: u64, safe: bool) -> PrrAck {
        PrrAck {
            delivered,
            in_flight,
            threshold,
            safe,
            mss: MSS,
        }
    }

    /// Twenty fly, the first is lost; every acknowledgement brings one SACK, and ssthresh is the half: one goes for two.
    #[test]
    fn one_goes_for_two_while_more_flies_than_ssthresh() {
        let mut prr = Prr::default();
        prr.enter(20 * MSS, 0);
        let (mut flying, mut sent) = (20 * MSS, 0);
        // The three duplicates that began it are SACKed, and the first is lost.
        flying -= 4 * MSS;
        for delivered in 1..=10 {
            prr.on_ack(&ack(MSS, flying, 10 * MSS, false));
            while prr.window().unwrap() >= flying + MSS {
                prr.on_sent(MSS);
                flying += MSS;
                sent += 1;
            }
            assert_eq!(sent, (delivered / 2).max(1), "after {delivered}");
            flying -= MSS;
        }
    }

    /// The same where half of the flight is lost: what flies is built up again, by two for one while it is safe.
    #[test]
    fn below_ssthresh_it_conserves_and_grows_only_while_that_is_safe() {
        let mut prr = Prr::default();
        prr.enter(20 * MSS, 0);
        prr.on_ack(&ack(MSS, 4 * MSS, 10 * MSS, false));
        assert_eq!(prr.window().unwrap(), 5 * MSS, "as much as arrived");
        prr.on_sent(MSS);
        prr.on_ack(&ack(MSS, 4 * MSS, 10 * MSS, true));
        assert_eq!(prr.window().unwrap(), 6 * MSS, "and one more");
        prr.on_sent(2 * MSS);
        prr.on_ack(&ack(9 * MSS, 4 * MSS, 10 * MSS, true));
        assert_eq!(prr.window().unwrap(), 10 * MSS, "never above ssthresh");
    }

    #[test]
    fn the_first_goes_whatever_the_proportion_says() {
        let mut prr = Prr::default();
        prr.enter(100 * MSS, 0);
        prr.on_ack(&ack(0, 99 * MSS, 50 * MSS, false));
        assert_eq!(prr.window().unwrap(), 0, "nothing was delivered");
        prr.on_ack(&ack(1, 99 * MSS, 0, false));
        assert_eq!(prr.window().unwrap(), 100 * MSS);
        prr.on_sent(MSS);
        prr.on_ack(&ack(1, 99 * MSS, 0, false));
        assert_eq!(prr.window().unwrap(), 99 * MSS, "once");
    }
}
