//! pcapng files: of a timeline ([`write()`]), and of a live device frame by frame ([`PcapngWriter`]).
//!
//! Nanosecond timestamps, a direction flag, and a comment on each packet that says what tcpdump cannot know: the
//! sender's state and why the segment was sent. Wireshark shows it as `frame.comment`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness, PcapError};

use crate::ladder::story::{Arrow, Course, Mark, tell};
use crate::timeline::{PacketId, Timeline, What};
use crate::words::Lang;

/// The most octets of a comment: the length field of an option has 16 bits.
const MAX_COMMENT: usize = 32_768;

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// The IP header: TUN, and the simulator.
    Raw,
    /// An Ethernet header: TAP, veth.
    Ethernet,
}

/// Which way a frame went, as the captured interface sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Received.
    Inbound,
    /// Sent.
    Outbound,
}

/// Writes a pcapng file as frames come. Give it a buffered writer; little-endian on every machine.
pub struct PcapngWriter<W: Write> {
    writer: PcapNgWriter<W>,
    interfaces: u32,
    /// One frame put together; kept for its capacity.
    frame: Vec<u8>,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file with one interface called `name`.
    ///
    /// # Errors
    /// What `into` reports.
    pub fn new(into: W, link: LinkType, name: &str) -> io::Result<Self> {
        let writer = PcapNgWriter::with_endianness(into, Endianness::Little).map_err(io_error)?;
        let mut this = Self {
            writer,
            interfaces: 0,
            frame: Vec::new(),
        };
        this.interface(link, name)?;
        Ok(this)
    }

    /// Adds an interface; returns its number, counted from 0.
    fn interface(&mut self, link: LinkType, name: &str) -> io::Result<u32> {
        let link = match link {
            LinkType::Raw => DataLink::RAW,
            LinkType::Ethernet => DataLink::ETHERNET,
        };
        let options = vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(clip(name).to_owned())),
            // 10^-9 s; the default would be microseconds.
            InterfaceDescriptionOption::IfTsResol(9),
        ];
        let block = InterfaceDescriptionBlock {
            linktype: link,
            snaplen: 0,
            options,
        };
        self.writer.write_pcapng_block(block).map_err(io_error)?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// Writes one frame on the first interface: its octets are `parts` one after the other. `now` counts nanoseconds
    /// from 1970; an empty `comment` is left out.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn frame(
        &mut self,
        now: u64,
        direction: Direction,
        parts: &[&[u8]],
        comment: &str,
    ) -> io::Result<()> {
        self.frame_at(0, now, direction, (parts, comment))
    }

    fn frame_at(
        &mut self,
        interface: u32,
        now: u64,
        direction: Direction,
        (parts, comment): (&[&[u8]], &str),
    ) -> io::Result<()> {
        self.frame.clear();
        for part in parts {
            self.frame.extend_from_slice(part);
        }
        let flags = match direction {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        };
        let mut options = vec![EnhancedPacketOption::Flags(flags)];
        if !comment.is_empty() {
            options.push(EnhancedPacketOption::Comment(Cow::Borrowed(clip(comment))));
        }
        let block = EnhancedPacketBlock {
            interface_id: interface,
            timestamp: Duration::from_nanos(now),
            original_len: u32::try_from(self.frame.len()).map_err(io::Error::other)?,
            data: Cow::Borrowed(&self.frame),
            options,
        };
        self.writer.write_pcapng_block(block).map_err(io_error)?;
        Ok(())
    }

    /// Flushes, and gives the writer back.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn finish(self) -> io::Result<W> {
        let mut writer = self.writer.into_inner();
        writer.flush()?;
        Ok(writer)
    }

    /// Hands everything written so far on.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.get_mut().flush()
    }
}

/// Cuts at a character boundary so that the length fits its field.
fn clip(words: &str) -> &str {
    &words[..words.floor_char_boundary(MAX_COMMENT)]
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

/// Writes the packets of `timeline`, each once, when it leaves, on the interface of the host that sends it; the
/// origin of time becomes 1970. Lost packets are there too, and say so. Without a watched wire there is nothing to write but
/// the interfaces.
///
/// # Errors
/// What `into` reports.
pub fn write<W: Write>(timeline: &Timeline, lang: Lang, into: W) -> io::Result<W> {
    let stories = tell(timeline);
    let arrows: BTreeMap<PacketId, &Arrow> = stories
        .iter()
        .flat_map(|story| &story.rows)
        .filter_map(|row| match &row.mark {
            Mark::Arrow(arrow) => Some((arrow.packet?, &**arrow)),
            _ => None,
        })
        .collect();
    let mut hosts = timeline.hosts().iter();
    let first = hosts.next().map_or("wire", |host| host.name.as_str());
    let mut writer = PcapngWriter::new(into, LinkType::Raw, first)?;
    for host in hosts {
        writer.interface(LinkType::Raw, &host.name)?;
    }
    let last = writer.interfaces - 1;
    for record in timeline.records() {
        if let What::Left {
            packet,
            from,
            octets,
        } = &record.what
        {
            let name = timeline.name(*from);
            let comment = arrows
                .get(packet)
                .map_or(String::new(), |a| comment(name, a, lang));
            let now = record.now.as_nanos();
            let content = (&[&octets[..]][..], comment.as_str());
            writer.frame_at(
                last.min(u32::from(from.0)),
                now,
                Direction::Outbound,
                content,
            )?;
        }
    }
    writer.finish()
}

/// `client SYN-SENT, open: own ISN, options offered; lost`.
fn comment(name: &str, arrow: &Arrow, lang: Lang) -> String {
    let mut words = name.to_owned();
    if let Some(state) = arrow.state {
        words = format!("{words} {state}");
    }
    if let Some(reason) = arrow.reason {
        words = format!("{words}, {}", lang.reason(reason));
    }
    if let Course::Lost(fate) = arrow.course {
        words = format!("{words}; {}", lang.fate(fate));
    }
    words
}

#[cfg(test)]
#[path = "pcapng_tests.rs"]
mod tests;
