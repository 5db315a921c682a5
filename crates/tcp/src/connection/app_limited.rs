//! "Did the user leave nothing to send?": samples of the rate say then what he wrote, not what the path takes.

use super::Connection;

impl Connection {
    /// CheckIfApplicationLimited (draft-ietf-ccwg-bbr section 4.1.2.4): before the user's text is taken, before an acknowledgement is
    /// counted, and before a timer is served. Less than a segment is nothing: the Nagle algorithm may hold it.
    pub(super) fn check_app_limited(&mut self) {
        if self.snd.unsent() >= self.snd.mss || self.snd.in_flight.has_lost() {
            return;
        }
        let flying = self.recovery.pipe(&self.snd);
        if flying < self.congestion.window()
            && let Some(rates) = &mut self.rates
        {
            rates.flight.delivery.on_app_limited(flying);
        }
    }
}
