//! A whole network in one thread, in virtual time, from a seed.
//!
//! A [`World`] holds hosts, each with a whole [`Stack`](woshou_stack::Stack), and links between them that
//! delay, lose, flip bits of, double and reorder packets by chance. Nothing waits for a clock: time jumps
//! from one happening to the next, so that a minute of TIME-WAIT takes no time. All chance comes from one
//! number: the same seed gives the same octets on the wire, on every machine.
//!
//! ```no_run
//! use woshou_sim::scenario::{Scenario, run};
//!
//! let outcome = run(Scenario::Classic, 1, &mut ());
//! assert_eq!(outcome.check(), Ok(()));
//! ```
#![forbid(unsafe_code)]

pub mod app;
pub mod clock;
pub mod content;
pub mod conversation;
mod device;
pub mod experiment;
pub mod host;
pub mod link;
mod node;
pub mod scenario;
pub mod seed;
mod segment;
pub mod watch;
pub mod world;

pub use app::{App, AppContext, Party, Report, Script};
pub use content::Content;
pub use conversation::{Conversation, Fault, Outcome, Side};
pub use experiment::{Algorithm, Experiment, Figures, Findings, Flow, QueueSize, Samples};
pub use host::{Host, HostId};
pub use link::Path;
pub use link::loss::LossCause;
pub use watch::{PacketId, Sight, Trouble, Watcher};
pub use world::{AppId, Halt, LinkId, PathsId, Traffic, World};
