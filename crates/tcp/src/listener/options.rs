//! What a user of a listener changes while it listens.

use alloc::sync::Arc;

use super::Listener;
use crate::config::Config;
use crate::connection::figures::options;
use crate::connection::window_of_syn;
use crate::error::PathError;
use crate::event::Context;
use crate::info::TcpInfo;
use crate::rtt::RttEstimator;
use crate::segment::Endpoints;
use crate::seq::SeqNum;
use crate::state::State;
use crate::time::Instant;

impl Listener {
    /// Connections that open from now on behave by `config`; the limit and the timers of the half-open stay.
    pub fn set_config(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    /// The network reported an error about our SYN,ACK to `endpoints`, which began at `seq`. One that will not pass ends the
    /// half-open connection, and the listener listens on; others change nothing, for nobody waits for it yet. A report
    /// that quotes another number is ignored (RFC 5927 section 4.1).
    //= rfc9293 SHLD-26
    pub fn handle_path_error(
        &mut self,
        cx: &mut Context<'_>,
        endpoints: &Endpoints,
        error: PathError,
        seq: SeqNum,
    ) {
        if let Some(slot) = self.half_open.find(endpoints)
            && self
                .half_open
                .get(slot)
                .is_some_and(|entry| entry.iss == seq)
            && error.is_hard()
            && self.config.open_fails_on_hard_error
        {
            self.forget(cx, slot);
        }
    }

    /// As many finished connections may wait for `accept` from now on; zero counts as one. Those that wait already stay.
    pub fn set_backlog(&mut self, backlog: usize) {
        self.backlog = backlog.max(1);
    }

    /// Figures about a half-open connection; `None` where there is none.
    #[must_use]
    pub fn half_open_info(&self, now: Instant, who: &Endpoints) -> Option<TcpInfo> {
        let entry = self.half_open.get(self.half_open.find(who)?)?;
        let setup = entry.setup();
        let repeats = entry.syn_acks.saturating_sub(1);
        let rto = RttEstimator::new(
            self.config.initial_rto,
            self.config.min_rto,
            self.config.max_rto,
        );
        Some(TcpInfo {
            options: options(&entry.agreed),
            snd_wscale: entry.agreed.send_scale,
            rcv_wscale: entry.agreed.receive_scale,
            retransmits: repeats,
            backoff: repeats,
            rto: rto.backed_off(repeats),
            unacked: u32::from(entry.syn_acks > 0),
            advmss: u32::from(
                self.config
                    .mss
                    .map_or(setup.receive_mss, |mss| mss.min(setup.receive_mss)),
            ),
            pmtu: u32::from(setup.send_mss) + who.fixed_headers(),
            rcv_wnd: window_of_syn(&self.config),
            total_retrans: u64::from(repeats),
            total_rto: u32::from(repeats),
            total_rto_recoveries: u32::from(repeats > 0),
            last_data_recv: now.since(entry.since),
            last_ack_recv: now.since(entry.since),
            ..TcpInfo::new(State::SynReceived)
        })
    }

    /// Finished connections that wait for `accept`, and how many may.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        (self.waiting, self.backlog)
    }
}
