//! The few rtnetlink requests that a link needs: links, addresses, routes (rtnetlink(7)).
//!
//! Requests are answered by the kernel before `send` returns, so the blocking reads here never wait.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

use crate::Cidr;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_TXQLEN: u16 = 13;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_F_NODAD: u32 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const IFF_UP: u32 = 1;

const TABLE_MAIN: u8 = 254;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_LINK: u8 = 253;
const TYPE_UNICAST: u8 = 1;

/// Largest datagram that the kernel answers with, octets.
const REPLY: usize = 32 * 1024;
const HEADER: usize = 16;

/// A request under construction.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        // The sequence number is filled in when it is sent; the port is the kernel's, zero.
        bytes.extend([0; 8]);
        Self(bytes)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// `struct ifinfomsg`.
    fn link(self, family: u8, index: u32, flags: u32, change: u32) -> Self {
        self.raw(&[family, 0, 0, 0])
            .raw(&index.to_ne_bytes())
            .raw(&flags.to_ne_bytes())
            .raw(&change.to_ne_bytes())
    }

    fn attribute(self, kind: u16, value: &[u8]) -> Self {
        self.nest(kind, |message| message.raw(value))
    }

    /// An attribute whose value is what `inside` appends. Every value here is far below 64 KiB.
    fn nest(mut self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        let at = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        self = inside(self);
        let length = u16::try_from(self.0.len() - at).unwrap_or(u16::MAX);
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// What the kernel says of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) up: bool,
    /// Octets.
    pub(crate) mtu: u32,
    /// Packets that its queue takes (txqueuelen); zero: not told.
    pub(crate) queue: u32,
    /// Zeroes: it has none.
    pub(crate) mac: [u8; 6],
}

/// One end of a veth pair to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VethEnd<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: [u8; 6],
}

/// A socket that talks to one network namespace: the one where it was opened.
#[derive(Debug)]
pub(crate) struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Netlink {
    /// Opens it in the calling thread's namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            // Protocol zero is NETLINK_ROUTE.
            None,
        )?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends a request and calls `found` with the body of each message that answers it.
    fn request(&mut self, mut message: Message, mut found: impl FnMut(&[u8])) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let length = u32::try_from(message.0.len()).map_err(io::Error::other)?;
        message.0[..4].copy_from_slice(&length.to_ne_bytes());
        message.0[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&self.fd, &message.0, SendFlags::empty(), &kernel)?;
        let mut buffer = vec![0; REPLY];
        loop {
            let (length, _) = recv(&self.fd, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..length];
            while let Some((kind, sequence, body, after)) = split_message(rest) {
                rest = after;
                if sequence != self.sequence {
                    continue;
                }
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return acknowledged(body),
                    _ => found(body),
                }
            }
        }
    }

    fn command(&mut self, message: Message) -> io::Result<()> {
        self.request(message, |_| {})
    }

    /// Finds a device by its name.
    pub(crate) fn link(&mut self, name: &str) -> io::Result<Link> {
        let message = Message::new(RTM_GETLINK, ACK)
            .link(AF_UNSPEC, 0, 0, 0)
            .attribute(IFLA_IFNAME, &terminated(name));
        let mut link = None;
        self.request(message, |body| link = parse_link(body))?;
        link.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Makes a veth pair: `here` in the socket's namespace, `there` in the namespace behind a descriptor.
    pub(crate) fn add_veth(
        &mut self,
        here: VethEnd<'_>,
        there: VethEnd<'_>,
        namespace: BorrowedFd<'_>,
        mtu: u16,
    ) -> io::Result<()> {
        let end = |message: Message, end: VethEnd<'_>| {
            message
                .link(AF_UNSPEC, 0, 0, 0)
                .attribute(IFLA_IFNAME, &terminated(end.name))
                .attribute(IFLA_ADDRESS, &end.mac)
                .attribute(IFLA_MTU, &u32::from(mtu).to_ne_bytes())
        };
        let message = end(Message::new(RTM_NEWLINK, ACK | CREATE | EXCLUSIVE), here).nest(
            IFLA_LINKINFO,
            |info| {
                info.attribute(IFLA_INFO_KIND, b"veth\0")
                    .nest(IFLA_INFO_DATA, |data| {
                        data.nest(VETH_INFO_PEER, |peer| {
                            end(peer, there)
                                .attribute(IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes())
                        })
                    })
            },
        );
        self.command(message)
    }

    /// Brings a device up.
    pub(crate) fn set_up(&mut self, index: u32) -> io::Result<()> {
        self.command(Message::new(RTM_NEWLINK, ACK).link(AF_UNSPEC, index, IFF_UP, IFF_UP))
    }

    /// Sets a device's MTU, octets.
    pub(crate) fn set_mtu(&mut self, index: u32, mtu: u16) -> io::Result<()> {
        self.command(
            Message::new(RTM_NEWLINK, ACK)
                .link(AF_UNSPEC, index, 0, 0)
                .attribute(IFLA_MTU, &u32::from(mtu).to_ne_bytes()),
        )
    }

    /// Keeps IPv6 from giving a device an address of its own and from asking for routers on it.
    pub(crate) fn no_link_local(&mut self, index: u32) -> io::Result<()> {
        self.command(
            Message::new(RTM_NEWLINK, ACK)
                .link(AF_UNSPEC, index, 0, 0)
                .nest(IFLA_AF_SPEC, |families| {
                    families.nest(u16::from(AF_INET6), |family| {
                        family.attribute(IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE])
                    })
                }),
        )
    }

    /// Gives the kernel an address on a device, usable at once: no duplicate address detection.
    ///
    /// # Errors
    /// `AlreadyExists`: it has it.
    pub(crate) fn add_address(&mut self, index: u32, cidr: Cidr) -> io::Result<()> {
        let (family, address) = octets(cidr.address());
        self.command(
            Message::new(RTM_NEWADDR, ACK | CREATE | EXCLUSIVE)
                .raw(&[family, cidr.prefix(), 0, 0])
                .raw(&index.to_ne_bytes())
                .attribute(IFA_LOCAL, &address)
                .attribute(IFA_ADDRESS, &address)
                .attribute(IFA_FLAGS, &IFA_F_NODAD.to_ne_bytes()),
        )
    }

    /// The addresses that the kernel has on a device.
    pub(crate) fn addresses(&mut self, index: u32) -> io::Result<Vec<IpAddr>> {
        let message = Message::new(RTM_GETADDR, DUMP).raw(&[0; 8]);
        let mut found = Vec::new();
        self.request(message, |body| found.extend(parse_address(body, index)))?;
        Ok(found)
    }

    /// Routes a network through a device.
    pub(crate) fn add_route(&mut self, index: u32, cidr: Cidr) -> io::Result<()> {
        let (family, network) = octets(cidr.network());
        self.command(
            Message::new(RTM_NEWROUTE, ACK | CREATE | REPLACE)
                .raw(&[family, cidr.prefix(), 0, 0])
                .raw(&[TABLE_MAIN, PROTOCOL_STATIC, SCOPE_LINK, TYPE_UNICAST])
                .raw(&[0; 4])
                .attribute(RTA_DST, &network)
                .attribute(RTA_OIF, &index.to_ne_bytes()),
        )
    }
}

