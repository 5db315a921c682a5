//! Our end of a link: the stack, driven by tokio, watched and recorded where asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use woshou::{Net, TcpListener};

use woshou_link::{Cidr, Device, LinkSpec, Medium, Namespace, Tun, TunConfig, Xdp, XdpConfig};
use woshou_tcp::config::KeepAlive;

use crate::args;
use crate::capture::Capture;
use crate::failure::Failure;
use crate::live::Watch;

/// A net, and what belongs to it.
pub(crate) struct Node {
    pub(crate) net: Net,
    /// The private namespace, where the link is private.
    pub(crate) namespace: Option<Namespace>,
    /// Our addresses.
    ours: Vec<IpAddr>,
    /// The kernel's addresses on the other side.
    pub(crate) peer_v4: Option<IpAddr>,
    pub(crate) peer_v6: Option<IpAddr>,
    capture: Option<Capture>,
}

/// How long the last segments may take to leave when all is done: a FIN and its answer.
const FAREWELL: Duration = Duration::from_secs(3);

impl Node {
    /// Opens the link and starts the stack on it.
    pub(crate) fn start(args: &args::Node) -> Result<Self, Failure> {
        let link = Link::open(&args.link)?;
        let capture = match &args.pcap {
            Some(path) => Some(Capture::create(path, link.medium()?)?),
            None => None,
        };
        let watch = Watch::new(args.trace, capture.clone());
        let queues = link.queues.into_iter().map(|queue| match &capture {
            Some(capture) => capture.wrap(queue),
            None => queue,
        });
        let tcp = tcp_config(Duration::from_secs(u64::from(args.timeout)));
        let addresses = link.ours.iter().map(|cidr| woshou_stack::Cidr {
            address: cidr.address(),
            prefix: cidr.prefix(),
        });
        let mut builder = Net::builder()
            .queues(queues.collect(), addresses.collect::<Vec<_>>())
            .shards(link.shards)
            .tcp(tcp)
            .congestion(Arc::clone(&args.cc));
        for (network, router) in link.routes {
            builder = builder.route(network, router);
        }
        if let Some(watch) = watch {
            builder = builder.observer(Box::new(watch));
        }
        let net = builder
            .spawn()
            .map_err(Failure::net("cannot start the stack"))?;
        Ok(Self {
            net,
            namespace: link.namespace,
            ours: link.ours.iter().map(|cidr| cidr.address()).collect(),
            peer_v4: link.peers.iter().copied().find(IpAddr::is_ipv4),
            peer_v6: link.peers.iter().copied().find(IpAddr::is_ipv6),
            capture,
        })
    }

    /// Our addresses, IPv4 first.
    pub(crate) fn addresses(&self) -> &[IpAddr] {
        &self.ours
    }

    /// Listens at `port` on all our addresses: one listener for both families where there are both.
    pub(crate) async fn listen(&self, port: u16) -> Result<TcpListener, Failure> {
        let any: IpAddr = if self.ours.iter().any(IpAddr::is_ipv6) {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        let bound = self.net.bind(SocketAddr::new(any, port)).await;
        bound.map_err(Failure::net(format!("port {port}")))
    }

    /// What a command of --with finds in its environment.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let ours = |v4: bool| self.ours.iter().copied().find(|a| a.is_ipv4() == v4);
        [
            ("WOSHOU_ADDR", ours(true)),
            ("WOSHOU_ADDR6", ours(false)),
            ("WOSHOU_PEER", self.peer_v4),
            ("WOSHOU_PEER6", self.peer_v6),
        ]
        .into_iter()
        .filter_map(|(name, address)| Some((name, address?.to_string())))
        .collect()
    }

    /// Lets the last segments leave, and completes the capture.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        let deadline = Instant::now() + FAREWELL;
        // TIME-WAIT is left to end with the program, as nobody could answer after it.
        while self.busy() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.net.shutdown();
        match self.capture {
            Some(capture) => capture.finish(),
            None => Ok(()),
        }
    }

    fn busy(&self) -> bool {
        use woshou_tcp::State;
        let quiet = [
            State::Closed,
            State::Listen,
            State::TimeWait,
            State::FinWait2,
        ];
        self.net
            .connections()
            .iter()
            .any(|(_, state)| !quiet.contains(state))
    }
}

