//! Names of ICMP types and codes in scripts, and their numbers.
//!
//! IPv4: RFC 792, RFC 950, RFC 1256, RFC 1812; IPv6: RFC 4443, RFC 4861. `type_N` and `code_N` stand for the
//! numbers themselves.

use core::fmt;

/// Which protocol a script's `icmp` means: ICMP or ICMPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// ICMP (RFC 792).
    V4,
    /// ICMPv6 (RFC 4443).
    V6,
}

/// A name that stands for no number. Use another, or `type_N` and `code_N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownName {
    /// The type is not known in this version.
    Type(String),
    /// The code is not known for this type.
    Code(String),
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(name) => write!(f, "ICMP type {name}"),
            Self::Code(name) => write!(f, "ICMP code {name}"),
        }
    }
}

impl core::error::Error for UnknownName {}

/// Names of codes; the place in the list is the number.
type Codes = &'static [&'static str];

const V4: &[(&str, u8, Codes)] = &[
    ("echo_reply", 0, &[]),
    ("unreachable", 3, V4_UNREACHABLE),
    ("source_quench", 4, &[]),
    ("redirect", 5, &[]),
    ("echo_request", 8, &[]),
    ("router_advertisement", 9, &[]),
    ("router_solicitation", 10, &[]),
    (
        "time_exceeded",
        11,
        &["ttl_exceeded_in_transit", "frag_reass_exceeded"],
    ),
    ("parameter_problem", 12, &[]),
    ("timestamp_request", 13, &[]),
    ("timestamp_reply", 14, &[]),
    ("information_request", 15, &[]),
    ("information_reply", 16, &[]),
    ("address_mask_request", 17, &[]),
    ("address_mask_reply", 18, &[]),
];

const V4_UNREACHABLE: Codes = &[
    "net_unreachable",
    "host_unreachable",
    "protocol_unreachable",
    "port_unreachable",
    "frag_needed",
    "source_route_failed",
    "net_unknown",
    "host_unknown",
    "source_host_isolated",
    "net_prohibited",
    "host_prohibited",
    "net_unreachable_for_tos",
    "host_unreachable_for_tos",
    "packet_filtered",
    "precedence_violation",
    "precedence_cutoff",
];

const V6: &[(&str, u8, Codes)] = &[
    ("unreachable", 1, V6_UNREACHABLE),
    ("packet_too_big", 2, &[]),
    (
        "time_exceeded",
        3,
        &["exceeded_hop_limit", "exceeded_frag_time"],
    ),
    (
        "parameter_problem",
        4,
        &["header_field", "unknown_next_header", "unknown_option"],
    ),
    ("echo_request", 128, &[]),
    ("echo_reply", 129, &[]),
    ("router_solicitation", 133, &[]),
    ("router_advertisement", 134, &[]),
    ("neighbor_solicitation", 135, &[]),
    ("neighbor_advertisement", 136, &[]),
    ("redirect", 137, &[]),
];

const V6_UNREACHABLE: Codes = &[
    "no_route",
    "admin_prohibited",
    "not_neighbour",
    "address_unreachable",
    "port_unreachable",
];

/// The numbers of a type and a code; no code means code 0.
///
/// # Errors
///
/// A name that this version does not have: see [`UnknownName`].
pub fn resolve(version: Version, kind: &str, code: Option<&str>) -> Result<(u8, u8), UnknownName> {
    let table = match version {
        Version::V4 => V4,
        Version::V6 => V6,
    };
    let number = numbered(kind, "type_")
        .or_else(|| {
            table
                .iter()
                .find(|entry| entry.0 == kind)
                .map(|entry| entry.1)
        })
        .ok_or_else(|| UnknownName::Type(kind.to_owned()))?;
    let Some(code) = code else {
        return Ok((number, 0));
    };
    let codes = table
        .iter()
        .find(|entry| entry.1 == number)
        .map_or(&[] as Codes, |entry| entry.2);
    let named = || {
        codes
            .iter()
            .position(|name| *name == code)
            .and_then(|at| at.try_into().ok())
    };
    let code = numbered(code, "code_")
        .or_else(named)
        .ok_or_else(|| UnknownName::Code(code.to_owned()))?;
    Ok((number, code))
}

fn numbered(name: &str, prefix: &str) -> Option<u8> {
    name.strip_prefix(prefix)?.parse().ok()
}
