//! See TCP happen: ladders (text and SVG), tcpdump text, JSON lines, pcapng; in English and in Chinese.
//!
//! Everything starts from a [`Timeline`]: what TCP said (through `woshou_tcp::Observer`) and what the wire did.
//! A [`Sink`] collects it while a simulation or a live stack runs; the renderers are pure functions of it:
//! [`ladder::text`], [`ladder::svg`], [`tcpdump::text`], [`jsonl::text`], [`pcapng::write`], [`plot::svg`]. Live frames go into a
//! [`pcapng::PcapngWriter`] one by one.
#![forbid(unsafe_code)]

pub mod jsonl;
pub mod ladder;
mod numbers;
mod packet;
pub mod pcapng;
pub mod plot;
#[cfg(test)]
mod scene;
pub mod sink;
pub mod tcpdump;
pub mod timeline;
pub mod words;

pub use sink::Sink;
pub use timeline::{Fate, Host, HostId, PacketId, Record, Timeline, What};
pub use words::Lang;
