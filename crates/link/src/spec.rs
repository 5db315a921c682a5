//! What the user may say about a link: `private…` or `tun:NAME…`, parsed and printed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

mod xdp;

pub use xdp::XdpConfig;

/// Smallest MTU accepted, octets: what every IPv4 host must take (RFC 791 section 3.1).
pub const MIN_MTU: u16 = 576;
/// Smallest MTU that carries IPv6, octets (RFC 8200 section 5). Below it a link is IPv4 only.
pub const MIN_MTU_V6: u16 = 1280;
/// Largest MTU accepted, octets: what the kernel takes for a TUN device.
pub const MAX_MTU: u16 = 65_535;
/// MTU of a private link where none is asked for, octets.
const DEFAULT_MTU: u16 = 1500;
/// Most queues of a TUN device: what the kernel has (`MAX_TAP_QUEUES`).
pub const MAX_QUEUES: u16 = 256;
/// Longest name of a device, octets (IFNAMSIZ less the terminator).
const MAX_NAME: usize = 15;

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// `address/prefix`; `None` where the prefix is longer than the address (32 or 128 bits).
    #[must_use]
    pub const fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let bits = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if prefix <= bits {
            Some(Self { address, prefix })
        } else {
            None
        }
    }

    /// The address alone, as a network of its own.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }

    /// The address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// Bits of the network's prefix, 0 to 32 or 128.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// The address with the bits behind the prefix cleared.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }

    /// Whether `address` is of this network.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Self::new(address, self.prefix).is_some_and(|other| {
            address.is_ipv4() == self.address.is_ipv4() && other.network() == self.network()
        })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// How a private namespace reaches the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// TUN where it works, else veth.
    #[default]
    Any,
    /// A TUN device, or fail.
    Tun,
    /// A veth pair with AF_PACKET, or fail.
    Veth,
    /// A veth pair with AF_XDP, or fail. Without offload, whatever is asked for.
    Xdp,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Tun => "tun",
            Self::Veth => "veth",
            Self::Xdp => "xdp",
        })
    }
}

/// A private namespace and the link into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivateSpec {
    /// Largest IP packet, octets, [`MIN_MTU`] to [`MAX_MTU`]. Below [`MIN_MTU_V6`] there is no IPv6.
    pub mtu: u16,
    /// Checksums and segmentation left to the device (virtio-net header).
    pub offload: bool,
    /// How to reach the kernel.
    pub way: Way,
    /// Queues of the TUN device, or packet sockets among which the flows are divided, 1 to [`MAX_QUEUES`]. AF_XDP has one in any
    /// case.
    pub queues: u16,
}

impl Default for PrivateSpec {
    /// 1,500 octets, with offload, TUN before veth, one queue.
    fn default() -> Self {
        Self {
            mtu: DEFAULT_MTU,
            offload: true,
            way: Way::Any,
            queues: 1,
        }
    }
}

/// A TUN device in the namespace where the process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunConfig {
    /// Its name, 1 to 15 octets. Attached to where it exists, made where not.
    pub name: String,
    /// Our addresses, one a family at most. The kernel is not given them, only a route to them.
    pub addresses: Vec<Cidr>,
    /// The kernel's addresses on the device, one a family at most; each gets the prefix of our address
    /// of its family (or stands alone where we have none).
    pub peers: Vec<IpAddr>,
    /// Largest IP packet, octets; `None` leaves what the device has.
    pub mtu: Option<u16>,
    /// Checksums and segmentation left to the device (virtio-net header).
    pub offload: bool,
    /// Queues to open, 1 to [`MAX_QUEUES`].
    pub queues: u16,
}

impl TunConfig {
    /// The device `name`, nothing changed on it, with offload, one queue.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            addresses: Vec::new(),
            peers: Vec::new(),
            mtu: None,
            offload: true,
            queues: 1,
        }
    }
}

/// A link: `private[,mtu=N][,offload=on|off][,way=any|tun|veth|xdp][,queues=N]`,
/// `tun:NAME[,addr=CIDR…][,peer=IP…][,mtu=N][,offload=on|off][,queues=N]` or
/// `xdp:NAME[,addr=CIDR…][,via=IP…][,queue=N][,generic=on|off]`, `addr`, `peer` and `via` once a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkSpec {
    /// A private namespace.
    Private(PrivateSpec),
    /// A TUN device in this namespace.
    Tun(TunConfig),
    /// A queue of any device of this namespace, by AF_XDP.
    Xdp(XdpConfig),
}

impl Default for LinkSpec {
    fn default() -> Self {
        Self::Private(PrivateSpec::default())
    }
}

