//! TCP options: kinds, parsing at any alignment, writing in the layout of a well-known system.

/// Most octets of options that a header can carry: its longest length, 60, less the fixed 20.
pub const MAX_OPTIONS: usize = 40;

/// End of Option List (RFC 9293 section 3.2).
pub const KIND_EOL: u8 = 0;
/// No-Operation (RFC 9293 section 3.2).
pub const KIND_NOP: u8 = 1;
/// Maximum Segment Size (RFC 9293 section 3.7.1).
pub const KIND_MSS: u8 = 2;
/// Window Scale (RFC 7323 section 2).
pub const KIND_WINDOW_SCALE: u8 = 3;
/// SACK-permitted (RFC 2018 section 2).
pub const KIND_SACK_PERMITTED: u8 = 4;
/// SACK (RFC 2018 section 3).
pub const KIND_SACK: u8 = 5;
/// Timestamps (RFC 7323 section 3).
pub const KIND_TIMESTAMPS: u8 = 8;

const MSS_LEN: u8 = 4;
const WINDOW_SCALE_LEN: u8 = 3;
const SACK_PERMITTED_LEN: u8 = 2;
const TIMESTAMPS_LEN: u8 = 10;
const BLOCK_LEN: usize = 8;

/// Timestamps option, kind 8 (RFC 7323 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the newest clock of the other side that the sender echoes; meaningful with ACK only.
    pub echo: u32,
}

/// One SACK block: octets `left .. right` arrived (RFC 2018 section 3). Both are sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlock {
    /// First sequence number of the block.
    pub left: u32,
    /// The sequence number that follows the block.
    pub right: u32,
}

/// At most four SACK blocks, in the order of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [SackBlock; 4],
    len: u8,
}

impl SackBlocks {
    /// The most blocks that fit in 40 octets of options.
    pub const MAX: usize = 4;

    /// No blocks.
    pub const EMPTY: Self = Self {
        blocks: [SackBlock { left: 0, right: 0 }; 4],
        len: 0,
    };

    /// Appends a block; returns `false` (and drops it) when four are held already.
    pub fn push(&mut self, block: SackBlock) -> bool {
        let Some(slot) = self.blocks.get_mut(usize::from(self.len)) else {
            return false;
        };
        *slot = block;
        self.len += 1;
        true
    }

    /// The blocks, in the order of the wire.
    #[must_use]
    pub fn as_slice(&self) -> &[SackBlock] {
        &self.blocks[..usize::from(self.len)]
    }

    /// Whether there is no block.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps the first `n` blocks.
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(u8::try_from(n).unwrap_or(u8::MAX));
    }
}

/// The options of one TCP header, as values.
///
/// What a parser did not understand is skipped by its length (RFC 9293 MUST-6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum Segment Size, kind 2; octets of text a segment may carry, without options (RFC 9293 3.7.1).
    pub mss: Option<u16>,
    /// Window Scale shift, kind 3 (RFC 7323 section 2). As on the wire: may exceed 14.
    pub window_scale: Option<u8>,
    /// SACK-permitted, kind 4 (RFC 2018 section 2).
    pub sack_permitted: bool,
    /// SACK, kind 5.
    pub sack: SackBlocks,
    /// Timestamps, kind 8.
    pub timestamps: Option<Timestamps>,
}

/// In which order options are written, and how they are padded.
///
/// A peer reads any; a fingerprint and a byte-for-byte comparison tell them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// MSS, SACK-permitted, timestamps, NOP, scale; every option ends on a word, NOPs in front.
    #[default]
    Linux,
    /// MSS, NOP, scale, SACK-permitted, timestamps; what is left of the last word is EOL and zeroes.
    FreeBsd,
}

/// One option as it lies in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawOption<'a> {
    /// Kind.
    pub kind: u8,
    /// What follows kind and length; empty for NOP.
    pub data: &'a [u8],
}

/// Options one by one, in the order of the wire, NOPs included; ends at EOL, at the end of the octets, or
/// after the first error.
#[derive(Clone, Debug)]
pub struct RawOptions<'a> {
    all: &'a [u8],
    next: usize,
}

impl<'a> RawOptions<'a> {
    /// Walks `options`: what follows the fixed header, up to the data offset.
    #[must_use]
    pub const fn new(options: &'a [u8]) -> Self {
        Self {
            all: options,
            next: 0,
        }
    }
}

