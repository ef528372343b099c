"""Power cuts of a loop-mounted ext4, and how far they are like real ones: `python benchmarks/power_cut.py --cuts 400`.

The file system is shut down with the ioctl that drops what is not yet on the medium (EXT4_IOC_SHUTDOWN with the flag
NOLOGFLUSH). It takes milliseconds, and processes run on meanwhile, which no real power cut allows. An fdatasync that is
under way at that moment can return success for data that is then dropped. So an acknowledgement counts only if it was
given before the ioctl began.

Run by itself this file measures that without any code of the store: a child appends records of 4 KiB to a file, calls
fdatasync after each, and says so with the time; after each cut the records it had said are looked for.
"""

import argparse
import fcntl
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, fs/ext4/ext4.h
_NOLOGFLUSH = 2
_RECORD = 4096


def may_cut() -> bool:
    """Whether this process has the rights that a cut needs; says so where it has not."""
    if sys.platform == "linux" and os.geteuid() == 0:
        return True
    print("skipped: power cuts need root on Linux (a loop-mounted file system is shut down)")
    return False


@contextmanager
def disk(n_bytes: int) -> Iterator[tuple[Path, Path]]:
    """An empty ext4 of `n_bytes` in a file of its own, mounted: the file, and the folder that it is mounted on."""
    with tempfile.TemporaryDirectory() as scratch:
        image, mount = Path(scratch) / "disk.img", Path(scratch) / "mnt"
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(n_bytes)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
        try:
            yield image, mount
        finally:
            subprocess.run(["umount", "-l", str(mount)], check=False)


def cut_power(mount: Path) -> float:
    """Drop what is not on the medium; returns when the cut began (CLOCK_MONOTONIC, seconds)."""
    handle = os.open(mount, os.O_RDONLY)
    try:
        began = time.clock_gettime(time.CLOCK_MONOTONIC)
        fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
    finally:
        os.close(handle)
    return began


def remount(image: Path, mount: Path) -> None:
    """Power is back: the journal is replayed."""
    subprocess.run(["umount", str(mount)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)


def _record(number: int) -> bytes:
    return struct.pack("<Q", number) * (_RECORD // 8)


def _append(path: Path) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    number = os.fstat(log).st_size // _RECORD
    os.write(1, b"ready\n")
    while True:
        os.write(log, _record(number))
        os.fdatasync(log)
        os.write(1, f"{number} {time.clock_gettime(time.CLOCK_MONOTONIC):.9f}\n".encode())
        number += 1


def _measure(image: Path, mount: Path, rng: random.Random) -> Counter[str]:
    counts: Counter[str] = Counter(cuts=1)
    log = mount / "log"
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(log)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(rng.uniform(0.005, 0.08))
    cut_at = cut_power(mount)
    time.sleep(0.003)  # long enough to say what is said too late
    process.kill()
    said = [line.split() for line in process.stdout.read().decode().splitlines()]
    process.wait()
    remount(image, mount)
    data = log.read_bytes()
    for number, at in said:
        when = "after the cut had begun" if float(at) >= cut_at else "before the cut"
        start = int(number) * _RECORD
        counts[f"acknowledged {when}"] += 1
        counts[f"lost of those acknowledged {when}"] += data[start : start + _RECORD] != _record(int(number))
    log.unlink()
    os.sync()
    return counts


def main() -> None:
    """Parse the arguments, cut, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=Path)
    args = parser.parse_args()
    if args.child:
        _append(args.child)
    if not may_cut():
        return
    rng = random.Random(args.seed)
    counts: Counter[str] = Counter()
    with disk(64 << 20) as (image, mount):
        for cut in range(args.cuts):
            counts += _measure(image, mount, rng)
            if (cut + 1) % 100 == 0:
                print(f"{cut + 1} cuts", flush=True)
    print(
        json.dumps(
            {**counts, "lost of those acknowledged before the cut": counts["lost of those acknowledged before the cut"]}
        )
    )


if __name__ == "__main__":
    main()
