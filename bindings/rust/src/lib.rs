// SPDX-License-Identifier: MIT
//! Arenas of real pages, managed as a heap of spans by the kernel.
//!
//! ```no_run
//! let arena = pagearena::Arena::new(1 << 30)?;
//! let mut span = arena.alloc(100_000)?;
//! span[0] = 1;
//! drop(span);                       // free: the memory stays with the arena, warm
//! let back = arena.scavenge(pagearena::ALL)?;
//! println!("{back} bytes went back to the system");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A [`Span`] borrows its arena, so none outlives it. The safe functions hand out memory that is
//! zero; what is freed is never within reach. Without memory for a first touch the process gets
//! SIGBUS, as with any file that is mapped: ask for it in advance with [`Arena::alloc_populated`].

pub mod sys;

use std::ffi::c_void;
use std::io;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::os::unix::io::{AsRawFd, RawFd};
use std::ptr::{self, NonNull};
use std::slice;

/// "All that there is", for [`Arena::scavenge`].
pub const ALL: u64 = sys::PAGEARENA_ALL;

/// How to open an arena: the fields of `struct pagearena_options` that matter most. 0 is the
/// library's choice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Bytes of address space.
    pub arena_bytes: u64,
    /// Bytes of a span page, a power of two.
    pub span_page: u64,
    /// Bytes of the unit in which memory is released.
    pub granule: u64,
    /// Most bytes that may be backed at a time.
    pub limit: u64,
    /// `sys::PAGEARENA_SETUP_*`
    pub flags: u32,
    /// `sys::PAGEARENA_HUGE_*`
    pub huge: u32,
    /// Bytes of free spans that each thread may keep; `sys::PAGEARENA_NO_CACHE`: none.
    pub cache_bytes: u64,
}

/// An arena. It is closed when it is dropped.
#[derive(Debug)]
pub struct Arena {
    raw: NonNull<sys::pagearena>,
}

// SAFETY: every function of the library may be called from any thread, but those that end an
// arena, for which Rust wants the only reference.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

fn check(ret: i32) -> io::Result<()> {
    if ret == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

impl Arena {
    /// An arena with so many bytes of address space.
    pub fn new(arena_bytes: u64) -> io::Result<Arena> {
        Arena::with_options(&Options {
            arena_bytes,
            ..Options::default()
        })
    }

    /// An arena as the options say.
    pub fn with_options(options: &Options) -> io::Result<Arena> {
        // SAFETY: all zero but the size is what the library calls a good arena.
        let mut raw: sys::pagearena_options = unsafe { mem::zeroed() };

        raw.size = mem::size_of_val(&raw) as u32;
        raw.flags = options.flags;
        raw.arena_bytes = options.arena_bytes;
        raw.span_page = options.span_page;
        raw.granule = options.granule;
        raw.limit = options.limit;
        raw.huge = options.huge;
        raw.cache_bytes = options.cache_bytes;
        // SAFETY: the structure is of the size that it says.
        NonNull::new(unsafe { sys::pagearena_open(&raw) })
            .map(|raw| Arena { raw })
            .ok_or_else(io::Error::last_os_error)
    }

    /// For the functions of [`sys`]. It stays the arena's.
    pub fn as_ptr(&self) -> *mut sys::pagearena {
        self.raw.as_ptr()
    }

    fn alloc_flags(&self, len: usize, flags: u32) -> io::Result<Span<'_>> {
        // SAFETY: the arena is open.
        let ptr = unsafe { sys::pagearena_alloc(self.as_ptr(), len, flags) };

        NonNull::new(ptr.cast())
            .map(|ptr| Span {
                arena: self,
                ptr,
                len,
            })
            .ok_or_else(io::Error::last_os_error)
    }

    /// A span of so many bytes, all zero. Memory comes with the first touch.
    pub fn alloc(&self, len: usize) -> io::Result<Span<'_>> {
        self.alloc_flags(len, sys::PAGEARENA_ALLOC_ZERO)
    }

    /// The same, with memory behind it from the beginning: no touch can fail.
    pub fn alloc_populated(&self, len: usize) -> io::Result<Span<'_>> {
        self.alloc_flags(len, sys::PAGEARENA_ALLOC_ZERO | sys::PAGEARENA_ALLOC_POPULATE)
    }

    /// Gives up to so many bytes of free spans back to the system. Returns the bytes of memory
    /// that went.
    pub fn scavenge(&self, bytes: u64) -> io::Result<u64> {
        let mut backed = 0;

        // SAFETY: the arena is open, and the pointers are good or null.
        check(unsafe {
            sys::pagearena_scavenge(self.as_ptr(), bytes, 0, ptr::null_mut(), &mut backed)
        })?;
        Ok(backed)
    }

    /// What the arena holds and did.
    pub fn stats(&self) -> io::Result<sys::pagearena_stats> {
        // SAFETY: all of its fields are numbers.
        let mut stats: sys::pagearena_stats = unsafe { mem::zeroed() };

        stats.size = mem::size_of_val(&stats) as u32;
        // SAFETY: the structure is of the size that it says.
        check(unsafe { sys::pagearena_stats(self.as_ptr(), &mut stats) })?;
        Ok(stats)
    }

    /// What the module offers, and the arena's geometry.
    pub fn info(&self) -> io::Result<sys::pagearena_info> {
        // SAFETY: all of its fields are numbers.
        let mut info: sys::pagearena_info = unsafe { mem::zeroed() };

        info.size = mem::size_of_val(&info) as u32;
        // SAFETY: the structure is of the size that it says.
        check(unsafe { sys::pagearena_info(self.as_ptr(), &mut info) })?;
        Ok(info)
    }
}