impl<'a> Iterator for RawOptions<'a> {
    type Item = Result<RawOption<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.all.get(self.next..)?;
        let kind = *rest.first()?;
        match kind {
            KIND_EOL => {
                self.next = self.all.len();
                return None;
            }
            KIND_NOP => {
                self.next += 1;
                return Some(Ok(RawOption { kind, data: &[] }));
            }
            _ => {}
        }
        //= rfc9293 MUST-68
        let len = rest.get(1).copied().map(usize::from);
        let data = len.and_then(|len| rest.get(2..len));
        //= rfc9293 MUST-7
        let (Some(len), Some(data)) = (len, data) else {
            self.next = self.all.len();
            let cause = match len {
                None => Cause::NoLength,
                Some(0 | 1) => Cause::LengthBelowTwo,
                Some(_) => Cause::PastEnd,
            };
            return Some(Err(Fault { kind, cause }));
        };
        self.next += len;
        Some(Ok(RawOption { kind, data }))
    }
}

/// An option whose length is illegal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TCP option of kind {kind}: {cause}")]
pub struct Fault {
    /// The kind of the option.
    pub kind: u8,
    /// What is wrong with its length.
    pub cause: Cause,
}

/// What is wrong with the length of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The octets end before the length.
    #[error("there is no length")]
    NoLength,
    /// Zero or one, which is less than kind and length take.
    #[error("the length is below two")]
    LengthBelowTwo,
    /// The option is longer than what is left.
    #[error("the length runs past the end of the header")]
    PastEnd,
    /// Not the length that this kind has.
    #[error("the length does not fit the kind")]
    WrongForKind,
}

/// Options with an illegal length among them (RFC 9293 MUST-7).
///
/// Nothing after it can be trusted, so reading stopped there. Dropping the segment is safe; going on with
/// `understood`, as most stacks do, keeps a connection through a broken middlebox alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Malformed {
    /// The options in front of the illegal one.
    pub understood: TcpOptions,
    /// What is wrong.
    pub fault: Fault,
}

impl TcpOptions {
    /// Reads the options of a header, at any alignment; of an option that comes twice, the last counts.
    ///
    /// Kinds that are not known here are skipped by their length.
    ///
    /// # Errors
    /// [`Malformed`] when a length is illegal; it holds the options in front.
    //= rfc9293 MUST-4
    //= rfc9293 MUST-5
    //= rfc9293 MUST-64
    pub fn parse(options: &[u8]) -> Result<Self, Malformed> {
        // What nearly every segment of an established connection carries.
        if let [1, 1, 8, 10, v0, v1, v2, v3, e0, e1, e2, e3] = *options {
            return Ok(Self {
                timestamps: Some(Timestamps {
                    value: u32::from_be_bytes([v0, v1, v2, v3]),
                    echo: u32::from_be_bytes([e0, e1, e2, e3]),
                }),
                ..Self::default()
            });
        }
        let mut understood = Self::default();
        for option in RawOptions::new(options) {
            if let Err(fault) = option.and_then(|option| understood.read(option)) {
                return Err(Malformed { understood, fault });
            }
        }
        Ok(understood)
    }

    fn read(&mut self, option: RawOption<'_>) -> Result<(), Fault> {
        let kind = option.kind;
        let wrong = Fault {
            kind,
            cause: Cause::WrongForKind,
        };
        match kind {
            KIND_MSS => {
                self.mss = Some(u16::from_be_bytes(
                    option.data.try_into().map_err(|_| wrong)?,
                ));
            }
            KIND_WINDOW_SCALE => {
                let [shift] = *option.data else {
                    return Err(wrong);
                };
                self.window_scale = Some(shift);
            }
            KIND_SACK_PERMITTED if option.data.is_empty() => self.sack_permitted = true,
            KIND_SACK_PERMITTED => return Err(wrong),
            KIND_SACK => self.sack = read_blocks(option.data).ok_or(wrong)?,
            KIND_TIMESTAMPS => {
                self.timestamps = Some(read_timestamps(option.data).ok_or(wrong)?);
            }
            //= rfc9293 MUST-6
            _ => {}
        }
        Ok(())
    }

