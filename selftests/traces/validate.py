#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Checks traces: validate.py [FILE.csv[.xz]...], by default all that lie beside it.

Every id is allocated once and freed at most once, with the same length; time does not
go backwards; and the sums in the header are those of the operations.
"""
import lzma
import pathlib
import re
import sys


def check(path):
    """Returns what is wrong with a file, as a list of strings."""
    header, live, seen = {}, {}, set()
    count = {"a": 0, "f": 0, "p": 0}
    pages = peak = last = 0
    bad = []
    with (lzma.open if path.suffix == ".xz" else open)(path, "rt") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("#"):
                m = re.match(r"# (\w+): (.*)", line)
                if m:
                    header[m[1]] = m[2]
                continue
            m = re.fullmatch(r"(\d+),([afp]),([1-9]\d*),([1-9]\d*)(?:,([1-9]\d*))?\n", line)
            if not m:
                bad.append(f"line {number}: not an operation")
                continue
            time, op, ident, npages = int(m[1]), m[2], int(m[3]), int(m[4])
            align = int(m[5] or 1)
            if time < last:
                bad.append(f"line {number}: time goes backwards")
            if align & (align - 1) or (align > 1 and op != "a"):
                bad.append(f"line {number}: bad alignment")
            last = time
            count[op] += 1
            if op == "a":
                if ident in seen:
                    bad.append(f"line {number}: id {ident} is not new")
                seen.add(ident)
                live[ident] = npages
                pages += npages
                peak = max(peak, pages)
            elif live.get(ident) != npages:
                bad.append(f"line {number}: id {ident} is not live, or has another length")
            elif op == "f":
                del live[ident]
                pages -= npages
    if seen != set(range(1, len(seen) + 1)):
        bad.append("ids have gaps")
    for key, want in (
        ("ops", f"{sum(count.values())} (a={count['a']} f={count['f']} p={count['p']})"),
        ("peak_live_pages", str(peak)),
        ("live_at_end", f"{len(live)} ids, {pages} pages"),
    ):
        if header.get(key, "").split(" (the")[0] != want:
            bad.append(f"header: {key} should be {want}")
    if not re.fullmatch(r"\d+", header.get("page_size", "")):
        bad.append("header: no page_size")
    return bad


def main():
    here = pathlib.Path(__file__).parent
    paths = [pathlib.Path(p) for p in sys.argv[1:]] or sorted(here.glob("*.csv.xz"))
    failed = 0
    print("TAP version 13")
    for number, path in enumerate(paths, 1):
        bad = check(path)
        failed += bool(bad)
        print(f"{'not ' if bad else ''}ok {number} {path.name}")
        for what in bad[:10]:
            print(f"# {what}")
    print(f"1..{len(paths)}")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
