//! What a script needs that woshou does not have yet: found before it is run, and named.

use crate::ast::{Action, Body, Direction, EcnFlags, IpEcn, Options, Packet, Script, TcpPacket};
use crate::report::Stop;
use crate::tcp_options;

/// # Errors
/// The first thing that is missing, by name.
pub(crate) fn check(script: &Script) -> Result<(), Stop> {
    for event in &script.events {
        if let Action::Packet(packet) = &event.action {
            check_packet(packet)?;
        }
    }
    Ok(())
}

fn check_packet(packet: &Packet) -> Result<(), Stop> {
    let missing = |name: &str| Err(Stop::unsupported(packet.span, name));
    if !packet.outer.is_empty() {
        return missing("encapsulation");
    }
    if packet.psp_spi.is_some() {
        return missing("PSP");
    }
    let leaves = packet.direction == Direction::Out;
    let marked = packet.ip.ecn.is_some_and(|ecn| ecn.value == IpEcn::Ect1)
        || packet.ip.tos.is_some_and(|tos| tos.value & 3 == 1);
    if leaves && marked {
        return missing("ECT(1)");
    }
    match &packet.body {
        Body::Tcp(tcp) => check_tcp(packet, tcp),
        Body::Udp(_) => missing("UDP"),
        Body::Foreign(foreign) => missing(&foreign.protocol.value),
        Body::Icmp(message) if message.udp.is_some() => missing("TCP over UDP"),
        Body::Icmp(_) => Ok(()),
    }
}

fn check_tcp(packet: &Packet, tcp: &TcpPacket) -> Result<(), Stop> {
    let leaves = packet.direction == Direction::Out;
    if tcp.udp.is_some() {
        return Err(Stop::unsupported(packet.span, "TCP over UDP"));
    }
    let flags = &tcp.flags;
    let accurate = match flags.value.ecn {
        EcnFlags::Letters { ae, .. } => ae,
        EcnFlags::Ace(counter) => counter != 0,
    };
    if leaves && accurate {
        return Err(Stop::unsupported(flags.span, "AccECN"));
    }
    let Options::Exact(options) = &tcp.options.value else {
        return Ok(());
    };
    for option in options {
        let name = if leaves {
            tcp_options::feature(&option.value)
        } else {
            None
        };
        if let Some(name) = name.or_else(|| tcp_options::needs(&option.value)) {
            return Err(Stop::unsupported(option.span, name));
        }
    }
    Ok(())
}
