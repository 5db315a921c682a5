//! What the fuzz targets share: decisions drawn from the fuzzer's octets, and text that tells where it belongs.

use std::time::Duration;

use woshou_tcp::config::{KeepAlive, SynCookies};
use woshou_tcp::{Config, EcnPolicy};

/// The fuzzer's octets as a source of decisions. After the last one, every decision is zero.
#[derive(Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Decides by `octets`.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// Whether nothing is left to decide.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// At most `most` octets as they are.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// One octet.
    pub fn octet(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Sixteen bits.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    /// Thirty-two bits.
    pub fn long(&mut self) -> u32 {
        u32::from(self.short()) << 16 | u32::from(self.short())
    }

    /// Less than `end`, which is at least 1; one octet decides where it can.
    pub fn below(&mut self, end: usize) -> usize {
        let number = if end <= 256 {
            usize::from(self.octet())
        } else if end <= 65_536 {
            usize::from(self.short())
        } else {
            self.long() as usize
        };
        number % end
    }

    /// True for `percent` in a hundred octets; false when nothing is left.
    pub fn chance(&mut self, percent: u8) -> bool {
        // Zero, the answer of an input that is over, says no.
        100 - self.octet() % 100 <= percent
    }

    /// One of `choices`, which are not none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// What `side` writes at `offset` of its stream.
#[must_use]
pub fn octet_at(side: usize, offset: u32) -> u8 {
    offset
        .wrapping_mul(31)
        .wrapping_add(offset >> 8)
        .wrapping_add(side as u32 * 101) as u8
}

/// `len` octets of what `side` writes, from `offset` on.
#[must_use]
pub fn text_at(side: usize, offset: u32, len: usize) -> Vec<u8> {
    (0..len as u32)
        .map(|i| octet_at(side, offset.wrapping_add(i)))
        .collect()
}

/// A behaviour whose buffers hold at most `most` octets each.
pub fn tcp_config(input: &mut Input<'_>, most: usize) -> Config {
    let buffers = [most, 600, most / 5];
    Config {
        sack: input.octet() % 4 != 3,
        timestamps: input.octet() % 4 != 3,
        window_scaling: input.octet() % 4 != 3,
        window_scale: input.chance(20).then(|| input.octet() % 15),
        nagle: input.octet().is_multiple_of(2),
        mss: input.chance(40).then(|| input.pick(&[100, 536, 1000])),
        receive_buffer: input.pick(&buffers),
        send_buffer: input.pick(&buffers),
        delayed_ack: Duration::from_millis(input.pick(&[40, 0, 1, 400])),
        ack_every: input.pick(&[2, 1, 4]),
        quick_acks: input.pick(&[0, 4]),
        initial_window: input.pick(&[10, 1, 4]),
        keep_alive: input.chance(20).then(KeepAlive::default),
        half_open: 16,
        ecn: input.pick(&[EcnPolicy::Accept, EcnPolicy::Request, EcnPolicy::Off]),
        mtu_probing: input.octet() % 4 != 3,
        syn_cookies: input.pick(&[SynCookies::WhenFull, SynCookies::Always, SynCookies::Never]),
        ..Config::default()
    }
}

/// Sets the ECN bits of an IP packet, and its header's checksum right. `None` for what is too short.
pub fn set_ecn(packet: &mut [u8], ecn: u8) -> Option<()> {
    match packet.first()? >> 4 {
        4 => {
            let tos = packet.get_mut(1)?;
            let old = u16::from(*tos);
            *tos = *tos & !3 | ecn & 3;
            let new = u16::from(*tos);
            // RFC 1624, eqn. 3: HC' = ~(~HC + ~m + m').
            let field = packet.get_mut(10..12)?;
            let sum = u32::from(!u16::from_be_bytes([field[0], field[1]]));
            let sum = sum + u32::from(!old) + u32::from(new);
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = (sum & 0xffff) + (sum >> 16);
            field.copy_from_slice(&(!(sum as u16)).to_be_bytes());
        }
        _ => {
            let class = packet.get_mut(1)?;
            *class = *class & !0x30 | (ecn & 3) << 4;
        }
    }
    Some(())
}

/// The ECN bits of an IP packet.
#[must_use]
pub fn ecn_of(packet: &[u8]) -> u8 {
    match packet {
        [first, second, ..] if first >> 4 == 4 => second & 3,
        [_, second, ..] => second >> 4 & 3,
        _ => 0,
    }
}
