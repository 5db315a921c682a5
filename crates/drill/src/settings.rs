//! What the caller and the script's option lines say about how a script is run.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ast::{OptionLine, OptionValue};
use crate::lenient::Lenient;
use crate::profile::Profile;
use crate::report::Stop;
use crate::schedule::Tolerance;
use crate::span::Span;

/// The protocols under a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpVersion {
    /// IPv4.
    #[default]
    V4,
    /// IPv6 sockets that speak IPv4, to mapped addresses.
    Mapped,
    /// IPv6.
    V6,
}

impl IpVersion {
    /// All three.
    pub const ALL: [Self; 3] = [Self::V4, Self::Mapped, Self::V6];

    /// As `--ip_version` spells it: `ipv4`, `ipv4-mapped-ipv6`, `ipv6`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::Mapped => "ipv4-mapped-ipv6",
            Self::V6 => "ipv6",
        }
    }

    /// The version that is called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            // A word in an option line ends at its first dash.
            "ipv4-mapped-ipv6" | "ipv4_mapped_ipv6" => Some(Self::Mapped),
            "ipv4" => Some(Self::V4),
            "ipv6" => Some(Self::V6),
            _ => None,
        }
    }
}

impl core::fmt::Display for IpVersion {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// How scripts are run.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Whose defaults hold. FreeBSD's makes the dialect nplab's, too: one packet a line, nothing put together.
    pub profile: Profile,
    /// The leniencies that may be used when the strict comparison fails; the least set that helps is.
    pub lenient: Lenient,
    /// Instead of what the script says (and of IPv4).
    pub ip_version: Option<IpVersion>,
    /// Symbols, as `-D NAME=VALUE` defines them.
    pub defines: BTreeMap<String, String>,
    /// Instead of what the script says.
    pub tolerance: Option<Tolerance>,
    /// Compare the echo of timestamps that leave, too; packetdrill does not.
    pub check_echo: bool,
    /// Keep the packets of scripts that pass as well ([`crate::Report::timeline`]).
    pub record: bool,
    /// The name of the script in the report, such as its path.
    pub script: String,
}

/// What holds for one run of one script.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) version: IpVersion,
    pub(crate) tolerance: Tolerance,
    /// `--strict_segments`, and nplab's dialect: text is not put together.
    pub(crate) strict_segments: bool,
    /// `--tcp_ts_tick_usecs`: zero: timestamps are not compared.
    pub(crate) timestamp_tick: u64,
    /// `--tcp_ts_ecr_scaled`.
    pub(crate) echo_scaled: bool,
    /// `--mtu`.
    pub(crate) mtu: Option<usize>,
    /// `--mss`: what injected super-packets were put together from.
    pub(crate) mss: Option<u16>,
    pub(crate) bind_port: u16,
    pub(crate) connect_port: u16,
    pub(crate) local_ip: IpAddr,
    pub(crate) remote_ip: IpAddr,
    /// `--init_scripts`: commands to recognise before the script's own.
    pub(crate) init_scripts: Option<(String, Span)>,
}

const LOCAL_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const REMOTE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const LOCAL_V6: Ipv6Addr = Ipv6Addr::new(0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 1);
const REMOTE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Options that change how the tool looks at the kernel, and nothing here.
const WITHOUT_EFFECT: [&str; 22] = [
    "gateway_ip",
    "netmask_ip",
    "speed",
    "verbose",
    "debug",
    "is_anyip",
    "send_omit_free",
    "code_command",
    "code_format",
    "code_sockopt",
    "wire_client",
    "wire_server",
    "wire_server_ip",
    "wire_server_port",
    "wire_client_dev",
    "wire_server_dev",
    "tun_dev",
    "persistent_tun_dev",
    "define",
    "socket_rx_queue",
    "dry_run",
    "wire_server_at",
];

impl Settings {
    /// From the caller's and the script's words; the caller's win.
    ///
    /// # Errors
    /// An option that is not known, or has no sound value.
    pub(crate) fn new(config: &Config, options: &[OptionLine]) -> Result<Self, Stop> {
        let mut settings = Self {
            version: IpVersion::V4,
            tolerance: Tolerance::default(),
            strict_segments: config.profile == Profile::FreeBsd,
            timestamp_tick: 0,
            echo_scaled: false,
            mtu: None,
            mss: None,
            bind_port: 8080,
            connect_port: 8080,
            local_ip: LOCAL_V4.into(),
            remote_ip: REMOTE_V4.into(),
            init_scripts: None,
        };
        let mut addresses = [None, None];
        for line in options {
            settings.option(line, &mut addresses)?;
        }
        if let Some(version) = config.ip_version {
            // The addresses are those of the version that the script names.
            if version != settings.version {
                addresses = [None, None];
            }
            settings.version = version;
        }
        if let Some(tolerance) = config.tolerance {
            settings.tolerance = tolerance;
        }
        let v6 = settings.version == IpVersion::V6;
        let [local, remote] = addresses.map(|a: Option<IpAddr>| a.filter(|a| a.is_ipv6() == v6));
        settings.local_ip = local.unwrap_or(if v6 { LOCAL_V6.into() } else { LOCAL_V4.into() });
        settings.remote_ip = remote.unwrap_or(if v6 {
            REMOTE_V6.into()
        } else {
            REMOTE_V4.into()
        });
        Ok(settings)
    }

