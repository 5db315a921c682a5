//! Stacks with async sockets of their own: netstack-smoltcp, ipstack, tokio-smoltcp. Each gets the device's frames as it
//! wants them, and its defaults but for the buffers, which are as large as woshou's where it lets one say so.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use smoltcp::phy::{DeviceCapabilities, Medium};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use woshou_link::{Device, Outgoing, Readiness, WOSHOU_V4};

use crate::kernel::{CHUNK, Direction, PORT, Shared};

/// The buffers of woshou's defaults, octets.
const BUFFER: usize = 1 << 20;

/// A device as a stream and sink of frames, and as something that is read and written a frame at a time.
struct Frames {
    device: Box<dyn Device>,
    ready: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
    capabilities: DeviceCapabilities,
}

impl Frames {
    #[expect(
        deprecated,
        reason = "AsyncFd::new was deprecated because any AsRawFd may lie about its descriptor; an OwnedFd cannot"
    )]
    fn new(device: Box<dyn Device>) -> Result<Self> {
        let Readiness::Fd(descriptor) = device.readiness() else {
            return Err(anyhow!("a TUN device has a descriptor"));
        };
        let ready = AsyncFd::new(descriptor.try_clone_to_owned()?)?;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = device.info().mtu;
        Ok(Self {
            device,
            ready,
            buffer: vec![0; 66_000],
            capabilities,
        })
    }

    /// The next frame lies in the buffer, so many octets.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match self.device.recv(&mut self.buffer) {
                Ok(received) => return Poll::Ready(Ok(received.len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(self.ready.poll_read_ready(cx))?.clear_ready();
        }
    }

    fn emit(&mut self, frame: &[u8]) {
        // What a full device refuses is lost, as on a network.
        let _ = self.device.send(&Outgoing {
            parts: [frame, &[], &[]],
            checksum: None,
            segment_size: None,
        });
    }
}

impl Stream for Frames {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let len = ready!(self.poll_frame(cx))?;
        Poll::Ready(Some(Ok(self.buffer[..len].to_vec())))
    }
}

impl Sink<Vec<u8>> for Frames {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Vec<u8>) -> io::Result<()> {
        self.emit(&frame);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Frames {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = ready!(self.poll_frame(cx))?;
        into.put_slice(&self.buffer[..len]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Frames {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        frame: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.emit(frame);
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl tokio_smoltcp::device::AsyncDevice for Frames {
    fn capabilities(&self) -> &DeviceCapabilities {
        &self.capabilities
    }
}

/// Sends or receives, or sends back what it receives; any end of it is one.
async fn talk<const ECHO: bool>(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: Arc<Shared>,
) -> io::Result<()> {
    if ECHO {
        return echo(stream).await;
    }
    let mut chunk = vec![0; CHUNK];
    loop {
        match shared.direction {
            Direction::FromKernel => match stream.read(&mut chunk).await? {
                0 => return Ok(()),
                octets => shared.count(octets),
            },
            Direction::ToKernel => stream.write_all(&chunk).await?,
        }
    }
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let octets = stream.read(&mut chunk).await?;
        if octets == 0 {
            return Ok(());
        }
        stream.write_all(&chunk[..octets]).await?;
        // A stack may wait with the rest for it.
        stream.flush().await?;
    }
}

/// Runs `work` on one thread until it is over.
fn run(shared: &Shared, work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let over = async {
        while !shared.is_over() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = work => result,
            () = over => Ok(()),
        }
    });
    // Their tasks need not end by themselves, and ipstack's streams block the thread that drops them: the process ends soon.
    std::mem::forget(runtime);
    result
}

pub(crate) fn netstack<const ECHO: bool>(
    device: Box<dyn Device>,
    shared: &Arc<Shared>,
) -> Result<()> {
    run(shared, async {
        let (stack, runner, _, listener) = netstack_smoltcp::StackBuilder::default()
            .enable_tcp(true)
            .tcp_buffer_size(BUFFER)
            .mtu(1500)
            .build()?;
        if let Some(runner) = runner {
            tokio::spawn(runner);
        }
        let mut listener = listener.ok_or_else(|| anyhow!("netstack-smoltcp has no listener"))?;
        let (mut into, mut out) = stack.split();
        let (mut to_device, mut from_device) = Frames::new(device)?.split();
        let inward = async {
            while let Some(Ok(frame)) = from_device.next().await {
                if into.send(frame).await.is_err() {
                    break;
                }
            }
        };
        let outward = async {
            while let Some(Ok(frame)) = out.next().await {
                if to_device.send(frame).await.is_err() {
                    break;
                }
            }
        };
        let user = async {
            while let Some((stream, _, _)) = listener.next().await {
                // The kernel's application just drops its socket at the end: any end is one.
                tokio::spawn(talk::<ECHO>(stream, shared.clone()));
            }
        };
        tokio::join!(inward, outward, user);
        Ok(())
    })
}

pub(crate) fn ipstack<const ECHO: bool>(
    device: Box<dyn Device>,
    shared: &Arc<Shared>,
) -> Result<()> {
    run(shared, async {
        let mut config = ipstack::IpStackConfig::default();
        config.mtu(1500)?;
        let mut stack = ipstack::IpStack::new(config, Frames::new(device)?);
        loop {
            if let ipstack::IpStackStream::Tcp(stream) = stack.accept().await? {
                tokio::spawn(talk::<ECHO>(stream, shared.clone()));
            }
        }
    })
}

pub(crate) fn tokio_smoltcp<const ECHO: bool>(
    device: Box<dyn Device>,
    shared: &Arc<Shared>,
) -> Result<()> {
    run(shared, async {
        let config = smoltcp::iface::Config::new(HardwareAddress::Ip);
        let address = IpCidr::new(IpAddress::Ipv4(WOSHOU_V4), 24);
        let mut config = tokio_smoltcp::NetConfig::new(config, address, Vec::new());
        config.buffer_size.tcp_rx_size = BUFFER;
        config.buffer_size.tcp_tx_size = BUFFER;
        let net = tokio_smoltcp::Net::new(Frames::new(device)?, config);
        let mut listener = net.tcp_bind((WOSHOU_V4, PORT).into()).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(talk::<ECHO>(stream, shared.clone()));
        }
    })
}
