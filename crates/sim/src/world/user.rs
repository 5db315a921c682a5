//! What happens inside a host: its stack is given time and packets, its programs hear of it, and all that
//! they owe is taken.

use bytes::Bytes;
use woshou_stack::Packet;
use woshou_tcp::Instant;

use super::{AppId, Happening, World};
use crate::app::{App, AppContext};
use crate::device;
use crate::host::HostId;

impl World<'_> {
    /// Hands a packet to a stack.
    pub(super) fn deliver(&mut self, host: HostId, inside: woshou_stack::LinkId, octets: &Bytes) {
        let now = self.now();
        let node = self.node_mut(host);
        let owner = node.host.owned_buffers.then_some(octets);
        let packet = Packet {
            octets,
            owner,
            checksum_valid: node.host.trusts_wire,
            segment_size: None,
        };
        node.stack.handle_packet(now, inside, packet);
        self.settle(host);
    }

    /// A time that a stack had asked for has come, unless it asked for another since.
    pub(super) fn stack_timer(&mut self, host: HostId) {
        let now = self.now();
        let node = self.node_mut(host);
        if node.timer_at == Some(now) {
            node.timer_at = None;
            node.on_agenda_at = None;
            node.stack.handle_timeout(now);
            self.settle(host);
        }
    }

    /// Calls a program.
    pub(super) fn with_app(
        &mut self,
        id: AppId,
        call: impl FnOnce(&mut dyn App, &mut AppContext<'_>),
    ) {
        self.call_app(id, call);
        self.settle(id.host);
    }

    fn call_app(&mut self, id: AppId, call: impl FnOnce(&mut dyn App, &mut AppContext<'_>)) {
        let now = self.now();
        let mut wakes: Vec<Instant> = Vec::new();
        let node = self.node_mut(id.host);
        if let Some(app) = node.apps.get_mut(id.number) {
            let mut cx = AppContext {
                stack: &mut node.stack,
                now,
                wakes: &mut wakes,
            };
            call(app.as_mut(), &mut cx);
        }
        for at in wakes {
            self.agenda.push(at, Happening::AppTime(id));
        }
    }

    /// Takes everything that a stack owes, until it owes nothing more: packets, events, a timer.
    pub(super) fn settle(&mut self, host: HostId) {
        self.tell(host);
        // Both, not the first that has something; packets first, so that what an event makes a program do
        // comes after what the stack did by itself.
        while self.transmit(host) | self.notify(host) {
            if self.is_stuck() {
                break;
            }
        }
        let now = self.now();
        let node = self.node_mut(host);
        let due_at = node.stack.poll_timeout().map(|at| at.max(now));
        node.timer_at = due_at;
        if let Some(at) = due_at
            && node
                .on_agenda_at
                .is_none_or(|on_agenda_at| at < on_agenda_at)
        {
            node.on_agenda_at = due_at;
            self.agenda.push(at, Happening::StackTimer(host));
        }
    }

    /// Hands what happened inside TCP to the watcher.
    fn tell(&mut self, host: HostId) {
        if self.watcher.is_none() {
            return;
        }
        let events = self.node(host).trace.take();
        if let Some(watcher) = self.watcher.as_deref_mut() {
            for (now, who, event) in events {
                watcher.tcp(host, now, &who, &event);
            }
        }
    }

    fn transmit(&mut self, host: HostId) -> bool {
        let now = self.now();
        let mut any = false;
        let mut packets = std::mem::take(&mut self.leaving);
        while !self.is_stuck() {
            let Self { nodes, press, .. } = self;
            let node = &mut nodes[host.0 as usize]; // Promised by the caller: see the type's documentation.
            let finishes = !node.host.trusts_wire;
            let Some(transmit) = node.stack.poll_transmit(now) else {
                break;
            };
            let inside = transmit.link;
            device::print(press, &transmit, finishes, &mut packets);
            any = true;
            self.at_once += 1;
            self.tell(host);
            for octets in packets.drain(..) {
                self.leave(host, inside, &octets);
            }
        }
        self.leaving = packets;
        any
    }

    fn notify(&mut self, host: HostId) -> bool {
        let mut any = false;
        while !self.is_stuck() {
            let Some(event) = self.node_mut(host).stack.poll_event() else {
                break;
            };
            any = true;
            self.at_once += 1;
            for number in 0..self.node(host).apps.len() {
                self.call_app(AppId { host, number }, |app, cx| app.on_event(cx, event));
            }
            self.tell(host);
        }
        any
    }
}
