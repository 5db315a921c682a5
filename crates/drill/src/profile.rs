//! The systems whose suites are run: what their scripts take for granted, as [`Knobs`].

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::sync::Arc;

use woshou_tcp::EcnPolicy;
use woshou_wire::tcp_option::Layout;

/// Whose defaults hold where a script sets nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Those that Google's suite sets before every script, on Linux.
    #[default]
    Linux,
    /// FreeBSD's.
    FreeBsd,
    /// woshou's own.
    Woshou,
}

impl Profile {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Linux, Self::FreeBsd, Self::Woshou];

    /// `linux`, `freebsd`, `woshou`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::FreeBsd => "freebsd",
            Self::Woshou => "woshou",
        }
    }

    /// What holds before the script's first command.
    #[must_use]
    pub fn knobs(self) -> Knobs {
        match self {
            Self::Linux => linux(),
            Self::FreeBsd => freebsd(),
            Self::Woshou => woshou(),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No profile has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProfile(pub String);

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there is no profile `{}`: linux, freebsd, woshou",
            self.0
        )
    }
}

impl core::error::Error for UnknownProfile {}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        let found = Self::ALL.into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| UnknownProfile(name.to_owned()))
    }
}

/// What scripts turn: by their profile, their options and their commands.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Of connections and listeners.
    pub tcp: woshou_tcp::Config,
    /// Of the stack; its `tcp` is not used, [`Self::tcp`] is.
    pub stack: woshou_stack::Config,
    /// Of the link, octets; for IPv6 `mtu_v6` more.
    pub mtu: usize,
    /// What IPv6 packets may be longer than IPv4's, octets.
    pub mtu_v6: usize,
}

impl Knobs {
    /// The configuration of a new stack.
    #[must_use]
    pub fn stack_config(&self) -> woshou_stack::Config {
        woshou_stack::Config {
            tcp: Arc::new(self.tcp.clone()),
            ..self.stack.clone()
        }
    }
}

/// The time that `retries` retransmissions take, the first after `initial`, each wait twice the last.
#[must_use]
pub fn backoff_sum(initial: Duration, retries: u32, longest: Duration) -> Duration {
    let mut sum = Duration::ZERO;
    let mut wait = initial;
    for _ in 0..=retries.min(64) {
        sum = sum.saturating_add(wait.min(longest));
        wait = wait.saturating_mul(2);
    }
    sum
}

/// Linux with what Google's `defaults.sh` sets: receive buffer 540,000, whose first window is 65,535 with scale 8,
/// ten segments to begin with, acknowledgements at once at first, five repetitions of a SYN, no slow start after idle time.
fn linux() -> Knobs {
    let initial_rto = Duration::from_secs(1);
    let tcp = woshou_tcp::Config {
        ecn: EcnPolicy::Off,
        window_scale: Some(8),
        initial_window: 10,
        delayed_ack: Duration::from_millis(40),
        ack_every: 2,
        quick_acks: 16,
        min_rto: Duration::from_millis(200),
        initial_rto,
        max_rto: Duration::from_secs(120),
        user_timeout: Duration::from_millis(924_600),
        open_timeout: backoff_sum(initial_rto, 5, Duration::from_secs(120)),
        open_fails_on_path_error: true,
        receive_buffer: linux_receive_buffer(540_000),
        send_buffer: 262_144,
        send_buffer_start: 262_144,
        challenge_acks_per_second: u8::MAX,
        mtu_probing: false,
        slow_start_after_idle: false,
        ..woshou_tcp::Config::default()
    };
    Knobs {
        tcp,
        stack: stack(Layout::Linux),
        mtu: 1500,
        mtu_v6: 20,
    }
}

/// The window that Linux opens at first with a receive buffer of `octets`: half of it is kept for bookkeeping, and
/// growth beyond 64 KiB waits for the peer to fill it.
#[must_use]
pub fn linux_receive_buffer(octets: u64) -> usize {
    usize::try_from((octets / 2).min(65_536)).unwrap_or(65_536)
}

/// FreeBSD: windows of 65,535 with scale 6, an acknowledgement for every second segment or after 40 ms, and
/// 200 ms of slack on every timeout.
fn freebsd() -> Knobs {
    let tcp = woshou_tcp::Config {
        window_scale: Some(6),
        initial_window: 10,
        delayed_ack: Duration::from_millis(40),
        ack_every: 2,
        quick_acks: 0,
        min_rto: Duration::from_millis(230),
        initial_rto: Duration::from_secs(1),
        max_rto: Duration::from_secs(64),
        open_timeout: Duration::from_secs(75),
        open_fails_on_path_error: true,
        receive_buffer: 65_536,
        send_buffer: 32_768,
        challenge_acks_per_second: u8::MAX,
        // RACK is another stack there, which is not the default one.
        loss_detection: woshou_tcp::LossDetection {
            rack: false,
            tail_loss_probe: false,
            frto: false,
            ..woshou_tcp::LossDetection::default()
        },
        mtu_probing: false,
        ..woshou_tcp::Config::default()
    };
    Knobs {
        tcp,
        stack: stack(Layout::FreeBsd),
        mtu: 1500,
        mtu_v6: 0,
    }
}

fn woshou() -> Knobs {
    Knobs {
        tcp: woshou_tcp::Config::default(),
        stack: woshou_stack::Config::default(),
        mtu: 1500,
        mtu_v6: 0,
    }
}

fn stack(option_layout: Layout) -> woshou_stack::Config {
    woshou_stack::Config {
        option_layout,
        ..woshou_stack::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
        }
        assert_eq!(
            "sunos".parse::<Profile>(),
            Err(UnknownProfile("sunos".to_owned()))
        );
    }

    #[test]
    fn five_repetitions_take_63_seconds() {
        let second = Duration::from_secs(1);
        assert_eq!(backoff_sum(second, 5, 120 * second), 63 * second);
        assert_eq!(
            backoff_sum(second, 8, 120 * second),
            (127 + 120 + 120) * second
        );
        assert_eq!(backoff_sum(Duration::MAX, 64, Duration::MAX), Duration::MAX);
    }

    #[test]
    fn windows_and_scales_of_the_suites() {
        let linux = Profile::Linux.knobs().tcp;
        assert_eq!(
            (linux.receive_buffer, linux.window_scale),
            (65_536, Some(8))
        );
        let freebsd = Profile::FreeBsd.knobs().tcp;
        assert_eq!(
            (freebsd.receive_buffer, freebsd.window_scale),
            (65_536, Some(6))
        );
    }
}
