//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use woshou_drill::{Leniency, Profile};
use woshou_link::LinkSpec;
use woshou_sim::scenario::Scenario;
use woshou_tcp::congestion::{self, CongestionFactory};
use woshou_trace::words::Lang;

use crate::sim::Sim;

const STATUS: &str = "\
Exit status:
  0  done                 4  timed out            8  address in use
  1  another failure      5  connection reset     9  the server answered with an error
  2  bad arguments        6  unreachable        130  interrupted
  3  connection refused   7  no permission
With --with, `serve` and `listen` end with the status of the command; `drill` ends with 0 only if every
script passed.";

/// TCP as a library, from the first SYN to the last ACK; this is its command.
#[derive(Debug, Parser)]
#[command(name = "woshou", version, after_help = STATUS, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch two hosts talk TCP over a simulated link: no root, no network, the same seed the same output
    Demo(Demo),
    /// Serve the files of a folder by HTTP over woshou's TCP
    Serve(Serve),
    /// Fetch a URL by HTTP over woshou's TCP
    Get(Get),
    /// Accept one connection, and join it to standard input and output
    Listen(Listen),
    /// Open a connection, and join it to standard input and output
    Connect(Connect),
    /// Send flows through a simulated bottleneck in virtual time: one scenario or a matrix; tables, plots, captures
    Sim(Sim),
    /// Run packetdrill scripts against woshou: in process, in virtual time, without root
    Drill(Drill),
}

impl Command {
    /// The link it needs, if it needs one.
    pub(crate) fn link(&self) -> Option<&LinkSpec> {
        match self {
            Self::Demo(_) | Self::Drill(_) | Self::Sim(_) => None,
            Self::Serve(args) => Some(&args.node.link),
            Self::Get(args) => Some(&args.node.link),
            Self::Listen(args) => Some(&args.node.link),
            Self::Connect(args) => Some(&args.node.link),
        }
    }
}

/// How a demo is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Both ends' states and every segment between them
    Ladder,
    /// A line a segment, in tcpdump's old style
    Tcpdump,
    /// A JSON object a line
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = scenarios())]
pub(crate) struct Demo {
    /// What to watch; the list is below
    #[arg(default_value = "classic", value_parser = clap::builder::ValueParser::new(scenario))]
    pub(crate) scenario: Scenario,
    /// The source of all chance: loss, reordering, contents, initial sequence numbers
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How to write it
    #[arg(long, value_enum, default_value = "ladder")]
    pub(crate) format: Format,
    /// Also write the packets to FILE (pcapng, each with a comment that says why it was sent)
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    /// Also draw the ladder, to scale, to FILE (SVG)
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Of runs of everyday segments show N and count the rest (ladder)
    #[arg(long, value_name = "N")]
    pub(crate) brief: Option<usize>,
    /// The language of the words: en or zh
    #[arg(long, default_value = "en")]
    pub(crate) lang: Lang,
}

fn scenario(name: &str) -> Result<Scenario, String> {
    name.parse().map_err(|_| {
        let names: Vec<_> = Scenario::ALL.iter().map(|s| s.name()).collect();
        format!("there is {}", names.join(", "))
    })
}

fn scenarios() -> String {
    let lines = Scenario::ALL
        .iter()
        .map(|s| format!("  {:<20}{}", s.name(), s.english()));
    format!("Scenarios:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

const LINK: &str = "\
private[,mtu=N][,offload=on|off][,way=any|tun|veth|xdp][,queues=N]: a network namespace of its own, with a kernel TCP \
as the peer; tun:NAME[,addr=CIDR...][,peer=IP...][,mtu=N][,offload=on|off][,queues=N]: a TUN device here; or \
xdp:NAME[,addr=CIDR...][,via=IP...][,queue=N][,generic=on|off]: a queue of a device here, taken over by AF_XDP. queues=N \
divides the connections among N stacks, each with a queue and a core";

/// What every command with a real link takes.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// The link.
    #[arg(long, default_value = "private", value_name = "LINK", help = LINK)]
    pub(crate) link: LinkSpec,
    /// Run CMD (by sh -c) on the kernel's side of a private link, with WOSHOU_ADDR and WOSHOU_ADDR6 (ours),
    /// WOSHOU_PEER and WOSHOU_PEER6 (the kernel's) in its environment
    #[arg(long, value_name = "CMD")]
    pub(crate) with: Option<String>,
    /// Give up when the peer is silent for SECS seconds, while opening, sending or waiting for it
    #[arg(long, default_value_t = 30, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) timeout: u32,
    /// The congestion control algorithm: cubic, newreno (or reno), bbr, dctcp
    #[arg(long, default_value = "cubic", value_name = "NAME", value_parser = congestion)]
    pub(crate) cc: Arc<dyn CongestionFactory>,
    /// Print every segment, state change and timer on standard error as it happens
    #[arg(long)]
    pub(crate) trace: bool,
    /// Write the frames to FILE (pcapng, each with a comment that says why it was sent)
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
}

fn congestion(name: &str) -> Result<Arc<dyn CongestionFactory>, String> {
    congestion::by_name(name).ok_or_else(|| format!("there is {}", congestion::NAMES.join(", ")))
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The folder
    pub(crate) dir: PathBuf,
    /// The port
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) node: Node,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// What to fetch.
    #[arg(help = "http://HOST[:PORT]/PATH; the hosts `peer` and `peer6` mean the kernel's side")]
    pub(crate) url: String,
    /// Write to FILE (only when all of it arrived) instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) node: Node,
}

#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// The port
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) node: Node,
}

#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// An address, a name, or `peer` or `peer6` for the kernel's side
    pub(crate) host: String,
    /// The port
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// Which of a script's runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Variant {
    /// IPv4
    Ipv4,
    /// IPv6 sockets that speak IPv4
    #[value(name = "ipv4-mapped-ipv6")]
    Mapped,
    /// IPv6
    Ipv6,
    /// All three, one after the other
    All,
}

/// How the results of a drill are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrillFormat {
    /// A line a script, more for those that fail, and totals
    Text,
    /// A JSON object a line
    Json,
    /// XML, as JUnit writes it
    Junit,
}

#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// Scripts, and folders to search for files that end in .pkt
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) paths: Vec<PathBuf>,
    /// Whose defaults and dialect: linux, freebsd or woshou
    #[arg(long, default_value_t = Profile::Linux)]
    pub(crate) profile: Profile,
    /// Instead of what the script says
    #[arg(long, value_enum)]
    pub(crate) ip_version: Option<Variant>,
    /// Define a symbol
    #[arg(short = 'D', long, value_name = "NAME=VALUE", value_parser = define)]
    pub(crate) define: Vec<(String, String)>,
    /// Where the strict comparison fails, allow for: options (as a set), window (not compared), acks (surplus ones
    /// skipped, their time not compared), segmentation (text as a range of octets); the report says what was needed
    #[arg(long, value_name = "SWITCH,...", value_delimiter = ',')]
    pub(crate) lenient: Vec<Leniency>,
    /// Scripts that run at once; as many as there are processors
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// How to write the results
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: DrillFormat,
    /// Write the packets of every script to a file in DIR (pcapng)
    #[arg(long, value_name = "DIR")]
    pub(crate) pcap: Option<PathBuf>,
    /// Draw the ladder of scripts that pass, too
    #[arg(long)]
    pub(crate) ladder: bool,
}

fn define(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a symbol is defined by NAME=VALUE".to_owned()),
    }
}
