//! The one task of a net: frames in, timers, and what full devices could not take.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use woshou_link::{Device, Readiness};
use woshou_tcp::Instant;

use crate::alarm::Alarm;
use crate::error::Over;
use crate::port::REFILL;
use crate::receive::Reading;
use crate::shared::{Core, IDLE_CHECK, Shared};
use crate::wakers::WakeList;

/// Memory that free send buffers may keep while frames come and go, octets; less where the budget is small.
const SPARE: usize = 2 << 20;

/// Without a frame for so long, buffers that are kept for the next are given back.
const STILL: Duration = Duration::from_secs(1);

/// How soon a full device without a descriptor is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// Drives a net until it is over. Made by [`crate::net::Builder`].
pub(crate) struct Driver {
    core: Arc<Core>,
    /// All of the net, this one too; they end together.
    shards: Arc<[Arc<Core>]>,
    /// By port; `None`: the device wakes us itself.
    descriptors: Vec<Option<AsyncFd<OwnedFd>>>,
    alarm: Alarm,
    /// Not before, it is looked again whether the net is idle: that costs time for every connection.
    idle_check_at: Instant,
    /// A look was put off until then.
    idle_check_due: bool,
    /// Then it is [`STILL`]; `None`: it is, and no free buffer is kept.
    still_at: Option<Instant>,
}

/// The descriptor of a device, known to tokio.
///
/// # Errors
/// No I/O driver on this runtime (tokio panics), or no descriptor is free.
#[expect(
    deprecated,
    reason = "AsyncFd::new was deprecated because any AsRawFd may lie about its descriptor; an OwnedFd cannot, \
              and the replacement is an unsafe fn"
)]
fn descriptor(device: &dyn Device) -> io::Result<Option<AsyncFd<OwnedFd>>> {
    match device.readiness() {
        // A duplicate, because the device keeps its own; both name the same open file.
        Readiness::Fd(fd) => AsyncFd::new(fd.try_clone_to_owned()?).map(Some),
        Readiness::Waker => Ok(None),
    }
}

impl Driver {
    /// Of one of the shards, in the context of the runtime that will run it. `precise`: deadlines that are near are kept to
    /// the microsecond; `None`: if a device has a descriptor.
    ///
    /// # Errors
    /// No descriptor is free.
    pub(crate) fn new(
        core: &Arc<Core>,
        shards: &Arc<[Arc<Core>]>,
        precise: Option<bool>,
    ) -> io::Result<Self> {
        let shared = core.lock();
        let devices = shared.ports.iter().map(|port| port.device.as_ref());
        let descriptors: Vec<_> = devices.map(descriptor).collect::<Result<_, _>>()?;
        drop(shared);
        let precise = precise.unwrap_or_else(|| descriptors.iter().any(Option::is_some));
        Ok(Self {
            alarm: Alarm::new(precise)?,
            core: Arc::clone(core),
            shards: Arc::clone(shards),
            descriptors,
            idle_check_at: Instant::ZERO,
            idle_check_due: false,
            still_at: None,
        })
    }

    /// One turn. `Ready`: the net is over.
    fn turn(&mut self, cx: &mut Context<'_>, wakes: &mut WakeList) -> Poll<()> {
        let core = Arc::clone(&self.core);
        let mut shared = core.lock();
        let shared = &mut *shared;
        if shared.over.is_some() {
            return Poll::Ready(());
        }
        let parked = shared.driver.take(); // nobody needs to wake us now
        let now = shared.now();
        if shared.stack.poll_timeout().is_some_and(|due| due <= now) {
            shared.stack.handle_timeout(now);
        }
        let mut again = false;
        for index in 0..shared.ports.len() {
            match self.read(cx, shared, index, now) {
                Reading::Dry => {}
                Reading::More => again = true,
                Reading::Failed(error) => lose(shared, index, &error, wakes),
            }
        }
        shared.receive_from_others(now);
        self.keep_buffers(shared, now);
        shared.settle(now, wakes);
        for index in 0..shared.ports.len() {
            again |= self.write(cx, shared, index);
        }
        self.look_whether_idle(shared, now, wakes);
        if shared.over.is_some() {
            return Poll::Ready(());
        }
        if again {
            cx.waker().wake_by_ref();
        } else {
            self.sleep(cx, shared, now);
        }
        let mut waker = parked.unwrap_or_else(|| cx.waker().clone());
        waker.clone_from(cx.waker());
        shared.driver = Some(waker);
        Poll::Pending
    }

    /// Buffers are kept for the next frames while frames come, and given back when none came for a while.
    fn keep_buffers(&mut self, shared: &mut Shared, now: Instant) {
        if std::mem::take(&mut shared.heard) {
            if self.still_at.is_none() {
                let spare = SPARE.min(shared.stack.memory().budget / 32);
                shared.stack.keep_free_chunks(spare);
            }
            self.still_at = Some(now + STILL);
            let kept = shared.buffers.memory();
            shared.stack.count_beside(kept);
        } else if self.still_at.is_some_and(|at| at <= now) {
            self.still_at = None;
            shared.stack.keep_free_chunks(0);
            shared.buffers.give_back();
            shared.stack.count_beside(0);
            if let Some(member) = &mut shared.member {
                member.give_back();
            }
        }
    }