/// How this program's connections behave: a peer that is silent for `patience` is given up, in every state.
fn tcp_config(patience: Duration) -> woshou_tcp::Config {
    woshou_tcp::Config {
        open_timeout: patience,
        user_timeout: patience,
        // Half of it in silence, and the rest for three questions: only so does a reader notice.
        keep_alive: Some(KeepAlive {
            idle_after: patience / 2,
            interval: patience / 6,
            probes: 3,
        }),
        ..woshou::net::socket_config()
    }
}

/// An open device and who is who on it.
struct Link {
    /// Of the device.
    queues: Vec<Box<dyn Device>>,
    /// As many shards as queues were asked for: AF_XDP has one for all of them.
    shards: u16,
    namespace: Option<Namespace>,
    ours: Vec<Cidr>,
    /// Beyond our own networks, and by which router.
    routes: Vec<(woshou_stack::Cidr, Option<IpAddr>)>,
    peers: Vec<IpAddr>,
}

/// Both families' whole address space, IPv4 first.
const EVERYTHING: [woshou_stack::Cidr; 2] = [
    woshou_stack::Cidr {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        prefix: 0,
    },
    woshou_stack::Cidr {
        address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        prefix: 0,
    },
];

impl Link {
    /// What its frames are.
    fn medium(&self) -> Result<Medium, Failure> {
        let first = self.queues.first();
        let none = || Failure::Usage("the link has no device".into());
        first.map(|queue| queue.info().medium).ok_or_else(none)
    }

    fn open(spec: &LinkSpec) -> Result<Self, Failure> {
        match spec {
            LinkSpec::Private(spec) => {
                let mut namespace = Namespace::new(spec)?;
                let who = namespace.addresses();
                let ours = std::iter::once(who.woshou_v4)
                    .chain(who.woshou_v6)
                    .collect();
                let v6 = who.kernel_v6.map(IpAddr::from);
                let peers = std::iter::once(IpAddr::from(who.kernel_v4))
                    .chain(v6)
                    .collect();
                Ok(Self {
                    queues: namespace.take_devices(),
                    shards: spec.queues,
                    namespace: Some(namespace),
                    ours,
                    routes: EVERYTHING.map(|network| (network, None)).into(),
                    peers,
                })
            }
            LinkSpec::Tun(config) => Self::tun(config),
            LinkSpec::Xdp(config) => Self::xdp(config),
        }
    }

    fn tun(config: &TunConfig) -> Result<Self, Failure> {
        if config.addresses.is_empty() {
            let why = "tun: which address is ours? Add addr=CIDR, such as addr=10.0.0.2/24";
            return Err(Failure::Usage(why.into()));
        }
        let queues = Tun::open_queues(config)?.into_iter();
        let mut ours = config.addresses.clone();
        ours.sort_by_key(|cidr| cidr.address().is_ipv6());
        Ok(Self {
            queues: queues
                .map(|queue| Box::new(queue) as Box<dyn Device>)
                .collect(),
            shards: config.queues,
            namespace: None,
            ours,
            routes: EVERYTHING.map(|network| (network, None)).into(),
            peers: config.peers.clone(),
        })
    }

    fn xdp(config: &XdpConfig) -> Result<Self, Failure> {
        if config.addresses.is_empty() {
            let why = "xdp: which address is ours? Add addr=CIDR, such as addr=10.0.0.2/24";
            return Err(Failure::Usage(why.into()));
        }
        let device: Box<dyn Device> = Box::new(Xdp::open(config)?);
        let mut ours = config.addresses.clone();
        ours.sort_by_key(|cidr| cidr.address().is_ipv6());
        let by = |router: &IpAddr| {
            let network = EVERYTHING[usize::from(router.is_ipv6())];
            (network, Some(*router))
        };
        Ok(Self {
            queues: vec![device],
            shards: 1,
            namespace: None,
            ours,
            routes: config.routers.iter().map(by).collect(),
            peers: Vec::new(),
        })
    }
}