/// Why a link's description was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkSpecError {
    /// It begins with none of `private`, `tun:` and `xdp:`.
    #[error("unknown link `{0}`: use `private`, `tun:NAME` or `xdp:NAME`")]
    UnknownLink(String),
    /// The device's name is empty, longer than 15 octets, or holds an octet that no device's name has.
    #[error("bad device name `{0}`: 1 to 15 letters, digits, `-`, `_` or `.`")]
    BadName(String),
    /// Not an option of this kind of link.
    #[error("unknown option `{option}` of `{link}`: it takes {known}")]
    UnknownOption {
        /// What was said.
        option: String,
        /// The kind of link.
        link: &'static str,
        /// What may be said.
        known: &'static str,
    },
    /// The option's value is not one of those it takes.
    #[error("bad value `{value}` of `{option}`: it takes {expected}")]
    BadValue {
        /// The option.
        option: &'static str,
        /// What was said.
        value: String,
        /// What may be said.
        expected: &'static str,
    },
    /// An option twice, or an address of the same family twice.
    #[error("`{0}` given twice (addr and peer: once for IPv4 and once for IPv6)")]
    Twice(&'static str),
}

const PRIVATE_OPTIONS: &str = "mtu=N, offload=on|off, way=any|tun|veth|xdp, queues=N";
const TUN_OPTIONS: &str = "addr=CIDR, peer=IP, mtu=N, offload=on|off, queues=N";

impl FromStr for LinkSpec {
    type Err = LinkSpecError;

    fn from_str(text: &str) -> Result<Self, LinkSpecError> {
        let (link, options) = text.split_once(',').unwrap_or((text, ""));
        let options = options.split(',').filter(|option| !option.is_empty());
        if link == "private" {
            parse_private(options).map(Self::Private)
        } else if let Some(name) = link.strip_prefix("tun:") {
            parse_tun(name, options).map(Self::Tun)
        } else if let Some(name) = link.strip_prefix("xdp:") {
            xdp::parse(name, options).map(Self::Xdp)
        } else {
            Err(LinkSpecError::UnknownLink(link.to_owned()))
        }
    }
}

fn parse_private<'a>(options: impl Iterator<Item = &'a str>) -> Result<PrivateSpec, LinkSpecError> {
    let (mut mtu, mut offload, mut way, mut queues) = (None, None, None, None);
    for option in options {
        match option.split_once('=') {
            Some(("mtu", value)) => once(&mut mtu, "mtu", parse_mtu(value)?)?,
            Some(("offload", value)) => {
                once(&mut offload, "offload", parse_switch("offload", value)?)?;
            }
            Some(("way", value)) => once(&mut way, "way", parse_way(value)?)?,
            Some(("queues", value)) => once(&mut queues, "queues", parse_queues(value)?)?,
            _ => return Err(unknown(option, "private", PRIVATE_OPTIONS)),
        }
    }
    Ok(PrivateSpec {
        mtu: mtu.unwrap_or(DEFAULT_MTU),
        offload: offload.unwrap_or(true),
        way: way.unwrap_or_default(),
        queues: queues.unwrap_or(1),
    })
}

fn parse_tun<'a>(
    name: &str,
    options: impl Iterator<Item = &'a str>,
) -> Result<TunConfig, LinkSpecError> {
    let mut config = TunConfig::new(parse_name(name)?);
    let (mut offload, mut queues) = (None, None);
    for option in options {
        match option.split_once('=') {
            Some(("addr", value)) => add_address(&mut config.addresses, value)?,
            Some(("peer", value)) => add_host(&mut config.peers, "peer", value)?,
            Some(("mtu", value)) => once(&mut config.mtu, "mtu", parse_mtu(value)?)?,
            Some(("offload", value)) => {
                once(&mut offload, "offload", parse_switch("offload", value)?)?;
            }
            Some(("queues", value)) => once(&mut queues, "queues", parse_queues(value)?)?,
            _ => return Err(unknown(option, "tun", TUN_OPTIONS)),
        }
    }
    config.offload = offload.unwrap_or(true);
    config.queues = queues.unwrap_or(1);
    Ok(config)
}

fn parse_name(name: &str) -> Result<&str, LinkSpecError> {
    let known = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(known) || name.starts_with('.') {
        return Err(LinkSpecError::BadName(name.to_owned()));
    }
    Ok(name)
}

