//! Memory shared with the kernel, and AF_XDP's rings in it: one side writes entries, the other takes them, each has an
//! index that only it moves (Documentation/networking/af_xdp.rst).

use std::io;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use rustix::net::xdp::{XdpRingFlags, XdpRingOffset};

/// Octets that the kernel reads and writes too, mapped for as long as this lives.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and nobody else has the address.
unsafe impl Send for Mapping {}

impl Mapping {
    /// `len` octets of zeroes, for the kernel to pin.
    pub(super) fn anonymous(len: usize) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::POPULATE;
        // SAFETY: no address is asked for, so nothing that is mapped already is touched.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
            )
        }?;
        Self::new(start.cast(), len)
    }

    /// `len` octets of what `fd` has at `offset`.
    fn of(fd: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is asked for, so nothing that is mapped already is touched; whoever maps memory of the kernel's
        // here makes no references to it but to atomics.
        let start = unsafe { mmap(ptr::null_mut(), len, access, flags, fd, offset) }?;
        Self::new(start.cast(), len)
    }

    fn new(start: *mut u8, len: usize) -> io::Result<Self> {
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    pub(super) fn address(&self) -> u64 {
        self.start.as_ptr().expose_provenance() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The place of a `T` that lies whole inside, or why not.
    fn place<T>(&self, offset: usize) -> io::Result<NonNull<T>> {
        let inside = offset
            .checked_add(size_of::<T>())
            .is_some_and(|end| end <= self.len);
        if !inside || !offset.is_multiple_of(align_of::<T>()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // SAFETY: `offset` is inside of the mapping (just checked), which is one allocation.
        Ok(unsafe { self.start.add(offset) }.cast())
    }

    /// Copies `from` to `offset`. `false`: it does not fit, nothing is copied.
    pub(super) fn write(&mut self, offset: usize, from: &[u8]) -> bool {
        if !self.has(offset, from.len()) {
            return false;
        }
        // SAFETY: source and destination are whole (just checked) and apart, for nothing borrows from the mapping.
        unsafe {
            ptr::copy_nonoverlapping(from.as_ptr(), self.start.as_ptr().add(offset), from.len());
        }
        true
    }

    /// Fills `to` from `offset` on. `false`: there is not so much, nothing is copied.
    pub(super) fn read(&self, offset: usize, to: &mut [u8]) -> bool {
        if !self.has(offset, to.len()) {
            return false;
        }
        // SAFETY: as in `write`.
        unsafe {
            ptr::copy_nonoverlapping(self.start.as_ptr().add(offset), to.as_mut_ptr(), to.len());
        }
        true
    }

    fn has(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`'s callers with this length, and no pointer to it outlives its owner. The kernel keeps the
        // pages for itself as long as it works with them. It cannot fail with these arguments.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// What a ring carries: numbers, for which any bits are a value.
pub(super) trait Entry: Copy {}

/// The offset of a chunk of memory: in the rings of free and of sent chunks.
impl Entry for u64 {}

/// A frame (`struct xdp_desc`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Its offset in the shared memory.
    pub(super) address: u64,
    /// Octets.
    pub(super) len: u32,
    pub(super) options: u32,
}

impl Entry for Frame {}

/// One of the four rings of a socket; `push` and `publish` for those where we write, `pop` and `release` where we take.
#[derive(Debug)]
pub(super) struct Ring<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: Option<NonNull<AtomicU32>>,
    entries: NonNull<T>,
    /// Entries; a power of two.
    size: u32,
    /// Our index: the next entry that we write or take.
    ours: u32,
    /// The kernel's, as it was when we last looked.
    theirs: u32,
    /// Holds what the pointers point to.
    _mapping: Mapping,
    _entries: PhantomData<T>,
}

// SAFETY: the pointers are into the mapping that comes along.
unsafe impl<T: Entry + Send> Send for Ring<T> {}

impl<T: Entry> Ring<T> {
    /// Maps the ring of `size` entries (a power of two) that `fd` has at `at`.
    pub(super) fn map(
        fd: BorrowedFd<'_>,
        at: u64,
        offsets: &XdpRingOffset,
        size: u32,
    ) -> io::Result<Self> {
        let to_usize = |offset: u64| usize::try_from(offset).map_err(io::Error::other);
        let first = to_usize(offsets.desc)?;
        let len = first + size as usize * size_of::<T>();
        let mapping = Mapping::of(fd, at, len)?;
        let flags = offsets.flags.map(|at| mapping.place(to_usize(at)?));
        Ok(Self {
            producer: mapping.place(to_usize(offsets.producer)?)?,
            consumer: mapping.place(to_usize(offsets.consumer)?)?,
            flags: flags.transpose()?,
            entries: mapping.place(first)?,
            size,
            ours: 0,
            theirs: 0,
            _mapping: mapping,
            _entries: PhantomData,
        })
    }

    fn index(place: &NonNull<AtomicU32>) -> &AtomicU32 {
        // SAFETY: `map` found it inside of the mapping and aligned, and both live as long as the ring. The kernel's side reads
        // and writes it as an atomic too.
        unsafe { place.as_ref() }
    }

    /// The place of the entry with this index.
    fn entry(&self, index: u32) -> *mut T {
        let at = (index & (self.size - 1)) as usize;
        // SAFETY: less than `size`, and so many entries are mapped from here on.
        unsafe { self.entries.as_ptr().add(at) }
    }

    /// Whether the kernel asks to be told of new entries.
    pub(super) fn wants_wakeup(&self) -> bool {
        let wakeup = XdpRingFlags::XDP_RING_NEED_WAKEUP.bits();
        // A kernel without the flag always wants it.
        self.flags
            .as_ref()
            .is_none_or(|flags| Self::index(flags).load(Ordering::Acquire) & wakeup != 0)
    }

    /// Writes an entry, which the kernel does not see before [`Ring::publish`]. `false`: the ring is full.
    pub(super) fn push(&mut self, entry: T) -> bool {
        if self.ours.wrapping_sub(self.theirs) >= self.size {
            self.theirs = Self::index(&self.consumer).load(Ordering::Acquire);
            if self.ours.wrapping_sub(self.theirs) >= self.size {
                return false;
            }
        }
        // SAFETY: inside of the mapping, and between the kernel's index and ours: the kernel has taken what was there and does
        // not look before our index moves.
        unsafe { self.entry(self.ours).write(entry) };
        self.ours = self.ours.wrapping_add(1);
        true
    }

    /// Shows the kernel all that was written.
    pub(super) fn publish(&self) {
        Self::index(&self.producer).store(self.ours, Ordering::Release);
    }

    /// Entries that were published and that the kernel has not taken.
    pub(super) fn untaken(&mut self) -> u32 {
        self.theirs = Self::index(&self.consumer).load(Ordering::Acquire);
        self.ours.wrapping_sub(self.theirs)
    }

    /// Takes the next entry; the kernel does not get its room back before [`Ring::release`].
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.ours == self.theirs {
            self.theirs = Self::index(&self.producer).load(Ordering::Acquire);
            if self.ours == self.theirs {
                return None;
            }
        }
        // SAFETY: inside of the mapping, and before the kernel's index: it was written, and stays as it is until we release it.
        // Any bits are a `T` ([`Entry`]).
        let entry = unsafe { self.entry(self.ours).read() };
        self.ours = self.ours.wrapping_add(1);
        Some(entry)
    }

    /// Gives the kernel the room of all that was taken.
    pub(super) fn release(&self) {
        Self::index(&self.consumer).store(self.ours, Ordering::Release);
    }
}
