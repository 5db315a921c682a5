//! The options of `getsockopt` and `setsockopt`, of both dialects, by name.

use std::time::Duration;

use crate::info::Figures;

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An `int`.
    Int(i64),
    /// A `struct linger`.
    Linger {
        /// `l_onoff`.
        on: bool,
        /// `l_linger`, seconds.
        seconds: u16,
    },
    /// A `struct timeval`; zero: for ever.
    Time(Duration),
    /// A name (TCP_CONGESTION).
    Name(String),
    /// A structure of named figures (TCP_INFO, SO_MEMINFO, TCP_CC_INFO).
    Figures(Figures),
    /// NULL or another address that cannot be read.
    Invalid,
}

macro_rules! options {
    ($($name:ident $level:ident $number:literal)*) => {
        /// An option, by the name that the system's headers give it.
        #[expect(non_camel_case_types, reason = "the names that the headers give them")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "their manuals are socket(7), tcp(7), ip(7), ipv6(7)")]
        pub enum Opt { $($name,)* }

        impl Opt {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name: `SO_RCVBUF`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Its level: `SOL_SOCKET`, `IPPROTO_TCP`, `IPPROTO_IP` or `IPPROTO_IPV6`.
            #[must_use]
            pub const fn level(self) -> &'static str {
                match self { $(Self::$name => stringify!($level),)* }
            }

            /// Linux's number; `None` for those that only FreeBSD has.
            #[must_use]
            pub const fn linux_number(self) -> Option<i32> {
                let number: i32 = match self { $(Self::$name => $number,)* };
                if number < 0 { None } else { Some(number) }
            }
        }
    };
}