/// One more `addr`, the first of its family.
fn add_address(addresses: &mut Vec<Cidr>, value: &str) -> Result<(), LinkSpecError> {
    let cidr = parse_cidr(value)?;
    let family = cidr.address.is_ipv4();
    if addresses
        .iter()
        .any(|other| other.address.is_ipv4() == family)
    {
        return Err(LinkSpecError::Twice("addr"));
    }
    addresses.push(cidr);
    Ok(())
}

/// One more address without a prefix, the first of its family.
fn add_host(
    hosts: &mut Vec<IpAddr>,
    option: &'static str,
    value: &str,
) -> Result<(), LinkSpecError> {
    let host: IpAddr = value
        .parse()
        .map_err(|_| bad_value(option, value, "an IP address"))?;
    if hosts.iter().any(|other| other.is_ipv4() == host.is_ipv4()) {
        return Err(LinkSpecError::Twice(option));
    }
    hosts.push(host);
    Ok(())
}

fn once<T>(slot: &mut Option<T>, option: &'static str, value: T) -> Result<(), LinkSpecError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(LinkSpecError::Twice(option)),
    }
}

fn bad_value(option: &'static str, value: &str, expected: &'static str) -> LinkSpecError {
    LinkSpecError::BadValue {
        option,
        value: value.to_owned(),
        expected,
    }
}

fn unknown(option: &str, link: &'static str, known: &'static str) -> LinkSpecError {
    LinkSpecError::UnknownOption {
        option: option.to_owned(),
        link,
        known,
    }
}

fn parse_mtu(value: &str) -> Result<u16, LinkSpecError> {
    value
        .parse()
        .ok()
        .filter(|mtu| *mtu >= MIN_MTU)
        .ok_or_else(|| bad_value("mtu", value, "576 to 65535"))
}

fn parse_queues(value: &str) -> Result<u16, LinkSpecError> {
    value
        .parse()
        .ok()
        .filter(|queues| (1..=MAX_QUEUES).contains(queues))
        .ok_or_else(|| bad_value("queues", value, "1 to 256"))
}

fn parse_switch(option: &'static str, value: &str) -> Result<bool, LinkSpecError> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(bad_value(option, value, "on or off")),
    }
}

fn parse_way(value: &str) -> Result<Way, LinkSpecError> {
    [Way::Any, Way::Tun, Way::Veth, Way::Xdp]
        .into_iter()
        .find(|way| way.to_string() == value)
        .ok_or_else(|| bad_value("way", value, "any, tun, veth or xdp"))
}

fn parse_cidr(value: &str) -> Result<Cidr, LinkSpecError> {
    value
        .split_once('/')
        .and_then(|(address, prefix)| Cidr::new(address.parse().ok()?, prefix.parse().ok()?))
        .ok_or_else(|| bad_value("addr", value, "an address and its prefix, like 10.9.0.2/24"))
}

