//! When events are due, and how far off they may be.

use crate::ast::{Micros, When};

/// How much a time may differ: `max(usecs, percent of the time since the event before)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// At least this many microseconds.
    pub usecs: u64,
    /// Of the time between the event before and this one.
    pub percent: f64,
}

impl Default for Tolerance {
    /// 4,000 us, 12.5 percent.
    fn default() -> Self {
        Self {
            usecs: 4_000,
            percent: 12.5,
        }
    }
}

impl Tolerance {
    /// What may differ when `since` microseconds lie between the two events.
    #[must_use]
    pub fn slack(&self, since: Micros) -> Micros {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a float becomes the nearest whole number that there is; times are below 2^53"
        )]
        let share = (since as f64 * self.percent / 100.0) as u64;
        self.usecs.max(share)
    }
}

/// When an event is due, in microseconds since the start of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Then.
    At(Micros),
    /// Not before the first, not after the second.
    Between(Micros, Micros),
    /// Whenever.
    Any,
}

/// The clock of a script: where relative times begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// When the event before was finished: what relative times are added to.
    now: Micros,
    /// When the event before was due: what the tolerance is a share of the distance to.
    previous: Micros,
    /// The latest absolute time of the events right before.
    absolute: Option<Micros>,
}

impl Schedule {
    /// When an event with the time `when` is due. `None`: its absolute time is before that of the event before.
    pub(crate) fn due(&mut self, when: &When) -> Option<Due> {
        let due = match *when {
            When::Absolute(at) => Due::At(at),
            When::Relative(after) => Due::At(self.now.saturating_add(after)),
            When::AbsoluteRange(from, to) => Due::Between(from, to),
            When::RelativeRange(from, to) => {
                Due::Between(self.now.saturating_add(from), self.now.saturating_add(to))
            }
            When::Any => Due::Any,
        };
        let absolute = match *when {
            When::Absolute(at) | When::AbsoluteRange(at, _) => Some(at),
            _ => None,
        };
        if let (Some(before), Some(at)) = (self.absolute, absolute)
            && at < before
        {
            return None;
        }
        self.absolute = absolute;
        Some(due)
    }

    /// The base of relative times now.
    #[must_use]
    pub(crate) const fn base(&self) -> Micros {
        self.now
    }

    /// What may be missing at `scheduled`.
    #[must_use]
    pub(crate) fn slack(&self, scheduled: Micros, tolerance: &Tolerance) -> Micros {
        tolerance.slack(scheduled.saturating_sub(self.previous))
    }

    /// The event that was `due` is over at `now`.
    pub(crate) fn done(&mut self, due: Due, now: Micros) {
        self.previous = match due {
            Due::At(at) => at,
            Due::Between(_, to) => to,
            Due::Any => now,
        };
        self.now = self.now.max(now);
    }
}

impl Due {
    /// The latest time at which it is still worth waiting for, `patience` after it is due; `None`: for ever.
    #[must_use]
    pub(crate) fn deadline(self, patience: Micros) -> Option<Micros> {
        match self {
            Self::At(at) | Self::Between(_, at) => Some(at.saturating_add(patience)),
            Self::Any => None,
        }
    }

    /// Whether something that happened `at` fits, with `slack` at either end.
    ///
    /// # Errors
    /// Both times in words.
    pub(crate) fn check(self, at: Micros, slack: Micros) -> Result<(), Mistimed> {
        let (from, to) = match self {
            Self::At(due) => (due, due),
            Self::Between(from, to) => (from, to),
            Self::Any => return Ok(()),
        };
        if at < from.saturating_sub(slack) {
            return Err(Mistimed {
                due: self,
                at,
                slack,
                by: from - at,
                early: true,
            });
        }
        if at > to.saturating_add(slack) {
            return Err(Mistimed {
                due: self,
                at,
                slack,
                by: at - to,
                early: false,
            });
        }
        Ok(())
    }
}

impl core::fmt::Display for Due {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::At(at) => write!(f, "{}", Seconds(at)),
            Self::Between(from, to) => write!(f, "{}~{}", Seconds(from), Seconds(to)),
            Self::Any => f.write_str("any time"),
        }
    }
}

