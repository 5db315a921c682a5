//! From what a [`Builder`] collected to a net: stacks, ports and drivers, one of each for every shard.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::time::Instant as TokioInstant;
use woshou_link::Device;
use woshou_stack::{Config, LinkConfig, LinkId, Stack, Steering};
use woshou_tcp::{Endpoints, Instant, Observer, TraceEvent};

use super::builder::{Builder, Link};
use crate::Net;
use crate::crew::{Crew, Member};
use crate::driver::Driver;
use crate::port::{Port, medium};
use crate::shared::{Core, Shared};
use crate::spread::spread;

/// A net without its drivers.
pub(super) struct Plan {
    cores: Arc<[Arc<Core>]>,
    precise: Option<bool>,
}

/// What all shards have in common while they are made.
struct Common {
    config: Arc<Config>,
    seed: [u8; 32],
    steering: Steering,
    crew: Option<Arc<Crew>>,
    origin: TokioInstant,
}

impl Plan {
    pub(super) fn new(builder: Builder) -> io::Result<Self> {
        let shards = builder.shards;
        if builder.links.is_empty() {
            return Err(invalid("a woshou net needs a device: call Builder::device"));
        }
        let seed = match builder.seed {
            Some(seed) => seed,
            None => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(io::Error::other)?;
                seed
            }
        };
        let config = Arc::new(share_of(builder.config, shards));
        let steering = Steering::new(&seed, shards);
        let crew = (shards > 1).then(|| Arc::new(Crew::new(steering.clone(), config.memory)));
        let common = Common {
            config,
            seed,
            steering,
            crew,
            origin: TokioInstant::now(),
        };
        let mut links: Vec<_> = builder
            .links
            .into_iter()
            .map(|link| Queues::new(link, shards))
            .collect::<io::Result<_>>()?;
        let mut observers = observers(builder.observer, shards).into_iter();
        let cores = (0..shards).map(|number| {
            let shared = common.shard(number, &mut links, observers.next());
            Arc::new(Core::new(shared))
        });
        Ok(Self {
            cores: cores.collect(),
            precise: builder.precise_timers,
        })
    }

    /// The net, and the drivers of its shards, each for one of `runtimes` in turn.
    pub(super) fn drivers(self, runtimes: &[Handle]) -> io::Result<(Net, Vec<Driver>)> {
        let mut drivers = Vec::with_capacity(self.cores.len());
        for (core, runtime) in self.cores.iter().zip(runtimes.iter().cycle()) {
            let _entered = runtime.enter();
            drivers.push(Driver::new(core, &self.cores, self.precise)?);
        }
        let net = Net::new(&self.cores, runtimes);
        Ok((net, drivers))
    }

    pub(super) fn spawn(self, runtimes: &[Handle]) -> io::Result<Net> {
        let (net, drivers) = self.drivers(runtimes)?;
        for (driver, runtime) in drivers.into_iter().zip(runtimes.iter().cycle()) {
            runtime.spawn(driver);
        }
        Ok(net)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

/// What one of so many shards may use of what is meant for the whole.
fn share_of(config: Config, shards: u16) -> Config {
    let (whole, part) = (u32::from(shards), usize::from(shards));
    Config {
        memory: config.memory / part,
        time_wait_entries: config.time_wait_entries.div_ceil(part),
        orphans: config.orphans.div_ceil(part),
        replies_per_second: config.replies_per_second.div_ceil(whole),
        challenge_acks_per_second: config.challenge_acks_per_second.div_ceil(whole),
        ..config
    }
}

/// The queues of a device, to be handed out to the shards in order.
struct Queues {
    link: Link,
    /// With each, whether its shard reads it.
    left: std::vec::IntoIter<(Box<dyn Device>, bool)>,
    config: LinkConfig,
}

impl Queues {
    fn new(mut link: Link, shards: u16) -> io::Result<Self> {
        let queues = std::mem::take(&mut link.queues);
        let beyond = usize::from(shards)
            .checked_sub(queues.len())
            .ok_or_else(|| {
                invalid("a device of this woshou net has more queues than the net has shards")
            })?;
        let mut queues = queues.into_iter();
        let first = queues
            .next()
            .ok_or_else(|| invalid("a device of this woshou net has no queue"))?;
        let info = first.info();
        // Shards without a queue of their own write to the first one's.
        let mut first = spread(first, u16::try_from(beyond + 1).unwrap_or(shards))?.into_iter();
        let own = first.next().into_iter().chain(queues);
        let own = own.map(|queue| (queue, true));
        let all: Vec<_> = own.chain(first.map(|queue| (queue, false))).collect();
        Ok(Self {
            config: LinkConfig {
                medium: medium(&info),
                mtu: info.mtu,
                addresses: link.addresses.clone(),
                checksum_offload: info.checksum_offload,
                gso_max: info.gso_max,
            },
            link,
            left: all.into_iter(),
        })
    }

    fn add_to(&self, stack: &mut Stack) -> LinkId {
        let id = stack.add_link(self.config.clone());
        stack.set_any_ip(id, self.link.any_ip);
        for (to, via) in &self.link.routes {
            stack.add_route(*to, id, *via);
        }
        id
    }
}

impl Common {
    fn shard(
        &self,
        number: u16,
        links: &mut [Queues],
        observer: Option<Box<dyn Observer + Send>>,
    ) -> Shared {
        let seed = Steering::seed(&self.seed, number);
        let mut stack = Stack::new(Arc::clone(&self.config), seed);
        stack.set_observer(observer);
        let mut ports = Vec::with_capacity(links.len());
        for link in links {
            let id = link.add_to(&mut stack);
            if let Some((device, reads)) = link.left.next() {
                let mut port = Port::new(id, device);
                port.reads = reads;
                ports.push(port);
            }
        }
        let member = self.crew.as_ref().map(|crew| {
            stack.set_share(self.steering.clone(), number);
            Box::new(Member::new(Arc::clone(crew), number))
        });
        Shared::new(stack, ports, (number, member), self.origin)
    }
}

/// The observer for each shard: one at a time calls it.
fn observers(
    observer: Option<Box<dyn Observer + Send>>,
    shards: u16,
) -> Vec<Box<dyn Observer + Send>> {
    let Some(observer) = observer else {
        return Vec::new();
    };
    if shards == 1 {
        return vec![observer];
    }
    let one = Arc::new(Mutex::new(observer));
    let each = (0..shards).map(|_| Box::new(InTurn(Arc::clone(&one))) as Box<dyn Observer + Send>);
    each.collect()
}

/// An observer of several shards.
struct InTurn(Arc<Mutex<Box<dyn Observer + Send>>>);

impl Observer for InTurn {
    fn observe(&mut self, now: Instant, who: &Endpoints, event: &TraceEvent) {
        let mut observer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        observer.observe(now, who, event);
    }
}