options! {
    SO_DEBUG SOL_SOCKET 1
    SO_REUSEADDR SOL_SOCKET 2
    SO_TYPE SOL_SOCKET 3
    SO_ERROR SOL_SOCKET 4
    SO_DONTROUTE SOL_SOCKET 5
    SO_BROADCAST SOL_SOCKET 6
    SO_SNDBUF SOL_SOCKET 7
    SO_RCVBUF SOL_SOCKET 8
    SO_KEEPALIVE SOL_SOCKET 9
    SO_OOBINLINE SOL_SOCKET 10
    SO_PRIORITY SOL_SOCKET 12
    SO_LINGER SOL_SOCKET 13
    SO_REUSEPORT SOL_SOCKET 15
    SO_RCVLOWAT SOL_SOCKET 18
    SO_SNDLOWAT SOL_SOCKET 19
    SO_RCVTIMEO SOL_SOCKET 20
    SO_SNDTIMEO SOL_SOCKET 21
    SO_BINDTODEVICE SOL_SOCKET 25
    SO_TIMESTAMP SOL_SOCKET 29
    SO_ACCEPTCONN SOL_SOCKET 30
    SO_SNDBUFFORCE SOL_SOCKET 32
    SO_RCVBUFFORCE SOL_SOCKET 33
    SO_TIMESTAMPNS SOL_SOCKET 35
    SO_MARK SOL_SOCKET 36
    SO_TIMESTAMPING SOL_SOCKET 37
    SO_PROTOCOL SOL_SOCKET 38
    SO_DOMAIN SOL_SOCKET 39
    SO_BUSY_POLL SOL_SOCKET 46
    SO_MAX_PACING_RATE SOL_SOCKET 47
    SO_INCOMING_CPU SOL_SOCKET 49
    SO_MEMINFO SOL_SOCKET 55
    SO_ZEROCOPY SOL_SOCKET 60
    SO_NOSIGPIPE SOL_SOCKET -1
    TCP_NODELAY IPPROTO_TCP 1
    TCP_MAXSEG IPPROTO_TCP 2
    TCP_CORK IPPROTO_TCP 3
    TCP_KEEPIDLE IPPROTO_TCP 4
    TCP_KEEPINTVL IPPROTO_TCP 5
    TCP_KEEPCNT IPPROTO_TCP 6
    TCP_SYNCNT IPPROTO_TCP 7
    TCP_LINGER2 IPPROTO_TCP 8
    TCP_DEFER_ACCEPT IPPROTO_TCP 9
    TCP_WINDOW_CLAMP IPPROTO_TCP 10
    TCP_INFO IPPROTO_TCP 11
    TCP_QUICKACK IPPROTO_TCP 12
    TCP_CONGESTION IPPROTO_TCP 13
    TCP_MD5SIG IPPROTO_TCP 14
    TCP_USER_TIMEOUT IPPROTO_TCP 18
    TCP_REPAIR IPPROTO_TCP 19
    TCP_FASTOPEN IPPROTO_TCP 23
    TCP_TIMESTAMP IPPROTO_TCP 24
    TCP_NOTSENT_LOWAT IPPROTO_TCP 25
    TCP_CC_INFO IPPROTO_TCP 26
    TCP_SAVE_SYN IPPROTO_TCP 27
    TCP_FASTOPEN_CONNECT IPPROTO_TCP 30
    TCP_ULP IPPROTO_TCP 31
    TCP_FASTOPEN_KEY IPPROTO_TCP 33
    TCP_FASTOPEN_NO_COOKIE IPPROTO_TCP 34
    TCP_ZEROCOPY_RECEIVE IPPROTO_TCP 35
    TCP_INQ IPPROTO_TCP 36
    TCP_TX_DELAY IPPROTO_TCP 37
    TCP_RTO_MAX_MS IPPROTO_TCP 44
    TCP_RTO_MIN_US IPPROTO_TCP 45
    TCP_DELACK_MAX_US IPPROTO_TCP 46
    TCP_NOPUSH IPPROTO_TCP -1
    TCP_NOOPT IPPROTO_TCP -1
    TCP_KEEPINIT IPPROTO_TCP -1
    TCP_FUNCTION_BLK IPPROTO_TCP -1
    TCP_REMOTE_UDP_ENCAPS_PORT IPPROTO_TCP -1
    TCP_RACK_PACE_ALWAYS IPPROTO_TCP -1
    TCP_RACK_PACE_MAX_SEG IPPROTO_TCP -1
    TCP_RACK_PACE_RATE_CA IPPROTO_TCP -1
    TCP_RACK_PACE_RATE_SS IPPROTO_TCP -1
    TCP_RACK_PACE_RATE_REC IPPROTO_TCP -1
    IP_TOS IPPROTO_IP 1
    IP_TTL IPPROTO_IP 2
    IP_MTU_DISCOVER IPPROTO_IP 10
    IP_RECVERR IPPROTO_IP 11
    IP_RECVTOS IPPROTO_IP 13
    IP_MTU IPPROTO_IP 14
    IP_FREEBIND IPPROTO_IP 15
    IP_TRANSPARENT IPPROTO_IP 19
    IP_BIND_ADDRESS_NO_PORT IPPROTO_IP 24
    IPV6_UNICAST_HOPS IPPROTO_IPV6 16
    IPV6_MTU_DISCOVER IPPROTO_IPV6 23
    IPV6_MTU IPPROTO_IPV6 24
    IPV6_RECVERR IPPROTO_IPV6 25
    IPV6_V6ONLY IPPROTO_IPV6 26
    IPV6_RECVTCLASS IPPROTO_IPV6 66
    IPV6_TCLASS IPPROTO_IPV6 67
    IPV6_AUTOFLOWLABEL IPPROTO_IPV6 70
    IPV6_FREEBIND IPPROTO_IPV6 78
    IPV6_USE_MIN_MTU IPPROTO_IPV6 -1
}

/// The numbers and other names of the levels.
const LEVELS: &[(&str, i32, &[&str])] = &[
    ("SOL_SOCKET", 1, &[]),
    ("IPPROTO_TCP", 6, &["SOL_TCP"]),
    ("IPPROTO_IP", 0, &["SOL_IP"]),
    ("IPPROTO_IPV6", 41, &["SOL_IPV6"]),
];

