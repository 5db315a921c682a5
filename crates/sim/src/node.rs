//! A host that runs: its stack, its links' ends, its programs.

use std::sync::{Arc, Mutex, PoisonError};

use woshou_stack::Stack;
use woshou_tcp::{Endpoints, Instant, Observer, TraceEvent};

use crate::app::App;
use crate::host::Host;
use crate::world::LinkId;

/// One end of a link, on its host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    /// What the stack calls it.
    pub(crate) inside: woshou_stack::LinkId,
    /// What the world calls it.
    pub(crate) link: LinkId,
    /// Whether this is the link's first end.
    pub(crate) first: bool,
}

/// A running host.
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) stack: Stack,
    pub(crate) ports: Vec<Port>,
    pub(crate) apps: Vec<Box<dyn App>>,
    /// When the stack wants to be told of the time.
    pub(crate) timer_at: Option<Instant>,
    /// The earliest time that it stands on the agenda for, never later than `timer_at`; `None`: for none.
    pub(crate) on_agenda_at: Option<Instant>,
    pub(crate) trace: Trace,
}

impl Node {
    /// The stack of `host`; traces into its trace when `watched`.
    pub(crate) fn new(host: Host, secret: [u8; 32], watched: bool) -> Self {
        let config = woshou_stack::Config {
            tcp: Arc::clone(&host.tcp),
            ephemeral_ports: host.ephemeral_ports.clone(),
            memory: host.memory,
            ..woshou_stack::Config::default()
        };
        let mut stack = Stack::new(Arc::new(config), secret);
        let trace = Trace::default();
        if watched {
            stack.set_observer(Some(Box::new(trace.clone())));
        }
        Self {
            host,
            stack,
            ports: Vec::new(),
            apps: Vec::new(),
            timer_at: None,
            on_agenda_at: None,
            trace,
        }
    }
}

/// What happened inside TCP since it was last emptied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Arc<Mutex<Vec<(Instant, Endpoints, TraceEvent)>>>);

impl Trace {
    /// Takes everything out.
    pub(crate) fn take(&self) -> Vec<(Instant, Endpoints, TraceEvent)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Trace {
    fn observe(&mut self, now: Instant, who: &Endpoints, event: &TraceEvent) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((now, *who, *event));
    }
}
