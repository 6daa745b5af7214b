"""A container that only holds its addresses: runc's part in its life.

Nothing of its image is run. Docker is shown one sleeping process in a network namespace of its own,
and gives it addresses. Standard library only: it is used by the stand-in for runc.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from drainer import netlink
from drainer.runtime.agent import put

PROCESS = "process"
"""File in the placeholder's directory: pid and start time of its process, as /proc counts it."""

_SLEEP = "/bin/sleep"
_ARP_IGNORE = "/proc/sys/net/ipv4/conf/all/arp_ignore"
"""8 answers for no address (Documentation/networking/ip-sysctl.rst)."""
_MESSAGE_BYTES = 4096
_END_SECONDS = 5.0
_POLL_SECONDS = 0.01
_START_TIME = 19
"""Index among the fields of /proc/PID/stat that follow the name: field 22 (proc_pid_stat(5))."""


def create(directory: Path, pid_file: Path) -> int:
    """Do as `runc create` does: leave a process behind, name it in `pid_file`, return a status.

    The process is the shim's once this one has ended, and the shim reaps it. What went wrong is
    written to standard error.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _sleep(writing)
    os.close(writing)
    # Its end is the success of exec, which closes the pipe.
    problem = os.read(reading, _MESSAGE_BYTES).decode(errors="replace")
    os.close(reading)
    if problem:
        os.waitpid(child, 0)
        sys.stderr.write(f"placeholder: {problem}\n")
        return 1
    put(directory / PROCESS, f"{child} {started(child)}")
    put(pid_file, str(child))
    return 0


def process(directory: Path) -> int:
    """Return the pid of the placeholder's process; 0 when it is not there (any more)."""
    pid, begun = _recorded(directory)
    return pid if pid and started(pid) == begun else 0


def stop(directory: Path) -> int:
    """Do as `runc kill` and `runc delete` do: end the process, if it is there; return a status."""
    pid, begun = _recorded(directory)
    with suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            # The number may be another process's by now; the handle cannot become so.
            if started(pid) == begun:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                _wait(pid, begun)
        finally:
            os.close(handle)
    return 0


def started(pid: int) -> int:
    """Return when a process was started, as /proc counts it; -1 when there is none."""
    fields = _stat(pid)
    return int(fields[_START_TIME]) if fields else -1


def _recorded(directory: Path) -> tuple[int, int]:
    """Return pid and start time as they were written down; a pid of 0 when they were not."""
    try:
        pid, begun = (int(word) for word in (directory / PROCESS).read_text().split())
    except (OSError, ValueError):
        return 0, 0
    return pid, begun


def _sleep(problem: int) -> None:
    """Become the sleeping process; never returns. `problem` closes when it is one."""
    try:
        os.setsid()
        netlink.leave()
        # A peer that is back already must find nobody here rather than be refused.
        with suppress(OSError):
            Path(_ARP_IGNORE).write_text("8")
        os.chdir("/")
        # The shim waits for the end of the container's output, which these are.
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        # A hundredth of an interpreter's memory.
        os.execv(_SLEEP, ["sleep", "infinity"])  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(problem, str(error).encode())
    finally:
        os._exit(1)


def _wait(pid: int, begun: int) -> None:
    """Return when the process has ended, reaped or not."""
    end = time.monotonic() + _END_SECONDS
    while started(pid) == begun and _state(pid) not in {"Z", "X"} and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat that follow the name; empty when there is no process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""