impl Opt {
    /// The option that is called `name` (`RACK_…` names may lack their `TCP_`).
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|opt| {
            opt.name() == name
                || (name.starts_with("RACK_") && opt.name().strip_prefix("TCP_") == Some(name))
        })
    }

    /// Whether `level` names its level (`SOL_TCP` and `IPPROTO_TCP` are the same). A call with another fails with
    /// ENOPROTOOPT.
    #[must_use]
    pub fn is_of(self, level: &str) -> bool {
        LEVELS.iter().any(|(name, _, others)| {
            *name == self.level() && (*name == level || others.contains(&level))
        })
    }

    /// The option with Linux's numbers.
    #[must_use]
    pub fn by_linux_numbers(level: i32, number: i32) -> Option<Self> {
        let (level, _, _) = LEVELS.iter().find(|(_, known, _)| *known == level)?;
        Self::ALL
            .iter()
            .copied()
            .find(|opt| opt.level() == *level && opt.linux_number() == Some(number))
    }
}

/// Options that are remembered and reported back and otherwise without effect, each with the reason why that harms nobody.
pub const HARMLESS: &[(Opt, &str)] = &[
    (
        Opt::SO_REUSEPORT,
        "no two listeners share a port here: the second `listen` fails as it would without",
    ),
    (Opt::SO_DEBUG, "writes to a kernel's log"),
    (
        Opt::SO_DONTROUTE,
        "concerns the kernel's routes; the stack's are its owner's",
    ),
    (Opt::SO_BROADCAST, "TCP has no broadcast"),
    (
        Opt::SO_PRIORITY,
        "chooses a queue of the kernel's; here the owner has the only one",
    ),
    (Opt::SO_TIMESTAMP, "stamps datagrams; TCP's text has none"),
    (Opt::SO_TIMESTAMPNS, "stamps datagrams; TCP's text has none"),
    (
        Opt::SO_TIMESTAMPING,
        "stamps go to the error queue, which may always be empty",
    ),
    (
        Opt::SO_MARK,
        "for the kernel's filters and policy routes; there are none",
    ),
    (Opt::SO_BUSY_POLL, "saves interrupts; there are none"),
    (Opt::SO_INCOMING_CPU, "a hint where to run"),
    (Opt::SO_ZEROCOPY, "MSG_ZEROCOPY may always copy"),
    (Opt::SO_NOSIGPIPE, "no call raises SIGPIPE"),
    (
        Opt::IP_RECVERR,
        "errors go to the error queue too, which may be empty; SO_ERROR has them",
    ),
    (
        Opt::IPV6_RECVERR,
        "errors go to the error queue too, which may be empty; SO_ERROR has them",
    ),
    (Opt::IP_RECVTOS, "a datagram's field; TCP reports none"),
    (Opt::IPV6_RECVTCLASS, "a datagram's field; TCP reports none"),
    (
        Opt::IP_BIND_ADDRESS_NO_PORT,
        "puts off the choice of a port; an early one is as good",
    ),
    (
        Opt::IPV6_AUTOFLOWLABEL,
        "the label is a hint to routers (RFC 6437)",
    ),
];

impl Opt {
    /// Why setting it without effect harms nobody; `None` for all others.
    #[must_use]
    pub fn harmless(self) -> Option<&'static str> {
        HARMLESS
            .iter()
            .find(|(opt, _)| *opt == self)
            .map(|(_, reason)| *reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_levels_and_numbers() {
        for opt in Opt::ALL.iter().copied() {
            assert_eq!(Opt::by_name(opt.name()), Some(opt));
            assert!(opt.is_of(opt.level()), "{opt:?}");
            if let Some(number) = opt.linux_number() {
                let level = LEVELS.iter().find(|(name, _, _)| *name == opt.level());
                let (_, level, _) = level.unwrap();
                assert_eq!(Opt::by_linux_numbers(*level, number), Some(opt));
            }
        }
        assert!(Opt::TCP_NODELAY.is_of("SOL_TCP") && !Opt::TCP_NODELAY.is_of("SOL_SOCKET"));
        assert_eq!(Opt::by_linux_numbers(6, 999), None);
        assert_eq!(Opt::by_linux_numbers(99, 1), None);
        assert_eq!(
            Opt::by_name("RACK_PACE_ALWAYS"),
            Some(Opt::TCP_RACK_PACE_ALWAYS)
        );
        assert_eq!(Opt::by_name("NODELAY"), None);
        assert!(Opt::SO_MARK.harmless().is_some() && Opt::SO_RCVBUF.harmless().is_none());
    }
}
