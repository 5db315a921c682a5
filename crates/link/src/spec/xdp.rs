//! What may be said of an AF_XDP link.

use std::fmt;
use std::net::IpAddr;

use super::{
    Cidr, LinkSpecError, MAX_QUEUES, add_address, add_host, bad_value, once, parse_name,
    parse_switch, unknown,
};

const OPTIONS: &str = "addr=CIDR, via=IP, queue=N, generic=on|off";

/// A queue of a network device in the namespace where the process is, taken over by AF_XDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpConfig {
    /// The device's name, 1 to 15 octets.
    pub name: String,
    /// Our addresses, one a family at most. Nobody is told but who asks (ARP, Neighbor Discovery).
    pub addresses: Vec<Cidr>,
    /// Routers to everything beyond our prefixes, one a family at most.
    pub routers: Vec<IpAddr>,
    /// Which of the device's queues, 0 to [`MAX_QUEUES`] - 1. What arrives by others goes to the kernel: a card with several has to
    /// be told to use one (`ethtool -L NAME combined 1`), or which flows go where.
    pub queue: u16,
    /// Frames are taken from in front of the kernel's stack, even where the device's driver has XDP itself.
    pub generic: bool,
}

impl XdpConfig {
    /// The first queue of the device `name`, by its driver where it can.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            addresses: Vec::new(),
            routers: Vec::new(),
            queue: 0,
            generic: false,
        }
    }
}

pub(super) fn parse<'a>(
    name: &str,
    options: impl Iterator<Item = &'a str>,
) -> Result<XdpConfig, LinkSpecError> {
    let mut config = XdpConfig::new(parse_name(name)?);
    let (mut queue, mut generic) = (None, None);
    for option in options {
        match option.split_once('=') {
            Some(("addr", value)) => add_address(&mut config.addresses, value)?,
            Some(("via", value)) => add_host(&mut config.routers, "via", value)?,
            Some(("queue", value)) => once(&mut queue, "queue", parse_queue(value)?)?,
            Some(("generic", value)) => {
                once(&mut generic, "generic", parse_switch("generic", value)?)?;
            }
            _ => return Err(unknown(option, "xdp", OPTIONS)),
        }
    }
    config.queue = queue.unwrap_or(0);
    config.generic = generic.unwrap_or(false);
    Ok(config)
}

fn parse_queue(value: &str) -> Result<u16, LinkSpecError> {
    value
        .parse()
        .ok()
        .filter(|queue| *queue < MAX_QUEUES)
        .ok_or_else(|| bad_value("queue", value, "0 to 255"))
}

pub(super) fn print(config: &XdpConfig, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "xdp:{}", config.name)?;
    for address in &config.addresses {
        write!(f, ",addr={address}")?;
    }
    for router in &config.routers {
        write!(f, ",via={router}")?;
    }
    if config.queue != 0 {
        write!(f, ",queue={}", config.queue)?;
    }
    if config.generic {
        f.write_str(",generic=on")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkSpec;
    use proptest::prelude::*;

    #[test]
    fn what_is_understood() {
        let cidr = |address: &str, prefix| Cidr::new(address.parse().unwrap(), prefix).unwrap();
        let whole = XdpConfig {
            name: "eth0".into(),
            addresses: vec![cidr("10.9.0.2", 24), cidr("fd09::2", 64)],
            routers: vec!["10.9.0.1".parse().unwrap()],
            queue: 255,
            generic: true,
        };
        for (text, expected) in [
            ("xdp:eth0", XdpConfig::new("eth0")),
            (
                "xdp:eth0,addr=10.9.0.2/24,via=10.9.0.1,addr=fd09::2/64,queue=255,generic=on",
                whole,
            ),
        ] {
            assert_eq!(text.parse(), Ok(LinkSpec::Xdp(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_refused_and_what_is_said() {
        for (text, says) in [
            ("xdp:", "bad device name ``"),
            ("xdp:a/b", "bad device name"),
            ("xdp:e,queue=256", "it takes 0 to 255"),
            ("xdp:e,queue=1,queue=1", "`queue` given twice"),
            (
                "xdp:e,generic=1",
                "bad value `1` of `generic`: it takes on or off",
            ),
            ("xdp:e,via=10.0.0.1,via=10.0.0.2", "`via` given twice"),
            ("xdp:e,via=gateway", "an IP address"),
            ("xdp:e,offload=on", "unknown option `offload=on` of `xdp`"),
        ] {
            let error = text.parse::<LinkSpec>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            name in "[a-z][a-z0-9._-]{0,14}",
            addr in proptest::option::of(any::<IpAddr>()),
            via in proptest::option::of(any::<IpAddr>()),
            queue in 0..MAX_QUEUES,
            generic in any::<bool>(),
        ) {
            let spec = LinkSpec::Xdp(XdpConfig {
                name,
                addresses: addr.into_iter().map(Cidr::host).collect(),
                routers: via.into_iter().collect(),
                queue,
                generic,
            });
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
        }

        #[test]
        fn no_text_makes_it_panic(tail in ".{0,30}") {
            let _ = format!("xdp:{tail}").parse::<LinkSpec>();
        }
    }
}
