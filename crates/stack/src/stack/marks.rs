//! The user's part of the IP header: TTL or hop limit, and the Diffserv field (RFC 9293 sections 3.9.1.9, 3.9.2).

use alloc::sync::Arc;

use woshou_tcp::{Config, Endpoints, Instant};

use super::Stack;
use crate::listeners::ListenerId;
use crate::marks::{Marks, flow_label};
use crate::table::{Body, ConnId};

impl Stack {
    /// Sets TTL or hop limit of what is sent from now on; 0 counts as 1.
    pub fn set_ttl(&mut self, id: ConnId, ttl: u8) {
        if let Some(slot) = self.table.of_user_mut(id) {
            slot.marks.set_ttl(ttl);
        }
    }

    /// TTL or hop limit; `None` for ids that name nothing.
    #[must_use]
    pub fn ttl(&self, id: ConnId) -> Option<u8> {
        self.table.of_user(id).map(|slot| slot.marks.ttl())
    }

    /// Sets TOS or traffic class of what is sent from now on: the Diffserv field in the six upper bits (RFC 2474). The two
    /// lower ones are ECN's, and not set by this.
    ///
    /// To be chosen before the SYN leaves, and then left alone, where nothing speaks against it: segments with different
    /// fields overtake each other (RFC 9293 SHLD-23, RFC 7657). The peer chooses for its own segments.
    //= rfc9293 SHLD-21
    pub fn set_tos(&mut self, id: ConnId, tos: u8) {
        if let Some(slot) = self.table.of_user_mut(id) {
            slot.marks.set_tos(tos);
        }
    }

    /// TOS or traffic class of what is sent, the bits of ECN being zero; `None` for ids that name nothing.
    #[must_use]
    pub fn tos(&self, id: ConnId) -> Option<u8> {
        self.table.of_user(id).map(|slot| slot.marks.tos())
    }

    /// TOS or traffic class of the segment that came last, the bits of ECN as they came; `None` for ids that name nothing,
    /// and before the first segment.
    #[must_use]
    pub fn received_tos(&self, id: ConnId) -> Option<u8> {
        self.table.of_user(id)?.received_tos
    }

    /// TTL or hop limit of what a listener and its connections send from now on, 0 counting as 1; `None`: the stack's.
    pub fn set_listener_ttl(&mut self, id: ListenerId, ttl: Option<u8>) {
        if let Some(entry) = self.listeners.get_mut(id) {
            entry.ttl = ttl;
        }
    }

    /// TOS or traffic class of what a listener and its connections send from now on; `None`: the stack's. As
    /// [`Self::set_tos`].
    pub fn set_listener_tos(&mut self, id: ListenerId, tos: Option<u8>) {
        if let Some(entry) = self.listeners.get_mut(id) {
            entry.tos = tos;
        }
    }

    /// TOS of what a listener of both families and its connections send over IPv4 from now on, instead of what
    /// [`Self::set_listener_tos`] says; `None`: the stack's.
    pub fn set_listener_tos_v4(&mut self, id: ListenerId, tos: Option<u8>) {
        if let Some(entry) = self.listeners.get_mut(id) {
            entry.tos_v4 = Some(tos);
        }
    }

    /// TTL or hop limit of connections that are not told otherwise.
    #[must_use]
    pub fn usual_ttl(&self) -> u8 {
        self.usual_marks().ttl()
    }

    /// TOS or traffic class of connections that are not told otherwise, the bits of ECN being zero.
    #[must_use]
    pub fn usual_tos(&self) -> u8 {
        self.usual_marks().tos()
    }

    /// How the connection behaves; `None` for ids that name nothing.
    #[must_use]
    pub fn config_of(&self, id: ConnId) -> Option<&Arc<Config>> {
        Some(match &self.table.of_user(id)?.body {
            Body::Opening(opening) => opening.config(),
            Body::Connection(connection) => connection.config(),
        })
    }

    /// Changes how one connection behaves, as [`Self::set_config`]; it has a configuration of its own from then on.
    pub fn tune(&mut self, now: Instant, id: ConnId, change: impl FnOnce(&mut Config)) {
        if let Some(config) = self.config_of(id) {
            let mut own = Config::clone(config);
            change(&mut own);
            self.set_config(now, id, Arc::new(own));
        }
    }

    pub(super) fn usual_marks(&self) -> Marks {
        Marks::new(self.config.ttl, self.config.tos)
    }

    /// Gives a new connection its flow label.
    pub(super) fn label(&mut self, id: ConnId, endpoints: &Endpoints) {
        let label = flow_label(&self.flow_key, endpoints);
        if let Some(slot) = self.table.get_mut(id) {
            slot.flow_label = label;
        }
    }
}