fn octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    }
}

fn terminated(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The first message of a datagram: its type, its sequence number, its body, and what follows.
fn split_message(bytes: &[u8]) -> Option<(u16, u32, &[u8], &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let body = bytes.get(HEADER..length)?;
    let after = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    Some((u16_at(bytes, 4)?, u32_at(bytes, 8)?, body, after))
}

/// The verdict in an `NLMSG_ERROR`: zero, or a negated errno.
fn acknowledged(body: &[u8]) -> io::Result<()> {
    match u32_at(body, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The value of the first attribute of this kind.
fn attribute(mut bytes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(4..length)?;
        if u16_at(bytes, 2)? == kind {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

fn parse_link(body: &[u8]) -> Option<Link> {
    Some(Link {
        index: u32_at(body, 4)?,
        up: u32_at(body, 8)? & IFF_UP != 0,
        mtu: u32_at(attribute(body.get(16..)?, IFLA_MTU)?, 0)?,
        queue: attribute(body.get(16..)?, IFLA_TXQLEN)
            .and_then(|value| u32_at(value, 0))
            .unwrap_or(0),
        mac: attribute(body.get(16..)?, IFLA_ADDRESS)
            .and_then(|value| value.first_chunk().copied())
            .unwrap_or_default(),
    })
}

fn parse_address(body: &[u8], index: u32) -> Option<IpAddr> {
    if u32_at(body, 4)? != index {
        return None;
    }
    let attributes = body.get(8..)?;
    // IPv6 leaves out the local address where there is no other end.
    let address = attribute(attributes, IFA_LOCAL).or(attribute(attributes, IFA_ADDRESS))?;
    match *body.first()? {
        AF_INET => Some(IpAddr::from(*address.first_chunk::<4>()?)),
        AF_INET6 => Some(IpAddr::from(*address.first_chunk::<16>()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attributes_are_padded_and_their_lengths_are_not() {
        let message = Message(Vec::new()).nest(5, |inside| inside.attribute(7, &[1, 2, 3]));
        let mut expected = Vec::new();
        for field in [12u16, 5, 7, 7] {
            expected.extend(field.to_ne_bytes());
        }
        expected.extend([1, 2, 3, 0]);
        assert_eq!(message.0, expected);
        assert_eq!(
            attribute(&expected, 5).and_then(|inner| attribute(inner, 7)),
            Some(&[1, 2, 3][..])
        );
    }

    #[test]
    fn the_loopback_device_is_found_and_a_missing_one_is_not() {
        let mut netlink = Netlink::open().unwrap();
        let lo = netlink.link("lo").unwrap();
        assert!(lo.index > 0 && lo.mtu > 0);
        let error = netlink.link("no-such-device").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        if lo.up {
            assert!(
                netlink
                    .addresses(lo.index)
                    .unwrap()
                    .contains(&IpAddr::from([127, 0, 0, 1]))
            );
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), length in any::<u16>()) {
            let mut bytes = bytes;
            for at in [0, 16, 24] {
                if let Some(field) = bytes.get_mut(at..at + 2) { field.copy_from_slice(&(length % 40).to_ne_bytes()); }
            }
            let _ = split_message(&bytes);
            let _ = acknowledged(&bytes);
            let _ = parse_link(&bytes);
            let _ = parse_address(&bytes, 0);
            // Ends for every length, zero too.
            let _ = attribute(&bytes, 9);
        }
    }
}
