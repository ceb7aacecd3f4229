#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A load for an allocator: load.py [MIB].

Threads, growth and shrinking, fork() while others allocate; each checks what it has. Prints
what is resident in KiB: "peak N", at once when it was freed "freed N", and "later N", when it has
gone back, or after LOAD_WAIT seconds.
"""
import gc
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import zlib

MIB = int(sys.argv[1]) if len(sys.argv) > 1 else 48


def resident():
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])


def blob(seed, size):
    return hashlib.shake_128(str(seed).encode()).digest(64) * (size // 64)


def check(kept):
    for seed, (size, data) in kept.items():
        assert data == blob(seed, size), seed


def churn(results, number):
    kept = {}
    for i in range(300):
        seed = number * 1000 + i
        size = 64 * (1 + (seed * 7919) % 2000)
        kept[seed] = (size, blob(seed, size))
        if i % 3 == 2:
            seed, (size, data) = kept.popitem()
            assert data == blob(seed, size)
    check(kept)
    results.append(len(kept))


def child(kept):
    """In a forked child: all is there, and what it does is its own."""
    check(kept)
    for seed in list(kept)[::2]:
        del kept[seed]
    for seed in range(90000, 90100):
        kept[seed] = (6400, blob(seed, 6400))
    check(kept)
    os._exit(0)


def forks(kept):
    """Children while threads allocate."""
    results = []
    threads = [threading.Thread(target=churn, args=(results, n)) for n in (1, 2, 3)]
    for t in threads:
        t.start()
    for _ in range(3):
        pid = os.fork()
        if not pid:
            child(kept)
        # Nothing that the child does is seen here, or the other way round.
        check(kept)
        assert os.waitpid(pid, 0)[1] == 0
    for t in threads:
        t.join()
    assert results == [200] * 3, results
    out = subprocess.run([sys.executable, "-c", "print(sum(range(10000)))"],
                         capture_output=True, check=True)
    assert out.stdout == b"49995000\n"


def main():
    kept = {n: (64 * (1 + n % 999), blob(n, 64 * (1 + n % 999))) for n in range(200)}
    forks(kept)
    text = json.dumps({str(n): list(range(n % 50)) for n in range(5000)})
    assert json.loads(zlib.decompress(zlib.compress(text.encode()))) == json.loads(text)
    big = [bytearray(20000) for _ in range(MIB * 1048576 // 20000)]
    for b in big:
        b[::4096] = b"x" * len(b[::4096])
    peak = resident()
    print("peak", peak)
    del big
    gc.collect()
    print("freed", resident(), flush=True)
    end = time.monotonic() + float(os.environ.get("LOAD_WAIT", "0"))
    before = 0
    while time.monotonic() < end:
        time.sleep(1)
        now = resident()
        if now == before and peak - now >= MIB * 1024 * 3 // 4:
            break
        before = now
    print("later", resident())
    check(kept)


main()
