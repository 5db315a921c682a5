//! The net that `TcpStream::connect` and `TcpListener::bind` use.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::sync::{PoisonError, RwLock};

use crate::Net;

tokio::task_local! {
    static OF_TASK: Net;
}

thread_local! {
    static OF_THREAD: RefCell<Vec<Net>> = const { RefCell::new(Vec::new()) };
}

static OF_PROCESS: RwLock<Option<Net>> = RwLock::new(None);

/// While it lives, its net is the thread's current one. Made by [`Net::enter`].
#[derive(Debug)]
#[must_use = "the net is left when the guard is dropped"]
pub struct EnterGuard {
    depth: usize,
    /// It belongs to this thread.
    here: PhantomData<*const ()>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        // Taken out first: a net that goes now may run code that asks for the current one.
        let left = OF_THREAD.try_with(|nets| {
            let mut nets = nets.borrow_mut();
            let depth = self.depth.min(nets.len());
            nets.split_off(depth)
        });
        drop(left);
    }
}

impl Net {
    /// The current net: of the task ([`Net::scope`]), else of the thread ([`Net::enter`]), else of the process
    /// ([`Net::set_global`]).
    ///
    /// # Errors
    /// `NotConnected`: there is none.
    pub fn current() -> io::Result<Self> {
        OF_TASK
            .try_with(Self::clone)
            .ok()
            .or_else(|| {
                OF_THREAD
                    .try_with(|nets| nets.borrow().last().cloned())
                    .ok()
                    .flatten()
            })
            .or_else(|| {
                OF_PROCESS
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone()
            })
            .ok_or_else(|| {
                io::Error::new(
                    ErrorKind::NotConnected,
                    "no woshou net here: make one with Net::builder(), then call Net::set_global, \
                     Net::enter or Net::scope, or use net.connect and net.bind",
                )
            })
    }

    /// Runs `future` with this net as the current one. Tasks that it spawns do not inherit it: wrap them too, or
    /// use [`Net::set_global`].
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        OF_TASK.scope(self.clone(), future)
    }

    /// Makes this net the thread's current one until the guard is dropped. Tasks on other threads of the runtime
    /// do not see it: for those use [`Net::scope`] or [`Net::set_global`].
    pub fn enter(&self) -> EnterGuard {
        OF_THREAD.with_borrow_mut(|nets| {
            nets.push(self.clone());
            EnterGuard {
                depth: nets.len() - 1,
                here: PhantomData,
            }
        })
    }

    /// Makes this net the current one wherever no task or thread has its own; returns the one before. The net
    /// then lives until [`Net::clear_global`].
    pub fn set_global(&self) -> Option<Self> {
        OF_PROCESS
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(self.clone())
    }

    /// Undoes [`Net::set_global`]; returns the net there was.
    pub fn clear_global() -> Option<Self> {
        OF_PROCESS
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
