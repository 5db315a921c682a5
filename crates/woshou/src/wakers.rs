//! Who waits for what, and waking them once the lock is let go.

use std::task::Waker;

/// How many wakers are carried out of the lock; more are woken under it, which costs time and nothing else.
const CARRIED: usize = 16;

/// Wakers to be woken after the lock is let go. Holds no heap memory.
#[derive(Default)]
pub(crate) struct WakeList {
    wakers: [Option<Waker>; CARRIED],
    len: usize,
}

impl WakeList {
    pub(crate) fn push(&mut self, waker: Waker) {
        match self.wakers.get_mut(self.len) {
            Some(place) => {
                *place = Some(waker);
                self.len += 1;
            }
            None => waker.wake(),
        }
    }

    pub(crate) fn wake(self) {
        if self.len > 0 {
            self.wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

/// Names one waiting future among the [`Waiters`] of a connection or listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterKey(pub(crate) u64);

/// Who waits for one thing: one task by a `poll_` call (the latest counts, as in tokio), and any number of
/// futures, which leave by themselves when they are dropped.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    task: Option<Waker>,
    #[expect(
        clippy::box_collection,
        reason = "rare: one word in every socket instead of three"
    )]
    futures: Option<Box<Vec<(WaiterKey, Waker)>>>,
}

impl Waiters {
    /// As `default`.
    pub(crate) const NOBODY: Self = Self {
        task: None,
        futures: None,
    };

    /// For `poll_` calls.
    pub(crate) fn set_task(&mut self, waker: &Waker) {
        match &mut self.task {
            Some(task) => task.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// For futures: the latest waker of `key`.
    pub(crate) fn set_future(&mut self, key: WaiterKey, waker: &Waker) {
        let futures = self.futures.get_or_insert_default();
        match futures.iter_mut().find(|(waiting, _)| *waiting == key) {
            Some((_, old)) => old.clone_from(waker),
            None => futures.push((key, waker.clone())),
        }
    }

    /// The future named `key` is gone.
    pub(crate) fn remove(&mut self, key: WaiterKey) {
        if let Some(futures) = &mut self.futures {
            futures.retain(|(waiting, _)| *waiting != key);
            if futures.is_empty() {
                self.futures = None;
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.task.is_none()
            && self
                .futures
                .as_ref()
                .is_none_or(|futures| futures.is_empty())
    }

    /// All of them, once.
    pub(crate) fn wake(&mut self, wakes: &mut WakeList) {
        if let Some(task) = self.task.take() {
            wakes.push(task);
        }
        for (_, waker) in self
            .futures
            .iter_mut()
            .flat_map(|futures| futures.drain(..))
        {
            wakes.push(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn everyone_is_woken_once_and_those_who_left_are_not() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut waiters = Waiters::default();
        for key in 0..100 {
            waiters.set_future(WaiterKey(key), &waker);
            waiters.set_future(WaiterKey(key), &waker);
        }
        waiters.set_task(&waker);
        waiters.set_task(&waker);
        waiters.remove(WaiterKey(7));
        for _ in 0..2 {
            let mut wakes = WakeList::default();
            waiters.wake(&mut wakes);
            wakes.wake();
            assert_eq!(count.0.load(Ordering::SeqCst), 100);
            assert!(waiters.is_empty());
        }
    }
}
