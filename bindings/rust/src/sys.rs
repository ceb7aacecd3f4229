// SPDX-License-Identifier: MIT
//! libpagearena as it is, for what the safe part does not cover. `pagearena.h` is the reference.
//!
//! The fields are those of the headers, in their order: `make -C bindings check` compares them.

#![allow(non_camel_case_types)]

use std::os::raw::{c_char, c_int, c_void};

/// An arena, opaque.
#[repr(C)]
pub struct pagearena {
    _private: [u8; 0],
}

pub const PAGEARENA_ALL: u64 = u64::MAX;
pub const PAGEARENA_NO_CACHE: u64 = u64::MAX;
pub const PAGEARENA_ALLOC_ZERO: u32 = 1 << 0;
pub const PAGEARENA_ALLOC_POPULATE: u32 = 1 << 1;
pub const PAGEARENA_SETUP_DEBUG: u32 = 1 << 0;
pub const PAGEARENA_SETUP_SOFT_LIMIT: u32 = 1 << 1;
pub const PAGEARENA_HUGE_AUTO: u32 = 0;
pub const PAGEARENA_HUGE_NEVER: u32 = 1;
pub const PAGEARENA_HUGE_ALWAYS: u32 = 2;
pub const PAGEARENA_HUGE_OFF: u32 = 3;
pub const PAGEARENA_PROMOTE_NR: usize = 9;

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct pagearena_options {
    pub size: u32,
    pub flags: u32,
    pub arena_bytes: u64,
    pub span_page: u64,
    pub granule: u64,
    pub growth: u64,
    pub limit: u64,
    pub fit: u32,
    pub huge: u32,
    pub base_align: u64,
    pub addr: *mut c_void,
    pub device: *const c_char,
    pub cache_bytes: u64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct pagearena_info {
    pub size: u32,
    pub flags: u32,
    pub abi_version: u32,
    pub page_size: u32,
    pub features: u64,
    pub huge_size: u64,
    pub pmd_size: u64,
    pub span_page_min: u64,
    pub span_page_max: u64,
    pub arena_bytes_max: u64,
    pub span_pages_max: u64,
    pub arena_id: u64,
    pub arena_bytes: u64,
    pub span_page: u64,
    pub granule: u64,
    pub growth: u64,
    pub limit: u64,
    pub setup_flags: u32,
    pub fit: u32,
    pub huge: u32,
    pub __pad: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct pagearena_stats {
    pub size: u32,
    pub flags: u32,
    pub heap_sys: u64,
    pub heap_inuse: u64,
    pub heap_idle: u64,
    pub heap_released: u64,
    pub backed: u64,
    pub backed_inuse: u64,
    pub backed_free: u64,
    pub huge_bytes: u64,
    pub small_bytes: u64,
    pub backed_peak: u64,
    pub inuse_peak: u64,
    pub spans_inuse: u64,
    pub spans_free: u64,
    pub spans_scavenged: u64,
    pub nr_alloc: u64,
    pub nr_free: u64,
    pub nr_grow: u64,
    pub nr_scavenge: u64,
    pub nr_fault: u64,
    pub nr_fault_huge: u64,
    pub nr_fault_denied: u64,
    pub nr_fault_failed: u64,
    pub nr_zap: u64,
    pub nr_huge_alloc: u64,
    pub nr_huge_failed: u64,
    pub huge_inuse: u64,
    pub nr_promote: u64,
    pub nr_promote_background: u64,
    pub nr_demote: u64,
    pub nr_demote_failed: u64,
    pub bytes_copied: u64,
    pub bytes_zeroed: u64,
    pub nr_mid_alloc: u64,
    pub nr_refused: [u64; 16],
    pub reclaimable: u64,
    pub pressure_seq: u64,
    pub pressure_flags: u64,
    pub bytes_background: u64,
    pub bytes_reclaimed: u64,
    pub bytes_limited: u64,
    pub bytes_refault: u64,
    pub background_ns: u64,
    pub nr_background: u64,
    pub background_slow: u64,
    pub background_hold_max: u64,
    pub pool_bytes: u64,
    pub nr_pool_hit: u64,
    pub nr_pool_miss: u64,
    pub bytes_pool_zeroed: u64,
    pub bytes_pool_unused: u64,
    pub pool_ns: u64,
}

extern "C" {
    pub fn pagearena_open(opts: *const pagearena_options) -> *mut pagearena;
    pub fn pagearena_open_fd(fd: c_int, opts: *const pagearena_options) -> *mut pagearena;
    pub fn pagearena_remap(a: *mut pagearena) -> c_int;
    pub fn pagearena_close(a: *mut pagearena);
    pub fn pagearena_fd(a: *const pagearena) -> c_int;
    pub fn pagearena_base(a: *const pagearena) -> *mut c_void;
    pub fn pagearena_bytes(a: *const pagearena) -> u64;
    pub fn pagearena_alloc(a: *mut pagearena, length: usize, flags: u32) -> *mut c_void;
    pub fn pagearena_aligned_alloc(
        a: *mut pagearena,
        align: usize,
        length: usize,
        flags: u32,
    ) -> *mut c_void;
    pub fn pagearena_free(a: *mut pagearena, ptr: *mut c_void) -> c_int;
    pub fn pagearena_free_sized(a: *mut pagearena, ptr: *mut c_void, length: usize) -> c_int;
    pub fn pagearena_resize(
        a: *mut pagearena,
        ptr: *mut c_void,
        length: usize,
        flags: u32,
    ) -> c_int;
    pub fn pagearena_cache_flush(a: *mut pagearena);
    pub fn pagearena_scavenge(
        a: *mut pagearena,
        bytes: u64,
        min_age_ns: u64,
        released: *mut u64,
        backed: *mut u64,
    ) -> c_int;
    pub fn pagearena_promote(
        a: *mut pagearena,
        ptr: *const c_void,
        length: usize,
        results: *mut u32,
        nr_results: u32,
        counts: *mut u64,
    ) -> c_int;
    pub fn pagearena_info(a: *mut pagearena, info: *mut pagearena_info) -> c_int;
    pub fn pagearena_stats(a: *mut pagearena, stats: *mut pagearena_stats) -> c_int;
}