    /// Octets that [`write`](Self::write) writes: 0 to 40, a multiple of four.
    #[must_use]
    pub fn encoded_len(&self, layout: Layout) -> usize {
        self.write(layout, &mut [0; MAX_OPTIONS])
    }

    /// Writes the options to the front of `into` and returns their length, a multiple of four.
    ///
    /// SACK blocks that do not fit into 40 octets are left out, the last ones first: 3 fit beside timestamps.
    pub fn write(&self, layout: Layout, into: &mut [u8; MAX_OPTIONS]) -> usize {
        let mut writer = Writer { into, len: 0 };
        match layout {
            Layout::Linux => self.write_linux(&mut writer),
            Layout::FreeBsd => self.write_freebsd(&mut writer),
        }
        //= rfc9293 MUST-69
        while !writer.len.is_multiple_of(4) {
            writer.put(&[KIND_EOL]);
        }
        writer.len
    }

    /// The timestamps, where they are all there is: what nearly every segment of an established connection has.
    #[inline]
    #[must_use]
    pub fn timestamps_alone(&self) -> Option<Timestamps> {
        let others = self.mss.is_some() || self.window_scale.is_some() || self.sack_permitted;
        self.timestamps.filter(|_| !others && self.sack.is_empty())
    }

    /// These options as octets, where timestamps are all there is.
    #[inline]
    pub(crate) fn only_timestamps(&self) -> Option<[u8; 12]> {
        let Timestamps { value, echo } = self.timestamps_alone()?;
        let ([v0, v1, v2, v3], [e0, e1, e2, e3]) = (value.to_be_bytes(), echo.to_be_bytes());
        let (nop, kind, len) = (KIND_NOP, KIND_TIMESTAMPS, TIMESTAMPS_LEN);
        Some([nop, nop, kind, len, v0, v1, v2, v3, e0, e1, e2, e3])
    }

    fn write_linux(&self, writer: &mut Writer<'_>) {
        writer.mss(self.mss);
        // SACK-permitted takes the place of the two NOPs in front of timestamps.
        if self.sack_permitted {
            if self.timestamps.is_none() {
                writer.put(&[KIND_NOP; 2]);
            }
            writer.sack_permitted();
        }
        if let Some(timestamps) = self.timestamps {
            writer.align_to(2);
            writer.timestamps(timestamps);
        }
        if let Some(shift) = self.window_scale {
            writer.put(&[KIND_NOP, KIND_WINDOW_SCALE, WINDOW_SCALE_LEN, shift]);
        }
        writer.sack(&self.sack);
    }

    fn write_freebsd(&self, writer: &mut Writer<'_>) {
        writer.mss(self.mss);
        if let Some(shift) = self.window_scale {
            writer.put(&[KIND_NOP, KIND_WINDOW_SCALE, WINDOW_SCALE_LEN, shift]);
        }
        if self.sack_permitted {
            writer.sack_permitted();
        }
        if let Some(timestamps) = self.timestamps {
            writer.align_to(2);
            writer.timestamps(timestamps);
        }
        writer.sack(&self.sack);
    }
}

fn read_timestamps(data: &[u8]) -> Option<Timestamps> {
    let ([value, echo], []) = data.as_chunks() else {
        return None;
    };
    Some(Timestamps {
        value: u32::from_be_bytes(*value),
        echo: u32::from_be_bytes(*echo),
    })
}

fn read_blocks(data: &[u8]) -> Option<SackBlocks> {
    let (chunks @ [_, ..], []) = data.as_chunks::<BLOCK_LEN>() else {
        return None;
    };
    let mut blocks = SackBlocks::EMPTY;
    for [l0, l1, l2, l3, r0, r1, r2, r3] in chunks {
        let left = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
        let right = u32::from_be_bytes([*r0, *r1, *r2, *r3]);
        if !blocks.push(SackBlock { left, right }) {
            return None;
        }
    }
    Some(blocks)
}

