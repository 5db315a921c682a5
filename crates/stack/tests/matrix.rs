//! The user's calls in every state (RFC 9293 sections 3.10.1 to 3.10.6), and every segment where there is no connection
//! (section 3.10.7.1). What segments do in the other states is in `crates/tcp/src/connection/tests/matrix`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pair;

use etherparse::{PacketBuilder, SlicedPacket, TcpHeader, TransportSlice};
use pair::{Pair, at};
use woshou_stack::{ConnId, ListenerId};
use woshou_tcp::{SeqNum, State};

const OURS: [u8; 4] = [10, 0, 0, 1];
const THEIRS: [u8; 4] = [10, 0, 0, 2];
/// Our port and the peer's.
const PORT: u16 = 80;
const PEER: u16 = 9;
/// Both numbers wrap with the SYN.
const ISS: u32 = u32::MAX;
const IRS: u32 = u32::MAX;

/// Letters of flags: F S R P A U.
fn packet(flags: &str, seq: u32, ack: u32, text: &[u8]) -> Vec<u8> {
    let mut builder = PacketBuilder::ipv4(THEIRS, OURS, 64).tcp(PEER, PORT, seq, 5000);
    for flag in flags.chars() {
        builder = match flag {
            'F' => builder.fin(),
            'S' => builder.syn(),
            'R' => builder.rst(),
            'P' => builder.psh(),
            'A' => builder.ack(ack),
            'U' => builder.urg(1),
            other => panic!("{other}"),
        };
    }
    let mut octets = Vec::new();
    builder.write(&mut octets, text).unwrap();
    octets
}

/// `S`, `SA`, `FA`, `R`, `RA`, `A` with numbers counted from the SYNs, and the octets of text.
fn name(header: &TcpHeader, text: usize) -> String {
    let flags = [
        (header.syn, "S"),
        (header.fin, "F"),
        (header.rst, "R"),
        (header.urg, "U"),
        (header.ack, "A"),
    ];
    let mut name: String = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
    name += &header.sequence_number.wrapping_sub(ISS).to_string();
    if header.ack {
        name += &format!(":{}", header.acknowledgment_number.wrapping_sub(IRS));
    }
    if text > 0 {
        name += &format!("({text})");
    }
    name
}

