//! The headers of what a listener sends.

use woshou_wire::tcp_option::{TcpOptions, Timestamps};

use super::backlog::HalfOpen;
use crate::config::Config;
use crate::connection::window_of_syn;
use crate::options::{Agreed, Offer, Setup};
use crate::segment::{Flags, Header};
use crate::time::Instant;

/// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, its window never scaled (RFC 7323 section 2.2).
pub(super) fn syn_ack(config: &Config, setup: &Setup, agreed: &Agreed, timestamp: u32) -> Header {
    let theirs = TcpOptions {
        window_scale: agreed.scaling.then_some(agreed.send_scale),
        sack_permitted: agreed.sack,
        timestamps: agreed.timestamps.map(|value| Timestamps { value, echo: 0 }),
        ..TcpOptions::default()
    };
    let ecn = if agreed.ecn { Flags::ECE } else { Flags::NONE };
    Header {
        seq: setup.iss,
        ack: agreed.irs + 1,
        flags: Flags::SYN | Flags::ACK | ecn,
        window: u16::try_from(window_of_syn(config)).unwrap_or(u16::MAX),
        urgent: 0,
        options: Offer::new(config, setup.receive_mss).syn_ack(&theirs, timestamp),
    }
}

/// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
pub(super) fn acknowledgement(config: &Config, now: Instant, entry: &HalfOpen) -> Header {
    let (setup, agreed) = (entry.setup(), entry.agreed);
    let window = window_of_syn(config) >> agreed.receive_scale;
    let timestamps = agreed.timestamps.map(|echo| Timestamps {
        value: setup.timestamp(now),
        echo,
    });
    Header {
        seq: setup.iss + 1,
        ack: agreed.irs + 1,
        flags: Flags::ACK,
        window: u16::try_from(window).unwrap_or(u16::MAX),
        urgent: 0,
        options: TcpOptions {
            timestamps,
            ..TcpOptions::default()
        },
    }
}
