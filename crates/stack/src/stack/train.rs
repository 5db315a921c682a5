//! Segments of one connection that leave one after the other: planned and built together, cut here where the device does not
//! cut. What is the same in all of them is written once.
//!
//! A train goes on with the next call of `poll_transmit`, whatever happens in between. What the peer acknowledged meanwhile, or the
//! end of the connection, ends it; text that was noted as sent and did not leave is lost text like any other.

use woshou_tcp::connection::Plan;
use woshou_tcp::{Ecn, Flags, Header, Instant, SeqNum};
use woshou_wire::checksum::{Sum, pseudo_header};
use woshou_wire::ip_protocol;

use super::resolve::Hop;
use super::{Stack, context};
use crate::config::LinkId;
use crate::packet::Transmit;
use crate::segment::{CHECKSUM_AT, Outgoing, SCRATCH};
use crate::table::{Body, ConnId, Slot};

/// Most segments in a train. What a train costs is then little in each of its segments, and who comes meanwhile waits for no more
/// than 0.4 milliseconds of a gigabit.
pub(super) const MOST: u32 = 32;

/// Most segments in a turn where others wait for theirs (decision 031): most of what a train saves is saved by four, and a receiver on
/// this machine is woken once for them. 64 flows then wait for one another no longer than three milliseconds of a gigabit.
pub(super) const QUANTUM: u32 = 4;

/// Octets in a TCP header before the sequence number.
const SEQ_AT: usize = 4;

/// The train under way; none while nothing is left of it.
pub(super) struct Train {
    id: ConnId,
    link: LinkId,
    hop: Hop,
    /// The header of the whole, with the first sequence number.
    header: Header,
    ecn: Ecn,
    /// Octets of text, of each segment but the last, and that left already.
    len: u32,
    step: u32,
    gone: u32,
    /// Where the frame begins in `headers`, where TCP's header does, and where it ends.
    start: usize,
    tcp: usize,
    end: usize,
    /// The sum over all of a segment between the first and the last but its sequence number and text.
    base: Sum,
    headers: [u8; SCRATCH],
}

impl Train {
    pub(super) fn none() -> Self {
        Self {
            id: ConnId {
                index: u32::MAX,
                generation: 0,
            },
            link: LinkId(0),
            hop: Hop::Bare,
            header: Header::default(),
            ecn: Ecn::NotEct,
            len: 0,
            step: 0,
            gone: 0,
            start: 0,
            tcp: 0,
            end: 0,
            base: Sum::ZERO,
            headers: [0; SCRATCH],
        }
    }

    /// The number and the length of the next segment.
    fn next(&self) -> (SeqNum, u32) {
        let len = self.step.min(self.len - self.gone);
        (self.header.seq + self.gone, len)
    }

    fn is_over(&self) -> bool {
        self.gone >= self.len
    }

    /// A segment like the one before it, from `seq` on.
    fn patch(&mut self, seq: SeqNum, text: [&[u8]; 2]) -> Option<()> {
        let tcp = self.headers.get_mut(self.tcp..self.end)?;
        *tcp.get_mut(SEQ_AT..)?.first_chunk_mut()? = seq.0.to_be_bytes();
        let sum = self.base.with_word(seq.0).with(text[0]);
        let sum = if text[1].is_empty() {
            sum
        } else {
            sum.with(text[1])
        };
        let at = usize::from(CHECKSUM_AT);
        *tcp.get_mut(at..)?.first_chunk_mut()? = sum.checksum().to_be_bytes();
        Some(())
    }

    /// Sums what stays the same from here on. `outgoing` was just written.
    fn remember(&mut self, outgoing: &Outgoing<'_>) -> Option<()> {
        let mut header = [0; SCRATCH];
        let tcp = self.headers.get(self.tcp..self.end)?;
        let header = header.get_mut(..tcp.len())?;
        header.copy_from_slice(tcp);
        header.get_mut(SEQ_AT..SEQ_AT + 4)?.fill(0);
        let at = usize::from(CHECKSUM_AT);
        header.get_mut(at..at + 2)?.fill(0);
        let len = u32::try_from(tcp.len()).ok()? + self.step;
        let ends = &outgoing.endpoints;
        let pseudo = pseudo_header(ends.local.ip(), ends.remote.ip(), ip_protocol::TCP, len);
        self.base = pseudo.with(header);
        Some(())
    }
}

impl Stack {
    /// Builds a train of what `plan` says.
    pub(super) fn start_train(&mut self, now: Instant, id: ConnId, plan: Plan, hop: Hop) {
        let Some(Slot {
            body: Body::Connection(connection),
            path,
            ..
        }) = self.table.get_mut(id)
        else {
            return;
        };
        let transmit = connection.build_train(&mut context(now, &mut self.outside), plan);
        let link = path.link;
        let train = &mut self.train;
        train.id = id;
        train.link = link;
        train.hop = hop;
        train.header = transmit.header;
        train.ecn = transmit.ecn;
        train.len = plan.len;
        train.step = transmit.segment_size.map_or(plan.len, u32::from).max(1);
        train.gone = 0;
        self.table.mark_ready(id);
    }

    /// Whether a train is under way. One whose connection has ended, or whose text was acknowledged, is over.
    pub(super) fn has_train(&mut self) -> bool {
        if self.train.is_over() {
            return false;
        }
        let (seq, len) = self.train.next();
        let connection = match self.table.get(self.train.id).map(|slot| &slot.body) {
            Some(Body::Connection(connection)) => connection,
            _ => return self.end_train(),
        };
        connection.still_sends(seq, len) || self.end_train()
    }

    fn end_train(&mut self) -> bool {
        self.train.len = 0;
        false
    }

    /// The next segment of the train.
    pub(super) fn train_segment(&mut self) -> Option<Transmit<'_>> {
        let train = &mut self.train;
        let (seq, len) = train.next();
        let first = train.gone == 0;
        train.gone += len;
        let slot = self.table.get(train.id)?;
        let Body::Connection(connection) = &slot.body else {
            return None;
        };
        let text = connection.sent_text(seq, len)?;
        if first || train.is_over() {
            let mut header = train.header;
            header.seq = seq;
            if !train.is_over() {
                header.flags = header.flags.without(Flags::PSH | Flags::FIN);
            }
            let endpoints = *slot.body.endpoints();
            let outgoing = Outgoing {
                endpoints,
                header,
                text,
                ecn: train.ecn,
                marks: slot.marks,
                flow_label: slot.flow_label,
                partial: false,
                layout: self.config.option_layout,
            };
            (train.tcp, train.end) = outgoing.write(&mut train.headers)?;
            train.start = train
                .hop
                .write(endpoints.remote.is_ipv6(), &mut train.headers);
            train.remember(&outgoing)?;
        } else {
            train.patch(seq, text)?;
        }
        Some(Transmit {
            link: train.link,
            headers: train.headers.get(train.start..train.end)?,
            payload: text,
            checksum: None,
            segment_size: None,
        })
    }
}