    /// While someone waits for it. Whatever ends a connection comes by here: frames and timers of themselves, users'
    /// calls because `settle` wakes the driver then.
    fn look_whether_idle(&mut self, shared: &mut Shared, now: Instant, wakes: &mut WakeList) {
        self.idle_check_due = shared.is_watched() && now < self.idle_check_at;
        if !shared.is_watched() || self.idle_check_due {
            return;
        }
        self.idle_check_at = now + IDLE_CHECK;
        if shared.is_idle() {
            shared.idlers.wake(wakes);
            if shared.abandoned && shared.member.as_mut().is_none_or(|member| member.is_last()) {
                shared.end(Over::Shutdown, wakes);
            }
        }
    }

    /// Sends what a full device left, if it has room again. `true`: it had, and the stack may go on.
    fn write(&mut self, cx: &mut Context<'_>, shared: &mut Shared, index: usize) -> bool {
        let Some(port) = shared.ports.get_mut(index).filter(|port| port.is_full()) else {
            return false;
        };
        let Some(Some(descriptor)) = self.descriptors.get(index) else {
            return port.send_waiting(); // if not, `sleep` sees to the next try
        };
        loop {
            match descriptor.poll_write_ready(cx) {
                Poll::Ready(Ok(_)) if port.send_waiting() => return true,
                Poll::Ready(Ok(mut guard)) => guard.clear_ready(),
                Poll::Ready(Err(_)) | Poll::Pending => return false,
            }
        }
    }

    /// Reads a batch from a device.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        shared: &mut Shared,
        index: usize,
        now: Instant,
    ) -> Reading {
        if shared.ports.get(index).is_none_or(|port| !port.reads) {
            return Reading::Dry;
        }
        let Some(Some(descriptor)) = self.descriptors.get(index) else {
            return match shared.receive(index, now) {
                Reading::Dry => {
                    if let Some(port) = shared.ports.get_mut(index) {
                        port.device.register(cx.waker());
                    }
                    // Once more, so that no frame slips in between.
                    shared.receive(index, now)
                }
                other => other,
            };
        };
        loop {
            match descriptor.poll_read_ready(cx) {
                Poll::Ready(Ok(mut guard)) => match shared.receive(index, now) {
                    Reading::Dry => guard.clear_ready(),
                    other => return other,
                },
                Poll::Ready(Err(error)) => return Reading::Failed(error),
                Poll::Pending => return Reading::Dry,
            }
        }
    }

    /// Sleeps until the stack's next deadline. The timer is only ever moved forward: one that rings for nothing
    /// is cheaper than moving it with every acknowledgement.
    fn sleep(&mut self, cx: &mut Context<'_>, shared: &mut Shared, now: Instant) {
        // A descriptor says when it has room.
        let mut ports = shared.ports.iter().zip(&self.descriptors);
        let full = ports.any(|(port, descriptor)| descriptor.is_none() && port.is_full());
        let alone = shared.ports.len() == 1;
        let sated = alone && shared.ports.iter_mut().any(|port| port.is_sated(now));
        let due = [
            shared
                .stack
                .poll_timeout()
                .filter(|due| *due < Instant::MAX),
            self.idle_check_due.then_some(self.idle_check_at),
            self.still_at.filter(|_| shared.keeps_buffers()),
            full.then(|| now + RETRY),
            sated.then(|| now + REFILL),
        ];
        if let Some(due) = due.into_iter().flatten().min()
            && shared.armed.is_none_or(|armed| due < armed)
            && let Some(at) = shared.to_tokio(due)
        {
            self.alarm.set(at);
            shared.armed = Some(due);
        }
        if self.alarm.poll(cx).is_ready() {
            shared.armed = None;
            cx.waker().wake_by_ref();
        }
        if let Some(member) = &shared.member
            && !member.sleep(cx.waker())
        {
            cx.waker().wake_by_ref();
        }
    }

    /// The shard is over: so are the others, for the same reason.
    fn end_all(&self) {
        let why = self.core.lock().over.clone();
        let others = self
            .shards
            .iter()
            .filter(|core| !Arc::ptr_eq(core, &self.core));
        for (core, why) in others.zip(std::iter::repeat(why)) {
            let mut wakes = WakeList::default();
            let mut shared = core.lock();
            if let Some(why) = why.filter(|_| shared.over.is_none()) {
                shared.end(why, &mut wakes);
            }
            drop(shared);
            wakes.wake();
        }
    }
}

/// A device failed: its link is dead, and with the last one the net.
fn lose(shared: &mut Shared, index: usize, error: &io::Error, wakes: &mut WakeList) {
    if let Some(port) = shared.ports.get_mut(index) {
        port.break_off();
    }
    if shared.ports.iter().all(|port| port.broken) {
        shared.end(Over::Broken(error.kind(), error.to_string()), wakes);
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut wakes = WakeList::default();
        let driver = self.get_mut();
        let poll = driver.turn(cx, &mut wakes);
        wakes.wake();
        if poll.is_ready() {
            driver.end_all();
        }
        poll
    }
}

/// A driver that is dropped before its time (the runtime ends, or it panicked) tells those who wait.
impl Drop for Driver {
    fn drop(&mut self) {
        let mut wakes = WakeList::default();
        let mut shared = self.core.lock();
        if shared.over.is_none() {
            shared.end(Over::Undriven, &mut wakes);
        }
        drop(shared);
        wakes.wake();
        self.end_all();
    }
}