impl fmt::Display for LinkSpec {
    /// What [`FromStr`] reads; options that are at their default are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (offload, queues) = match self {
            Self::Xdp(config) => return xdp::print(config, f),
            Self::Private(spec) => {
                f.write_str("private")?;
                if spec.mtu != DEFAULT_MTU {
                    write!(f, ",mtu={}", spec.mtu)?;
                }
                if spec.way != Way::Any {
                    write!(f, ",way={}", spec.way)?;
                }
                (spec.offload, spec.queues)
            }
            Self::Tun(config) => {
                write!(f, "tun:{}", config.name)?;
                for address in &config.addresses {
                    write!(f, ",addr={address}")?;
                }
                for peer in &config.peers {
                    write!(f, ",peer={peer}")?;
                }
                if let Some(mtu) = config.mtu {
                    write!(f, ",mtu={mtu}")?;
                }
                (config.offload, config.queues)
            }
        };
        if !offload {
            f.write_str(",offload=off")?;
        }
        if queues != 1 {
            write!(f, ",queues={queues}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_understood() {
        let private = |mtu, offload, way| {
            LinkSpec::Private(PrivateSpec {
                mtu,
                offload,
                way,
                queues: 1,
            })
        };
        for (text, expected) in [
            ("private", private(1500, true, Way::Any)),
            ("private,mtu=9000", private(9000, true, Way::Any)),
            ("private,offload=off,mtu=576", private(576, false, Way::Any)),
            (
                "private,queues=4",
                LinkSpec::Private(PrivateSpec {
                    queues: 4,
                    ..PrivateSpec::default()
                }),
            ),
            (
                "private,way=veth,offload=on",
                private(1500, true, Way::Veth),
            ),
            (
                "tun:tun-0,addr=10.9.0.2/24,addr=fd09::2/64,peer=10.9.0.1,mtu=1280,offload=off,queues=256",
                LinkSpec::Tun(TunConfig {
                    name: "tun-0".into(),
                    addresses: vec![
                        Cidr::new("10.9.0.2".parse().unwrap(), 24).unwrap(),
                        Cidr::new("fd09::2".parse().unwrap(), 64).unwrap(),
                    ],
                    peers: vec!["10.9.0.1".parse().unwrap()],
                    mtu: Some(1280),
                    offload: false,
                    queues: 256,
                }),
            ),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_refused_and_what_is_said() {
        for (text, says) in [
            ("", "unknown link ``"),
            ("tap:x", "unknown link `tap:x`"),
            ("privat", "unknown link"),
            ("tun:", "bad device name ``"),
            ("tun:a/b", "bad device name"),
            ("tun:tun%d", "bad device name"),
            ("tun:..", "bad device name"),
            ("tun:sixteen-letters-", "bad device name"),
            (
                "private,addr=10.0.0.1/8",
                "unknown option `addr=10.0.0.1/8` of `private`",
            ),
            ("private,mtu", "unknown option `mtu`"),
            ("private,mtu=575", "bad value `575` of `mtu`"),
            ("private,mtu=65536", "bad value `65536`"),
            ("private,mtu=-1", "bad value"),
            ("private,mtu=1500,mtu=1500", "`mtu` given twice"),
            ("private,offload=yes", "it takes on or off"),
            ("private,queues=0", "it takes 1 to 256"),
            ("tun:t,queues=257", "bad value `257` of `queues`"),
            ("tun:t,queues=2,queues=2", "`queues` given twice"),
            ("private,way=tap", "any, tun, veth or xdp"),
            ("tun:t,addr=10.0.0.1", "like 10.9.0.2/24"),
            ("tun:t,addr=10.0.0.1/33", "like 10.9.0.2/24"),
            (
                "tun:t,addr=10.0.0.1/8,addr=10.0.0.2/8",
                "`addr` given twice",
            ),
            ("tun:t,peer=fd00::1,peer=fd00::2", "`peer` given twice"),
            ("tun:t,peer=10.0.0.1/8", "an IP address"),
        ] {
            let error = text.parse::<LinkSpec>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn networks() {
        for (cidr, network, inside, outside) in [
            ("10.7.3.9/24", "10.7.3.0", "10.7.3.255", "10.7.4.0"),
            ("10.7.3.9/32", "10.7.3.9", "10.7.3.9", "10.7.3.8"),
            ("10.7.3.9/0", "0.0.0.0", "255.1.1.1", "::1"),
            ("fd07::9/64", "fd07::", "fd07::ffff", "fd08::9"),
            ("fd07::9/128", "fd07::9", "fd07::9", "10.7.0.9"),
            ("fd07::9/0", "::", "ff02::1", "1.2.3.4"),
        ] {
            let cidr = parse_cidr(cidr).unwrap();
            assert_eq!(cidr.network(), network.parse::<IpAddr>().unwrap());
            assert!(cidr.contains(inside.parse().unwrap()), "{cidr} {inside}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{cidr} {outside}");
        }
    }

    fn a_cidr() -> impl Strategy<Value = Cidr> {
        prop_oneof![
            (any::<Ipv4Addr>(), 0u8..=32).prop_map(|(a, p)| Cidr::new(a.into(), p).unwrap()),
            (any::<Ipv6Addr>(), 0u8..=128).prop_map(|(a, p)| Cidr::new(a.into(), p).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            name in "[a-z][a-z0-9._-]{0,14}",
            addr in proptest::option::of(a_cidr()),
            peer in proptest::option::of(any::<IpAddr>()),
            mtu in proptest::option::of(MIN_MTU..=MAX_MTU),
            offload in any::<bool>(),
            queues in 1..=MAX_QUEUES,
            way in prop_oneof![Just(Way::Any), Just(Way::Tun), Just(Way::Veth), Just(Way::Xdp)],
        ) {
            for spec in [
                LinkSpec::Private(PrivateSpec { mtu: mtu.unwrap_or(1500), offload, way, queues }),
                LinkSpec::Tun(TunConfig {
                    name: name.clone(), addresses: addr.into_iter().collect(), peers: peer.into_iter().collect(), mtu, offload, queues,
                }),
            ] {
                prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}", tail in ".{0,30}") {
            let _ = text.parse::<LinkSpec>();
            let _ = format!("tun:{tail}").parse::<LinkSpec>();
            let _ = format!("private,{tail}").parse::<LinkSpec>();
        }
    }
}
