//! See TCP happen: ladders (text and SVG), tcpdump text, JSON lines, pcapng; in English and in Chinese.
//!
//! Everything starts from a [`Timeline`]: what TCP said (through `woshou_tcp::Observer`) and what the wire did.
//! A [`Sink`] collects it while a simulation or a live stack runs; the renderers are pure functions of it:
//! `ladder::text(&Timeline, &ladder::Options { lang, colour, brief }) -> String`, `ladder::svg(&Timeline, &ladder::Options) -> String`,
//! `tcpdump::text(&Timeline, &tcpdump::Options { timestamps, numbers }) -> String`, `jsonl::text(&Timeline, Lang) -> String`,
//! `pcapng::write(&Timeline, Lang, impl Write) -> Result<(), PcapError>`, and for live frames `pcapng::PcapngWriter<W>`.
#![forbid(unsafe_code)]

pub mod sink;
pub mod timeline;

pub use sink::Sink;
pub use timeline::{Fate, Host, HostId, PacketId, Record, Timeline, What};
