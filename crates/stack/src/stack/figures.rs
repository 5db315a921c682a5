//! Figures about connections.

use alloc::vec::Vec;

use woshou_tcp::{Endpoints, Instant, TcpInfo};

use super::Stack;
use crate::table::{ConnId, Holder, Place, Slot};

impl Stack {
    /// Figures about it; `None` for ids that name nothing.
    #[must_use]
    pub fn info(&self, now: Instant, id: ConnId) -> Option<TcpInfo> {
        self.table.of_user(id).map(|slot| Self::info_of(slot, now))
    }

    fn info_of(slot: &Slot, now: Instant) -> TcpInfo {
        let mut info = slot.body.info(now);
        info.pmtu = slot.path.mtu;
        info
    }

    /// Figures about all connections, in the order of [`Self::connections`]: TIME-WAIT and half-open ones too, of which
    /// little is known. The id names those that a user holds.
    #[must_use]
    pub fn connection_infos(&self, now: Instant) -> Vec<(Option<ConnId>, Endpoints, TcpInfo)> {
        let here = self.table.iter_ids().filter_map(|(id, slot)| {
            let id = (slot.holder == Holder::User).then_some(id);
            let info = || (id, *slot.body.endpoints(), Self::info_of(slot, now));
            (slot.place == Place::Here).then(info)
        });
        let half_open = self.listeners.iter().flat_map(|entry| {
            entry.listener.half_open_endpoints().filter_map(move |who| {
                let info = entry.listener.half_open_info(now, &who)?;
                Some((None, who, info))
            })
        });
        let waiting = self
            .time_waits
            .iter()
            .map(|entry| (None, entry.endpoints(), entry.time_wait.info()));
        here.chain(half_open).chain(waiting).collect()
    }
}
