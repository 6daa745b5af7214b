"""Take programs down and bring them back by shell commands; print as JSON what each half took.

`meter.py IMAGES PROGRAM DOWN [UP]`: a shell pattern of where checkpoints are in between, words of a
program's command line, and files with commands. Each half ends when all file systems are flushed;
`gone` is when the first such program was gone, if it was. Seconds are of the clock, `cpu` of all
CPUs together; `own` and `resident` are the command's own process's CPU seconds and most memory in
KiB, `taken` how much less memory was available at the worst moment than before, in KiB.
"""

import glob
import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

LOOK = 0.1


def busy() -> float:
    """Return the seconds that the CPUs were busy since the boot."""
    user, nice, system, _, _, irq, softirq = Path("/proc/stat").read_text().split()[1:8]
    ticks = sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def field(file: str, name: str) -> int:
    """Return a number of a file of lines `Name: number kB`; 0 without one."""
    for line in Path(file).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


class Watch(threading.Thread):
    """Looks at a process and at the host's memory until it is told to end."""

    def __init__(self, pid: int) -> None:
        """Begin."""
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.free = self.least = field("/proc/meminfo", "MemAvailable")
        self.resident = 0
        self.own = 0.0
        self._pid = pid
        self.start()

    def run(self) -> None:
        """Look, again and again."""
        while not self.ended.wait(LOOK):
            self.least = min(self.least, field("/proc/meminfo", "MemAvailable"))
            try:
                resident = field(f"/proc/{self._pid}/status", "VmHWM")
                fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            self.resident = resident or self.resident
            self.own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Vigil(threading.Thread):
    """Waits for the end of a program; to be frozen is no end, to be a zombie is one."""

    def __init__(self, words: str) -> None:
        """Begin, if there is one with these words in its command line."""
        super().__init__(daemon=True)
        self.gone: float | None = None
        wanted = words.replace(" ", "\0").encode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # one that has just ended
                if words and wanted in (process / "cmdline").read_bytes():
                    self._process = os.pidfd_open(int(process.name))
                    self.start()
                    return

    def run(self) -> None:
        """Wait."""
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        poll.poll()
        self.gone = time.time()


def half(file: str, program: str) -> dict[str, float | None]:
    """Measure one command."""
    # What was done before is not to be flushed on this one's account.
    os.sync()
    vigil = Vigil(program)
    before, begin = busy(), time.time()
    with Path("/srv/bench/output").open("w") as output:
        process = subprocess.Popen(["sh", file], stdout=output, stderr=output)
        watch = Watch(process.pid)
        status = process.wait()
    returned = time.time()
    os.sync()
    end = time.time()
    watch.ended.set()
    found: dict[str, float | None] = {"begin": begin, "returned": returned, "end": end}
    found |= {"status": status, "gone": vigil.gone}
    found |= {"cpu": busy() - before, "resident": watch.resident, "own": watch.own}
    return found | {"taken": watch.free - watch.least}


def size(patterns: str) -> int:
    """Return what all is that the patterns find, in KiB on disk."""
    paths = [path for pattern in patterns.split() for path in glob.glob(pattern)]  # noqa: PTH207
    if not paths:
        return 0
    listing = subprocess.run(["du", "-skc", *paths], capture_output=True, text=True, check=True)
    return int(listing.stdout.splitlines()[-1].split()[0])


def main(images: str, program: str, down: str, up: str = "") -> None:
    """Measure both halves; the second one only if the first one succeeded."""
    found: dict[str, object] = {"down": (first := half(down, program))}
    if not first["status"]:
        found["kib"] = size(images)
        if up:
            found["up"] = half(up, program)
    sys.stdout.write(json.dumps(found))


main(*sys.argv[1:])