/// Something that came too early or too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mistimed {
    due: Due,
    at: Micros,
    slack: Micros,
    by: Micros,
    early: bool,
}

impl core::fmt::Display for Mistimed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "expected at {} s (tolerance {} s), got at {} s: {} s too {}",
            self.due,
            Seconds(self.slack),
            Seconds(self.at),
            Seconds(self.by),
            if self.early { "early" } else { "late" },
        )
    }
}

/// Microseconds as seconds with six digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seconds(pub(crate) Micros);

impl core::fmt::Display for Seconds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Tolerance = Tolerance {
        usecs: 4_000,
        percent: 12.5,
    };

    #[test]
    fn relative_times_begin_where_the_event_before_ended() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(&When::Relative(100)), Some(Due::At(100)));
        // It was due at 100 and came at 130.
        schedule.done(Due::At(100), 130);
        assert_eq!(schedule.due(&When::Relative(50)), Some(Due::At(180)));
        assert_eq!(
            schedule.due(&When::RelativeRange(10, 20)),
            Some(Due::Between(140, 150))
        );
        assert_eq!(schedule.due(&When::Absolute(500)), Some(Due::At(500)));
        assert_eq!(
            schedule.due(&When::AbsoluteRange(500, 600)),
            Some(Due::Between(500, 600))
        );
        assert_eq!(schedule.due(&When::Any), Some(Due::Any));
    }

    #[test]
    fn a_packet_that_was_early_does_not_turn_the_clock_back() {
        let mut schedule = Schedule::default();
        schedule.done(Due::At(1_000), 1_000);
        schedule.done(Due::At(1_100), 900);
        assert_eq!(schedule.base(), 1_000);
    }

    #[test]
    fn absolute_times_do_not_go_back() {
        let mut schedule = Schedule::default();
        assert!(schedule.due(&When::Absolute(10)).is_some());
        assert!(schedule.due(&When::Absolute(10)).is_some());
        assert_eq!(schedule.due(&When::Absolute(9)), None);
        let mut schedule = Schedule::default();
        schedule.due(&When::Absolute(10));
        schedule.due(&When::Relative(0));
        assert!(
            schedule.due(&When::Absolute(9)).is_some(),
            "only adjacent ones are compared"
        );
    }

    #[test]
    fn tolerance_is_a_share_of_the_wait_but_never_less_than_its_floor() {
        assert_eq!(TOLERANCE.slack(0), 4_000);
        assert_eq!(TOLERANCE.slack(32_000), 4_000);
        assert_eq!(TOLERANCE.slack(1_000_000), 125_000);
        let mut schedule = Schedule::default();
        schedule.done(Due::At(1_000_000), 1_200_000);
        // From where the event before was due, not from where it ended.
        assert_eq!(schedule.slack(3_000_000, &TOLERANCE), 250_000);
    }

    #[test]
    fn too_early_and_too_late() {
        let at = Due::At(100_000);
        assert!(at.check(96_000, 4_000).is_ok() && at.check(104_000, 4_000).is_ok());
        let early = at.check(95_999, 4_000).unwrap_err().to_string();
        assert_eq!(
            early,
            "expected at 0.100000 s (tolerance 0.004000 s), got at 0.095999 s: 0.004001 s too early"
        );
        assert!(
            at.check(104_001, 4_000)
                .unwrap_err()
                .to_string()
                .ends_with("too late")
        );
        let range = Due::Between(100, 200);
        assert!(range.check(99, 0).is_err() && range.check(100, 0).is_ok());
        assert!(range.check(200, 0).is_ok() && range.check(201, 0).is_err());
        assert!(
            range.check(90, 10).is_ok()
                && range.check(210, 10).is_ok()
                && range.check(211, 10).is_err()
        );
        assert!(Due::Any.check(u64::MAX, 0).is_ok());
    }

    #[test]
    fn patience() {
        assert_eq!(Due::At(5).deadline(2), Some(7));
        assert_eq!(Due::Between(5, 9).deadline(2), Some(11));
        assert_eq!(Due::Any.deadline(2), None);
    }
}
