//! bpf(2), just enough to send a device's frames to AF_XDP sockets.

use std::ffi::{c_int, c_long};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Commands of bpf(2), and what they are given (linux/bpf.h).
const BPF_MAP_CREATE: c_int = 0;
const BPF_MAP_UPDATE_ELEM: c_int = 2;
const BPF_PROG_LOAD: c_int = 5;
const BPF_LINK_CREATE: c_int = 28;
const BPF_MAP_TYPE_XSKMAP: u32 = 17;
const BPF_PROG_TYPE_XDP: u32 = 6;
/// The attach type, `BPF_XDP`.
const ATTACH_XDP: u32 = 37;

/// `struct bpf_attr` as `BPF_MAP_CREATE` reads it; what is left out is zero.
#[repr(C)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

/// As `BPF_MAP_UPDATE_ELEM` reads it.
#[repr(C)]
struct MapUpdate {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// As `BPF_PROG_LOAD` reads it.
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
}

/// As `BPF_LINK_CREATE` reads it.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach: u32,
    flags: u32,
}

/// What bpf(2) may be handed: plain C data, all of whose pointers stay valid during the call.
///
/// # Safety
/// The layout must be what the kernel reads for the command it is used with.
unsafe trait Attribute {}
// SAFETY: the layouts above are the beginnings of `union bpf_attr` for their commands.
unsafe impl Attribute for MapCreate {}
// SAFETY: as above.
unsafe impl Attribute for MapUpdate {}
// SAFETY: as above.
unsafe impl Attribute for ProgramLoad {}
// SAFETY: as above.
unsafe impl Attribute for LinkCreate {}

fn bpf<A: Attribute>(command: c_int, attribute: &A) -> io::Result<c_long> {
    // SAFETY: `attribute` is `size_of::<A>()` readable octets of the layout that the command reads, and outlives the
    // call; whatever it points to does as well (the callers below borrow it). None of these commands writes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attribute),
            size_of::<A>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn descriptor(result: c_long) -> io::Result<OwnedFd> {
    let fd = c_int::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the command that was asked for returns a new descriptor (close-on-exec always), which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// A map from a device's queues to AF_XDP sockets.
#[derive(Debug)]
pub(crate) struct SocketMap(OwnedFd);

impl SocketMap {
    /// Room for the queues 0 to `queues` - 1.
    pub(crate) fn new(queues: u32) -> io::Result<Self> {
        let attribute = MapCreate {
            kind: BPF_MAP_TYPE_XSKMAP,
            key_size: 4,
            value_size: 4,
            max_entries: queues,
        };
        bpf(BPF_MAP_CREATE, &attribute)
            .and_then(descriptor)
            .map(Self)
    }

    /// From now on what arrives by `queue` goes to `socket`.
    pub(crate) fn insert(&self, queue: u32, socket: impl AsFd) -> io::Result<()> {
        let value = number(socket.as_fd());
        let attribute = MapUpdate {
            map: number(self.0.as_fd()),
            padding: 0,
            key: (&raw const queue).expose_provenance() as u64,
            value: (&raw const value).expose_provenance() as u64,
            flags: 0,
        };
        bpf(BPF_MAP_UPDATE_ELEM, &attribute).map(drop)
    }
}

/// A program that hands every frame of a device to the socket of its queue; frames of queues without one go on to the kernel.
#[derive(Debug)]
pub(crate) struct Redirect(OwnedFd);

impl Redirect {
    pub(crate) fn load(map: &SocketMap) -> io::Result<Self> {
        let code = program(number(map.0.as_fd()));
        let license = c"MIT";
        let attribute = ProgramLoad {
            kind: BPF_PROG_TYPE_XDP,
            instructions: code.len() as u32,
            code: code.as_ptr().expose_provenance() as u64,
            license: license.as_ptr().expose_provenance() as u64,
        };
        bpf(BPF_PROG_LOAD, &attribute)
            .and_then(descriptor)
            .map(Self)
    }

    /// Puts it on the device `index` of the calling thread's network namespace. It is taken off again when the descriptor
    /// that is returned is closed, by whatever end of the process.
    ///
    /// `flags`: `XDP_FLAGS_*`; zero for the device's own way.
    pub(crate) fn attach(&self, index: u32, flags: u32) -> io::Result<OwnedFd> {
        let attribute = LinkCreate {
            program: number(self.0.as_fd()),
            target: index,
            attach: ATTACH_XDP,
            flags,
        };
        bpf(BPF_LINK_CREATE, &attribute).and_then(descriptor)
    }
}

/// One instruction: operation, registers (source, destination), offset, immediate (linux/bpf.h, `struct bpf_insn`).
const fn instruction(operation: u8, registers: u8, offset: i16, immediate: u32) -> [u8; 8] {
    let [low, high] = offset.to_ne_bytes();
    let [a, b, c, d] = immediate.to_ne_bytes();
    [operation, registers, low, high, a, b, c, d]
}

/// `return bpf_redirect_map(map, context->rx_queue_index, XDP_PASS)`.
fn program(map: u32) -> [[u8; 8]; 6] {
    /// `rx_queue_index` of `struct xdp_md`, octets.
    const QUEUE: i16 = 16;
    const XDP_PASS: u32 = 2;
    const REDIRECT_MAP: u32 = 51;
    let registers = |destination: u8, source: u8| {
        // Two bit fields of four: the compiler of the kernel puts the first into the low half on little-endian machines.
        if cfg!(target_endian = "little") {
            source << 4 | destination
        } else {
            destination << 4 | source
        }
    };
    [
        instruction(0x61, registers(2, 1), QUEUE, 0), // r2 = *(u32 *)(r1 + 16)
        instruction(0x18, registers(1, 1), 0, map),   // r1 = the map behind this descriptor,
        instruction(0, 0, 0, 0),                      // an instruction of 16 octets
        instruction(0xb7, registers(3, 0), 0, XDP_PASS), // r3 = where to where there is no socket
        instruction(0x85, 0, 0, REDIRECT_MAP),        // r0 = bpf_redirect_map(r1, r2, r3)
        instruction(0x95, 0, 0, 0),                   // return r0
    ]
}