/// A stack, its peer made by hand, and who is in the state.
struct Bench {
    pair: Pair,
    id: Option<ConnId>,
    listener: Option<ListenerId>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Col {
    Closed,
    Listen,
    SynSent,
    SynRcvdPassive,
    SynRcvdActive,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

use Col::*;

const COLUMNS: [Col; 12] = [
    Closed,
    Listen,
    SynSent,
    SynRcvdPassive,
    SynRcvdActive,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
];

impl Col {
    const fn state(self) -> State {
        match self {
            Closed => State::Closed,
            Listen => State::Listen,
            SynSent => State::SynSent,
            SynRcvdPassive | SynRcvdActive => State::SynReceived,
            Established => State::Established,
            FinWait1 => State::FinWait1,
            FinWait2 => State::FinWait2,
            CloseWait => State::CloseWait,
            Closing => State::Closing,
            LastAck => State::LastAck,
            TimeWait => State::TimeWait,
        }
    }
}

impl Bench {
    fn new(column: Col) -> Self {
        let mut bench = Self {
            pair: Pair::new(),
            id: None,
            listener: None,
        };
        bench.pair.stacks[0].set_next_isn(SeqNum(ISS));
        match column {
            Listen | SynRcvdPassive => bench.listen(),
            _ => bench.connect(),
        }
        let expected = match column {
            Listen => "",
            SynRcvdPassive => {
                bench.peer("S", IRS, 0, b"");
                "SA0:1"
            }
            _ => "S0",
        };
        let out = bench.out();
        assert_eq!(out, expected, "{column:?}");
        bench.move_on(column);
        bench
    }

    fn listen(&mut self) {
        self.listener = Some(self.pair.stacks[0].listen(at("10.0.0.1", PORT), 4).unwrap());
    }

    fn connect(&mut self) {
        let (to, from) = (at("10.0.0.2", PEER), Some(at("10.0.0.1", PORT)));
        self.id = Some(
            self.pair.stacks[0]
                .connect(self.pair.now, to, from)
                .unwrap(),
        );
    }

    fn move_on(&mut self, column: Col) {
        match column {
            Listen | SynSent | SynRcvdPassive => return,
            Closed => self.peer("RA", 0, ISS.wrapping_add(1), b""),
            SynRcvdActive => self.peer("S", IRS, 0, b""),
            _ => self.peer("SA", IRS, ISS.wrapping_add(1), b""),
        }
        let (next, id) = (IRS.wrapping_add(1), self.id.unwrap());
        if matches!(column, FinWait1 | FinWait2 | Closing | TimeWait) {
            self.pair.stacks[0].shutdown(self.pair.now, id);
            assert!(self.out().ends_with("FA1:1"));
        }
        if matches!(column, FinWait2 | TimeWait) {
            self.peer("A", next, ISS.wrapping_add(2), b"");
        }
        if matches!(column, CloseWait | Closing | LastAck) {
            self.peer("FA", next, ISS.wrapping_add(1), b"");
        }
        if column == TimeWait {
            self.peer("FA", next, ISS.wrapping_add(2), b"");
        }
        if column == LastAck {
            self.pair.stacks[0].shutdown(self.pair.now, id);
            assert!(self.out().ends_with("FA1:2"));
        }
        self.out();
    }

    fn peer(&mut self, flags: &str, seq: u32, ack: u32, text: &[u8]) {
        self.pair.inject(0, &packet(flags, seq, ack, text));
    }

    /// What leaves, one after the other.
    fn out(&mut self) -> String {
        let from = self.pair.log.len();
        self.pair.pump();
        let names = self.pair.log[from..].iter().map(|(side, flying)| {
            assert_eq!(*side, 0);
            let sliced = SlicedPacket::from_ip(&flying.octets).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
                panic!("not TCP")
            };
            name(&tcp.to_header(), tcp.payload().len())
        });
        names.collect::<Vec<_>>().join(" ")
    }

    /// Of the four-tuple; of the listener, or of the id, where there is no connection.
    fn state(&self) -> State {
        let stack = &self.pair.stacks[0];
        let connections = stack.connections();
        if let Some((_, state)) = connections.first() {
            return *state;
        }
        let listens = self.listener.and_then(|id| stack.listener_address(id));
        match listens {
            Some(_) => State::Listen,
            None => self.id.map_or(State::Closed, |id| stack.state(id)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    OpenPassive,
    OpenActive,
    OpenWithoutRemote,
    Send,
    SendUrgent,
    Receive,
    Close,
    Abort,
    Status,
}

use Call::*;

/// Makes the call: `ok`, the octets, or the error.
fn make(bench: &mut Bench, call: Call) -> String {
    let now = bench.pair.now;
    let (id, listener) = (bench.id, bench.listener);
    let stack = &mut bench.pair.stacks[0];
    stack.set_next_isn(SeqNum(ISS));
    let words = |result: Result<usize, String>| match result {
        Ok(octets) => octets.to_string(),
        Err(error) => error,
    };
    let short = |error: &dyn std::fmt::Debug| format!("{error:?}");
    match (call, id) {
        (OpenPassive, _) => match stack.listen(at("10.0.0.1", PORT), 4) {
            Ok(_) => "ok".into(),
            Err(error) => short(&error),
        },
        (OpenActive | OpenWithoutRemote, _) => {
            let to = if call == OpenActive {
                at("10.0.0.2", PEER)
            } else {
                at("0.0.0.0", 0)
            };
            match stack.connect(now, to, Some(at("10.0.0.1", PORT))) {
                Ok(_) => "ok".into(),
                Err(woshou_stack::ConnectError::InvalidAddress(_)) => "InvalidAddress".into(),
                Err(error) => short(&error),
            }
        }
        (Send, Some(id)) => words(stack.write(now, id, b"text").map_err(|e| short(&e))),
        (SendUrgent, Some(id)) => {
            words(stack.write_urgent(now, id, b"text").map_err(|e| short(&e)))
        }
        (Receive, Some(id)) => words(stack.read(now, id, &mut [0; 9]).map_err(|e| short(&e))),
        (Close, Some(id)) => {
            stack.shutdown(now, id);
            "ok".into()
        }
        (Abort, Some(id)) => {
            stack.abort(now, id);
            "ok".into()
        }
        (Close | Abort, None) => {
            stack.close_listener(now, listener.unwrap());
            "ok".into()
        }
        (Status, Some(id)) => {
            let info = stack.info(now, id).map(|info| info.state);
            info.unwrap_or_else(|| stack.state(id)).name().into()
        }
        (Status, None) => bench.state().name().into(),
        // The types have no such call: a listener is not a connection.
        (Send | SendUrgent | Receive, None) => "no such call".into(),
    }
}

/// What the call returns, what leaves, and the state after it where it is another.
fn seen(column: Col, call: Call) -> String {
    let mut bench = Bench::new(column);
    assert_eq!(bench.state(), column.state(), "{column:?} is not reached");
    let mut seen = make(&mut bench, call);
    let out = bench.out();
    if !out.is_empty() {
        seen += &format!(" {out}");
    }
    if bench.state() != column.state() {
        seen += &format!(" -> {}", bench.state());
    }
    seen
}

const EXISTS: &str = "InUse";
const ENDED: &str = "Ended(Closed)";

/// What is returned, what leaves, and `->` the new state. The columns are those of `COLUMNS`; the connections come from
/// an active open, so that passive opens of their port are others' (MUST-41).
#[rustfmt::skip]
const CALLS: &[(Call, [&str; 12])] = &[
    (OpenPassive, ["ok", EXISTS, "ok", EXISTS, "ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok"]),
    (OpenActive, ["ok S0 -> SYN-SENT", "ok S0 -> SYN-SENT", EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS,
        EXISTS, EXISTS]),
    (OpenWithoutRemote, ["InvalidAddress"; 12]),
    // While it opens there is nowhere to queue: "insufficient resources".
    (Send, ["Ended(Refused)", "no such call", "Full", "no such call", "4", "4 A1:1(4)", "Finished", "Finished", "4 A1:2(4)",
        "Finished", "Finished", ENDED]),
    (SendUrgent, ["Ended(Refused)", "no such call", "Full", "no such call", "4", "4 UA1:1(4)", "Finished", "Finished",
        "4 UA1:2(4)", "Finished", "Finished", ENDED]),
    // 0 is "connection closing".
    (Receive, ["Ended(Refused)", "no such call", "Empty", "no such call", "Empty", "Empty", "Empty", "Empty", "0", "0", "0",
        "0"]),
    // In SYN-RECEIVED it is queued until the connection is ESTABLISHED. A second CLOSE is not an error here.
    (Close, ["ok", "ok -> CLOSED", "ok -> CLOSED", "ok -> CLOSED", "ok", "ok FA1:1 -> FIN-WAIT-1", "ok", "ok",
        "ok FA1:2 -> LAST-ACK", "ok", "ok", "ok"]),
    // TIME-WAIT outlives its user's ABORT, as it outlives a RST (RFC 1337).
    (Abort, ["ok", "ok -> CLOSED", "ok -> CLOSED", "ok -> CLOSED", "ok RA1:1 -> CLOSED", "ok RA1:1 -> CLOSED",
        "ok RA2:1 -> CLOSED", "ok RA2:1 -> CLOSED", "ok RA1:2 -> CLOSED", "ok -> CLOSED", "ok -> CLOSED", "ok"]),
    (Status, ["CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
        "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"]),
];

#[test]
fn every_call_in_every_state() {
    let mut wrong = String::new();
    for (call, cells) in CALLS {
        for (column, expected) in COLUMNS.into_iter().zip(cells) {
            let seen = seen(column, *call);
            if seen != *expected {
                wrong += &format!("{call:?} in {column:?}: expected `{expected}`, seen `{seen}`\n");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let all = [
        OpenPassive,
        OpenActive,
        OpenWithoutRemote,
        Send,
        SendUrgent,
        Receive,
        Close,
        Abort,
        Status,
    ];
    for call in all {
        let rows = CALLS.iter().filter(|row| row.0 == call);
        assert_eq!(rows.count(), 1, "{call:?}");
    }
}

/// Flags, octets of text, and the answer where nobody is: sequence number 0 is the wire's, so it is written as such.
#[rustfmt::skip]
const NOBODY: &[(&str, usize, &str)] = &[
    ("", 0, "RA 0 7"), ("", 3, "RA 0 10"),
    ("F", 0, "RA 0 8"), ("F", 3, "RA 0 11"),
    ("S", 0, "RA 0 8"), ("S", 3, "RA 0 11"),
    ("SF", 0, "RA 0 9"), ("SF", 3, "RA 0 12"),
    ("A", 0, "R 500"), ("A", 3, "R 500"),
    ("FA", 0, "R 500"), ("FA", 3, "R 500"),
    ("SA", 0, "R 500"), ("SA", 3, "R 500"),
    ("SFA", 0, "R 500"), ("SFA", 3, "R 500"),
    ("U", 3, "RA 0 10"), ("PU", 3, "RA 0 10"), ("UA", 3, "R 500"), ("SFPU", 0, "RA 0 9"),
    ("R", 0, "-"), ("R", 3, "-"), ("RA", 0, "-"), ("RA", 3, "-"), ("RF", 0, "-"), ("RFA", 0, "-"), ("SR", 0, "-"),
    ("SRA", 0, "-"), ("SRF", 0, "-"), ("SRFA", 0, "-"), ("FSRPAU", 3, "-"),
];

#[test]
fn every_segment_where_nobody_is() {
    for &(flags, len, expected) in NOBODY {
        let mut pair = Pair::new();
        pair.inject(0, &packet(flags, 7, 500, &[0; 3][..len]));
        pair.pump();
        let answers = pair.log.iter().map(|(_, flying)| {
            let sliced = SlicedPacket::from_ip(&flying.octets).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
                panic!("not TCP")
            };
            assert_eq!((tcp.payload().len(), tcp.window_size()), (0, 0), "{flags}");
            assert!(tcp.rst() && !tcp.syn() && !tcp.fin(), "{flags}");
            let seq = tcp.sequence_number();
            if tcp.ack() {
                format!("RA {seq} {}", tcp.acknowledgment_number())
            } else {
                format!("R {seq}")
            }
        });
        let answers = answers.collect::<Vec<_>>().join(" ");
        let seen = if answers.is_empty() { "-" } else { &answers };
        assert_eq!(seen, expected, "{flags} with {len} octets");
    }
}