/// Appends options. What is asked of it always fits: MSS, scale, SACK-permitted and timestamps take 20
/// octets at most with their padding, and SACK is cut to what is left.
struct Writer<'a> {
    into: &'a mut [u8; MAX_OPTIONS],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, octets: &[u8]) {
        let end = self.len + octets.len();
        if let Some(to) = self.into.get_mut(self.len..end) {
            to.copy_from_slice(octets);
            self.len = end;
        }
    }

    /// NOPs until `octets` into a word.
    fn align_to(&mut self, octets: usize) {
        while self.len % 4 != octets {
            self.put(&[KIND_NOP]);
        }
    }

    fn mss(&mut self, mss: Option<u16>) {
        if let Some(mss) = mss {
            let [high, low] = mss.to_be_bytes();
            self.put(&[KIND_MSS, MSS_LEN, high, low]);
        }
    }

    fn sack_permitted(&mut self) {
        self.put(&[KIND_SACK_PERMITTED, SACK_PERMITTED_LEN]);
    }

    fn timestamps(&mut self, timestamps: Timestamps) {
        self.put(&[KIND_TIMESTAMPS, TIMESTAMPS_LEN]);
        self.put(&timestamps.value.to_be_bytes());
        self.put(&timestamps.echo.to_be_bytes());
    }

    fn sack(&mut self, blocks: &SackBlocks) {
        // Kind and length end a word, so that the blocks begin one.
        let start = (self.len + 2).next_multiple_of(4);
        let fitting = MAX_OPTIONS.saturating_sub(start) / BLOCK_LEN;
        let blocks = blocks.as_slice();
        let blocks = &blocks[..blocks.len().min(fitting)];
        if blocks.is_empty() {
            return;
        }
        self.align_to(2);
        #[expect(clippy::cast_possible_truncation, reason = "at most 34")]
        let len = (2 + blocks.len() * BLOCK_LEN) as u8;
        self.put(&[KIND_SACK, len]);
        for block in blocks {
            self.put(&block.left.to_be_bytes());
            self.put(&block.right.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: TcpOptions = TcpOptions {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        sack: SackBlocks::EMPTY,
        timestamps: None,
    };
    const MSS: TcpOptions = TcpOptions {
        mss: Some(1460),
        ..NONE
    };
    const TS: TcpOptions = TcpOptions {
        timestamps: Some(Timestamps {
            value: 0xffff_fffe,
            echo: 1,
        }),
        ..NONE
    };
    const SYN: TcpOptions = TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: TS.timestamps,
        ..NONE
    };

    fn blocks(n: u32) -> SackBlocks {
        let mut blocks = SackBlocks::EMPTY;
        for i in 0..n {
            let left = 0xffff_fff0_u32.wrapping_add(i * 0x20);
            assert!(blocks.push(SackBlock {
                left,
                right: left.wrapping_add(0x10)
            }));
        }
        blocks
    }

    //= rfc9293 MUST-4 test
    //= rfc9293 MUST-6 test
    //= rfc9293 MUST-64 test
    //= rfc9293 MUST-68 test
    #[test]
    fn timestamps_alone_are_written_in_a_way_of_their_own() {
        let alone = TcpOptions {
            timestamps: Some(Timestamps {
                value: 0x0102_0304,
                echo: 0xfffe_fdfc,
            }),
            ..TcpOptions::default()
        };
        for layout in [Layout::Linux, Layout::FreeBsd] {
            let mut octets = [0; MAX_OPTIONS];
            let len = alone.write(layout, &mut octets);
            assert_eq!(
                alone.only_timestamps().as_ref().map(<[u8; 12]>::as_slice),
                Some(&octets[..len])
            );
        }
        let mut sack = SackBlocks::EMPTY;
        sack.push(SackBlock { left: 1, right: 2 });
        let others = [
            TcpOptions {
                mss: Some(1460),
                ..alone
            },
            TcpOptions {
                window_scale: Some(0),
                ..alone
            },
            TcpOptions {
                sack_permitted: true,
                ..alone
            },
            TcpOptions { sack, ..alone },
            TcpOptions {
                timestamps: None,
                ..alone
            },
        ];
        assert!(
            others
                .iter()
                .all(|options| options.only_timestamps().is_none())
        );
    }

    #[test]
    fn legal_options() {
        let cases: &[(&str, &[u8], TcpOptions)] = &[
            ("none", &[], NONE),
            ("EOL", &[0], NONE),
            ("nothing counts after EOL", &[0, 2, 4, 5, 0xb4, 9, 0], NONE),
            ("MSS", &[2, 4, 5, 0xb4], MSS),
            ("MSS, one octet into a word", &[1, 2, 4, 5, 0xb4], MSS),
            (
                "MSS, three octets into a word",
                &[1, 1, 1, 2, 4, 5, 0xb4, 0],
                MSS,
            ),
            (
                "MSS behind an unknown kind",
                &[253, 5, 1, 2, 3, 2, 4, 5, 0xb4],
                MSS,
            ),
            ("unknown kind of two octets", &[99, 2, 2, 4, 5, 0xb4], MSS),
            ("the second MSS counts", &[2, 4, 1, 1, 2, 4, 5, 0xb4], MSS),
            (
                "timestamps, usual",
                &[1, 1, 8, 10, 255, 255, 255, 254, 0, 0, 0, 1],
                TS,
            ),
            (
                "timestamps, bare",
                &[8, 10, 255, 255, 255, 254, 0, 0, 0, 1, 0, 0],
                TS,
            ),
            (
                "a shift past 14",
                &[3, 3, 255],
                TcpOptions {
                    window_scale: Some(255),
                    ..NONE
                },
            ),
            (
                "SACK-permitted",
                &[4, 2],
                TcpOptions {
                    sack_permitted: true,
                    ..NONE
                },
            ),
            (
                "SACK",
                &[5, 10, 255, 255, 255, 0xf0, 0, 0, 0, 0],
                TcpOptions {
                    sack: blocks(1),
                    ..NONE
                },
            ),
        ];
        for (name, octets, expected) in cases {
            assert_eq!(TcpOptions::parse(octets), Ok(*expected), "{name}");
        }
    }

    //= rfc9293 MUST-7 test
    #[test]
    fn illegal_lengths() {
        const FIVE_BLOCKS: [u8; 42] = {
            let mut octets = [0; 42];
            [octets[0], octets[1]] = [5, 42];
            octets
        };
        use Cause::{LengthBelowTwo, NoLength, PastEnd, WrongForKind};
        let cases: &[(&str, &[u8], u8, Cause)] = &[
            ("no length", &[2], 2, NoLength),
            ("zero", &[2, 0, 5, 0xb4], 2, LengthBelowTwo),
            ("one", &[2, 1, 5, 0xb4], 2, LengthBelowTwo),
            (
                "zero of an unknown kind",
                &[99, 0, 1, 1],
                99,
                LengthBelowTwo,
            ),
            ("past the end", &[2, 4, 5], 2, PastEnd),
            ("far past the end", &[99, 255, 5, 0], 99, PastEnd),
            ("MSS of three", &[2, 3, 5, 0], 2, WrongForKind),
            ("MSS of six", &[2, 6, 5, 0xb4, 0, 0], 2, WrongForKind),
            ("scale of two", &[3, 2, 0, 0], 3, WrongForKind),
            ("scale of four", &[3, 4, 0, 0], 3, WrongForKind),
            ("SACK-permitted of three", &[4, 3, 0, 0], 4, WrongForKind),
            (
                "timestamps of twelve behind two NOPs",
                &[1, 1, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0],
                8,
                PastEnd,
            ),
            ("SACK of no block", &[5, 2, 0, 0], 5, WrongForKind),
            ("SACK of half a block", &[5, 6, 0, 0, 0, 0], 5, WrongForKind),
            ("SACK of five blocks", &FIVE_BLOCKS, 5, WrongForKind),
            (
                "timestamps of nine",
                &[8, 9, 0, 0, 0, 0, 0, 0, 0],
                8,
                WrongForKind,
            ),
        ];
        for (name, octets, kind, cause) in cases {
            let fault = Fault {
                kind: *kind,
                cause: *cause,
            };
            let malformed = Malformed {
                understood: NONE,
                fault,
            };
            assert_eq!(TcpOptions::parse(octets), Err(malformed), "{name}");
        }
    }

    #[test]
    fn what_stands_in_front_of_a_fault_is_kept() {
        let malformed = TcpOptions::parse(&[2, 4, 5, 0xb4, 99, 0, 4, 2]).unwrap_err();
        assert_eq!(malformed.understood, MSS);
    }

    //= rfc9293 MUST-7 test
    #[test]
    fn nothing_is_read_behind_an_illegal_length() {
        for illegal in [&[99, 0, 4, 2][..], &[99, 1, 4, 2], &[99, 9, 4, 2], &[99]] {
            let mut options = RawOptions::new(illegal);
            assert!(options.next().is_some_and(|first| first.is_err()));
            assert_eq!(options.next(), None, "{illegal:?}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn layouts() {
        use Layout::{FreeBsd, Linux};
        const V: [u8; 8] = [255, 255, 255, 254, 0, 0, 0, 1];
        let [a, b, c, d, e, f, g, h] = V;
        let no_ts = TcpOptions {
            timestamps: None,
            ..SYN
        };
        let no_sack = TcpOptions {
            sack_permitted: false,
            ..SYN
        };
        let sack = TcpOptions {
            sack: blocks(1),
            ..NONE
        };
        let cases: &[(&str, TcpOptions, Layout, &[u8])] = &[
            ("none", NONE, Linux, &[]),
            ("none", NONE, FreeBsd, &[]),
            (
                "SYN",
                SYN,
                Linux,
                &[
                    2, 4, 5, 0xb4, 4, 2, 8, 10, a, b, c, d, e, f, g, h, 1, 3, 3, 7,
                ],
            ),
            (
                "SYN",
                SYN,
                FreeBsd,
                &[
                    2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 8, 10, a, b, c, d, e, f, g, h,
                ],
            ),
            (
                "SYN, no timestamps",
                no_ts,
                Linux,
                &[2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7],
            ),
            (
                "SYN, no timestamps",
                no_ts,
                FreeBsd,
                &[2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 0, 0],
            ),
            (
                "SYN, no SACK",
                no_sack,
                Linux,
                &[
                    2, 4, 5, 0xb4, 1, 1, 8, 10, a, b, c, d, e, f, g, h, 1, 3, 3, 7,
                ],
            ),
            (
                "SYN, no SACK",
                no_sack,
                FreeBsd,
                &[
                    2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 8, 10, a, b, c, d, e, f, g, h,
                ],
            ),
            (
                "timestamps",
                TS,
                Linux,
                &[1, 1, 8, 10, a, b, c, d, e, f, g, h],
            ),
            (
                "timestamps",
                TS,
                FreeBsd,
                &[1, 1, 8, 10, a, b, c, d, e, f, g, h],
            ),
            (
                "SACK",
                sack,
                Linux,
                &[1, 1, 5, 10, 255, 255, 255, 0xf0, 0, 0, 0, 0],
            ),
            (
                "SACK",
                sack,
                FreeBsd,
                &[1, 1, 5, 10, 255, 255, 255, 0xf0, 0, 0, 0, 0],
            ),
        ];
        for (name, options, layout, expected) in cases {
            let mut into = [0xee; MAX_OPTIONS];
            let len = options.write(*layout, &mut into);
            assert_eq!(into[..len], **expected, "{name}, {layout:?}");
            assert_eq!(options.encoded_len(*layout), len, "{name}, {layout:?}");
        }
    }

    #[test]
    fn blocks_are_cut_to_what_fits() {
        let cases = [
            ("alone", NONE, [12, 20, 28, 36], [1, 2, 3, 4]),
            ("beside timestamps", TS, [24, 32, 40, 40], [1, 2, 3, 3]),
            ("beside all of a SYN", SYN, [32, 40, 40, 40], [1, 2, 2, 2]),
        ];
        for layout in [Layout::Linux, Layout::FreeBsd] {
            for (name, options, lens, kept) in cases {
                for (n, (len, kept)) in (1..=4).zip(lens.into_iter().zip(kept)) {
                    let options = TcpOptions {
                        sack: blocks(n),
                        ..options
                    };
                    let mut into = [0; MAX_OPTIONS];
                    assert_eq!(options.write(layout, &mut into), len, "{name}, {n} blocks");
                    let read = TcpOptions::parse(&into[..len]).unwrap();
                    assert_eq!(read.sack, blocks(kept), "{name}, {n} blocks");
                }
            }
        }
    }

    #[test]
    fn blocks_use_the_room_behind_half_a_word() {
        let options = TcpOptions {
            sack_permitted: true,
            sack: blocks(4),
            ..MSS
        };
        for (layout, kept) in [(Layout::Linux, 3), (Layout::FreeBsd, 4)] {
            let mut into = [0; MAX_OPTIONS];
            let len = options.write(layout, &mut into);
            let read = TcpOptions::parse(&into[..len]);
            assert_eq!(
                read,
                Ok(TcpOptions {
                    sack: blocks(kept),
                    ..options
                }),
                "{layout:?}"
            );
        }
    }
}
