#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the pagearena command does on a terminal: terminal.py. Prints TAP; needs an arena somewhere.

The process with the arena is this one's child, "pagearena replay" that takes its time.
"""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

count = bad = 0


def ok(good, name, text=b""):
    global count, bad
    count += 1
    print(f"{'ok' if good else 'not ok'} {count} {name}", flush=True)
    if not good:
        bad += 1
        for line in text.decode(errors="replace").splitlines()[-20:]:
            print("#", repr(line))


def on_terminal(args, keys=(), seconds=20, **env):
    """Runs a command on a terminal of 100 x 40; each key is sent after a second."""
    pid, fd = pty.fork()
    if not pid:
        os.environ.update(env)
        os.execvp(args[0], args)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    out, end, keys = b"", time.monotonic() + seconds, list(keys)
    next_key = time.monotonic() + 2
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
        if keys and time.monotonic() > next_key:
            os.write(fd, keys.pop(0).encode())
            next_key = time.monotonic() + 1.5
    else:
        os.kill(pid, 9)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return status, out


def look(target):
    status, out = on_terminal(["pagearena", "top"], "aq", TERM="xterm")
    ok(status == 0 and b"\033[?1049h" in out and b"\033[?1049l" in out,
       "top takes the screen, ends with q, and gives it back", out)
    ok(b"PID:FD" in out and re.search(rb"\b" + target.encode() + rb":\d+ ", out),
       "top, a: each arena", out)
    status, out = on_terminal(["pagearena", "map", target], TERM="xterm")
    ok(status == 0 and b"\033[1;35m" in out or b"\033[32m" in out, "map has colour", out)
    status, out = on_terminal(["pagearena", "map", target], TERM="xterm", NO_COLOR="1")
    ok(status == 0 and b"\033[" not in out, "but not with NO_COLOR", out)
    status, out = on_terminal(["pagearena", "map", "--watch", "1", target], "\x03",
                              TERM="xterm")
    ok(status == 0 and out.count(b"end of the heap") >= 1, "map --watch ends with ^C", out)
    status, out = on_terminal(["pagearena", "doctor"], TERM="xterm")
    ok(b"\033[32mok" in out, "doctor has colour", out)


def main():
    print("TAP version 13")
    trace = "/tmp/terminal.csv"
    with open(trace, "w") as f:
        f.write("# page_size: 4096\n")
        for n in range(1, 200):
            f.write(f"{n * 1000000000},a,{n},{n}\n")
    with subprocess.Popen(["pagearena", "replay", "--pace", "1", "--no-progress", trace],
                          stdout=subprocess.DEVNULL) as holder:
        time.sleep(4)
        # The replay is done by a child of its.
        with open(f"/proc/{holder.pid}/task/{holder.pid}/children") as f:
            target = (f.read().split() or [str(holder.pid)])[0]

        try:
            look(target)
        finally:
            holder.kill()
    status, out = on_terminal(["pagearena", "replay", "--ops", "100", trace], TERM="xterm")
    ok(status == 0 and b"###" in out and b"contents" in out, "replay shows progress", out)
    print(f"1..{count}")
    return 1 if bad else 0


sys.exit(main())
