"""Run a command, then flush all file systems, and print as JSON what that took.

`meter.py COMMAND ARGUMENT...`. Seconds are of the clock and of all CPUs together; `resident` is the
most memory of the command's own process in KiB, `own` its own CPU seconds, `taken` how much less
memory was available at the worst moment than before, in KiB.
"""

import json
import os
import subprocess
import sys
import time
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


def own(pid: int) -> float:
    """Return a process's own CPU seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(command: list[str]) -> int:
    """Measure."""
    before, free = busy(), field("/proc/meminfo", "MemAvailable")
    least, resident, cpu, begin = free, 0, 0.0, time.time()
    with Path("/srv/bench/output").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        while process.poll() is None:
            try:
                resident = field(f"/proc/{process.pid}/status", "VmHWM") or resident
                cpu = own(process.pid)
            except OSError:
                pass
            least = min(least, field("/proc/meminfo", "MemAvailable"))
            time.sleep(LOOK)
    returned = time.time()
    os.sync()
    end = time.time()
    found = {"begin": begin, "returned": returned, "end": end, "status": process.returncode}
    found |= {"cpu": busy() - before, "resident": resident, "own": cpu, "taken": free - least}
    sys.stdout.write(json.dumps(found))
    return 0


sys.exit(main(sys.argv[1:]))
