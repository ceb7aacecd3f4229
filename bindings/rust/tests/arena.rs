// SPDX-License-Identifier: MIT
//! The crate against the device. Prints TAP.

use pagearena::{sys, Arena, Options, ALL};
use std::os::unix::io::AsRawFd;
use std::process::exit;
use std::thread;

const MIB: usize = 1 << 20;

struct Tap {
    count: u32,
    failed: u32,
}

impl Tap {
    fn ok(&mut self, good: bool, name: &str) {
        self.count += 1;
        println!("{}ok {} {}", if good { "" } else { "not " }, self.count, name);
        self.failed += !good as u32;
    }
}

/// With caches off, the figures are the kernel's to the byte.
fn exact(arena_bytes: usize) -> Options {
    Options {
        arena_bytes: arena_bytes as u64,
        huge: sys::PAGEARENA_HUGE_NEVER,
        cache_bytes: sys::PAGEARENA_NO_CACHE,
        ..Options::default()
    }
}

fn run(tap: &mut Tap) -> std::io::Result<()> {
    let arena = Arena::with_options(&exact(64 * MIB))?;

    tap.ok(arena.info()?.arena_bytes == 64 << 20, "an arena of the size that was asked for");
    tap.ok(arena.as_raw_fd() >= 0, "its descriptor");

    let mut span = arena.alloc(100_000)?;
    tap.ok(span.len() == 100_000 && span.iter().all(|&b| b == 0), "a span is zero");
    span.fill(7);
    tap.ok(span.iter().all(|&b| b == 7), "and can be written");
    tap.ok(arena.stats()?.spans_inuse == 1, "the kernel knows of it");
    drop(span);
    tap.ok(arena.stats()?.heap_inuse == 0, "it is free when it is dropped");
    let warm = arena.stats()?.backed;
    tap.ok(warm >= 100_000, "its memory is warm");
    tap.ok(arena.scavenge(ALL)? == warm && arena.stats()?.backed == 0, "until it is scavenged");

    // The memory that comes back is zero, though it is warm and was written.
    arena.alloc(MIB)?.fill(9);
    tap.ok(arena.alloc(MIB)?.iter().all(|&b| b == 0), "what was written and freed is zero again");

    let mut grows = arena.alloc(8192)?;
    grows.fill(1);
    grows.resize(100)?;
    grows.resize(40_000)?;
    tap.ok(
        grows.len() == 40_000
            && grows[..100].iter().all(|&b| b == 1)
            && grows[100..].iter().all(|&b| b == 0),
        "a span shrinks and grows: what is added is zero",
    );
    let _behind = arena.alloc(8192)?;
    let err = grows.resize(60_000).err().and_then(|e| e.raw_os_error());
    tap.ok(err == Some(17), "it grows no further than there is room: EEXIST");
    drop(grows);

    let err = arena.alloc(65 * MIB).err().and_then(|e| e.raw_os_error());
    tap.ok(err == Some(12), "more than there is: ENOMEM");
    let err = Arena::with_options(&Options { huge: 99, ..exact(MIB) }).err();
    tap.ok(err.and_then(|e| e.raw_os_error()) == Some(95), "no such arena: EOPNOTSUPP");

    let before = arena.stats()?.backed;
    let populated = arena.alloc_populated(MIB)?;
    tap.ok(arena.stats()?.backed >= before.max(1 << 20), "a populated span is backed");
    drop(populated);

    let mut chunks = arena.alloc(4 * MIB)?;
    chunks.fill(3);
    let huge = chunks.promote()?;
    tap.ok(
        huge <= 2 && chunks.iter().all(|&b| b == 3) && arena.stats()?.huge_bytes == huge << 21,
        "promotion keeps the contents, and tells how much is huge",
    );
    drop(chunks);

    let shared = Arena::new(256 << 20)?;
    let good = thread::scope(|scope| {
        let threads: Vec<_> = (0..4u8)
            .map(|t| {
                let shared = &shared;
                scope.spawn(move || {
                    (0..200usize).all(|i| match shared.alloc(4096 * (1 + i % 20)) {
                        Ok(mut span) => {
                            span.fill(t);
                            span.iter().all(|&b| b == t)
                        }
                        Err(_) => false,
                    })
                })
            })
            .collect();
        threads.into_iter().all(|t| t.join().unwrap_or(false))
    });
    tap.ok(good, "threads share an arena");
    tap.ok(shared.stats()?.heap_inuse == 0, "their memory is free, or in caches");
    Ok(())
}

fn main() {
    let mut tap = Tap { count: 0, failed: 0 };

    println!("TAP version 13");
    if let Err(e) = Arena::new(1 << 20) {
        println!("1..0 # SKIP no arena: {e}");
        return;
    }
    if let Err(e) = run(&mut tap) {
        tap.ok(false, &format!("no error: {e}"));
    }
    println!("1..{}", tap.count);
    exit((tap.failed > 0) as i32);
}