impl AsRawFd for Arena {
    fn as_raw_fd(&self) -> RawFd {
        // SAFETY: the arena is open.
        unsafe { sys::pagearena_fd(self.as_ptr()) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: nobody else has a reference, and all spans are gone.
        unsafe { sys::pagearena_close(self.as_ptr()) }
    }
}

/// Memory of an arena, free again when it is dropped.
#[derive(Debug)]
pub struct Span<'a> {
    arena: &'a Arena,
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: a span is a piece of memory with one owner.
unsafe impl Send for Span<'_> {}
// SAFETY: as above.
unsafe impl Sync for Span<'_> {}

impl Span<'_> {
    /// Makes the span longer or shorter, in place; what is added is zero. `EEXIST` says that what
    /// lies behind it is not free.
    pub fn resize(&mut self, len: usize) -> io::Result<()> {
        let page = self.arena.info()?.span_page as usize;

        // What lies past the old end in the last span page may have been written through a
        // longer slice once.
        if len > self.len {
            let end = (self.len + page - 1) / page * page;
            let n = end.min(len) - self.len;

            // SAFETY: a span is of whole span pages, so this is in it.
            unsafe { ptr::write_bytes(self.ptr.as_ptr().add(self.len), 0, n) };
        }
        // SAFETY: no slice is borrowed, since self is.
        check(unsafe {
            sys::pagearena_resize(
                self.arena.as_ptr(),
                self.ptr.as_ptr().cast(),
                len,
                sys::PAGEARENA_ALLOC_ZERO,
            )
        })?;
        self.len = len;
        Ok(())
    }

    /// Puts the chunks that lie in the span whole on huge pages, now. Returns the number of those
    /// that are huge.
    pub fn promote(&mut self) -> io::Result<u64> {
        let mut counts = [0u64; sys::PAGEARENA_PROMOTE_NR];

        // SAFETY: the range is in the arena; contents stay.
        check(unsafe {
            sys::pagearena_promote(
                self.arena.as_ptr(),
                self.ptr.as_ptr() as *const c_void,
                self.len,
                ptr::null_mut(),
                0,
                counts.as_mut_ptr(),
            )
        })?;
        Ok(counts[0] + counts[1])
    }
}

impl Deref for Span<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the span is allocated as long as it lives, and was zero in the beginning.
        unsafe { slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl DerefMut for Span<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and it has one owner.
        unsafe { slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        // SAFETY: allocated here, freed once.
        let ret = unsafe {
            sys::pagearena_free_sized(self.arena.as_ptr(), self.ptr.as_ptr().cast(), self.len)
        };

        debug_assert_eq!(ret, 0, "{}", io::Error::last_os_error());
    }
}