    fn option(
        &mut self,
        line: &OptionLine,
        addresses: &mut [Option<IpAddr>; 2],
    ) -> Result<(), Stop> {
        let name = line.name.value.as_str();
        let text = match line.value.as_ref().map(|value| &value.value) {
            Some(OptionValue::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let bad = || Stop::error(line.span, format!("--{name} has no value that it takes"));
        let int = |text: Option<&str>| -> Result<u64, Stop> {
            let text = text.ok_or_else(bad)?;
            let number = text
                .strip_prefix("0x")
                .map_or_else(|| text.parse().ok(), |h| u64::from_str_radix(h, 16).ok());
            number.ok_or_else(bad)
        };
        // Like C's getopt, an option without a value is switched on.
        let on = |text: Option<&str>| text.is_none_or(|text| text != "0" && text != "false");
        match name {
            "ip_version" => {
                self.version = IpVersion::from_name(text.ok_or_else(bad)?).ok_or_else(bad)?;
            }
            "tolerance_usecs" => self.tolerance.usecs = int(text)?.min(crate::MAX_TIME),
            "tolerance_percent" => {
                let percent: f64 = text.and_then(|t| t.parse().ok()).ok_or_else(bad)?;
                if !(0.0..=1_000_000.0).contains(&percent) {
                    return Err(bad());
                }
                self.tolerance.percent = percent;
            }
            "strict_segments" => self.strict_segments |= on(text),
            "tcp_ts_tick_usecs" => self.timestamp_tick = int(text)?.min(crate::MAX_TIME),
            "tcp_ts_ecr_scaled" => self.echo_scaled = on(text),
            "mtu" => {
                let mtu = usize::try_from(int(text)?)
                    .ok()
                    .filter(|mtu| (68..=65_535).contains(mtu));
                self.mtu = Some(mtu.ok_or_else(bad)?);
            }
            "mss" => {
                let mss = u16::try_from(int(text)?).ok().filter(|mss| *mss > 0);
                self.mss = Some(mss.ok_or_else(bad)?);
            }
            // Taken before the knobs are; here it only has to be one.
            "profile" => {
                text.and_then(|name| name.parse::<Profile>().ok())
                    .ok_or_else(bad)?;
            }
            "bind_port" => self.bind_port = u16::try_from(int(text)?).map_err(|_| bad())?,
            "connect_port" => self.connect_port = u16::try_from(int(text)?).map_err(|_| bad())?,
            "local_ip" | "remote_ip" => {
                let address: IpAddr = text.and_then(|t| t.parse().ok()).ok_or_else(bad)?;
                let [local, remote] = addresses;
                *(if name == "local_ip" { local } else { remote }) = Some(address);
            }
            "init_scripts" => {
                self.init_scripts = text
                    .filter(|t| !t.is_empty())
                    .map(|t| (t.to_owned(), line.span));
            }
            _ if WITHOUT_EFFECT.contains(&name) => {}
            _ => return Err(Stop::unsupported(line.span, format!("--{name}"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(source: &str, config: &Config) -> Result<Settings, Stop> {
        let source = format!("{source}\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n");
        let script = crate::parse(&source, &BTreeMap::new()).unwrap();
        Settings::new(config, &script.options)
    }

    #[test]
    fn what_scripts_say() {
        let text = "--ip_version=ipv6\n--tolerance_usecs=10000\n--strict_segments\n--mtu=1280\n--tcp_ts_tick_usecs=1000\n\
            --tcp_ts_ecr_scaled\n--remote_ip=2001:db8::7\n--mss=1000\n--bind_port=99";
        let got = settings(text, &Config::default()).unwrap();
        assert_eq!(
            (got.version, got.tolerance.usecs, got.mtu),
            (IpVersion::V6, 10_000, Some(1280))
        );
        assert!(got.strict_segments && got.echo_scaled);
        assert_eq!(
            (got.timestamp_tick, got.mss, got.bind_port),
            (1000, Some(1000), 99)
        );
        assert_eq!(got.remote_ip.to_string(), "2001:db8::7");
        assert_eq!(got.local_ip, IpAddr::V6(LOCAL_V6));
    }

    #[test]
    fn the_caller_wins() {
        let config = Config {
            ip_version: Some(IpVersion::V4),
            tolerance: Some(Tolerance {
                usecs: 1,
                percent: 0.0,
            }),
            ..Config::default()
        };
        let got = settings(
            "--ip_version=ipv6\n--tolerance_usecs=7\n--remote_ip=2001:db8::7",
            &config,
        )
        .unwrap();
        assert_eq!((got.version, got.tolerance.usecs), (IpVersion::V4, 1));
        assert_eq!(got.remote_ip, IpAddr::V4(REMOTE_V4));
    }

    #[test]
    fn what_is_not_known_is_named() {
        let stop = settings("--so_filename=\"/lib/x.so\"", &Config::default()).unwrap_err();
        assert!(
            matches!(&stop.kind, crate::report::StopKind::Unsupported(name) if name == "--so_filename")
        );
        assert!(settings("--mtu=3", &Config::default()).is_err());
        assert!(settings("--profile=sunos", &Config::default()).is_err());
        assert!(settings("--profile=freebsd", &Config::default()).is_ok());
    }
}
