"""Run a command that must not outlive whoever started it.

`leash.py COMMAND...` kills the command when its own standard input closes, which the kernel does
when the starter ends in whatever way. PR_SET_PDEATHSIG alone would be wrong in the starter: it is
tied to the thread that forked, and hosts are started from threads.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command; return its status, or 137 if it was killed because the leash broke."""
    # The fork happens in the only thread there is, so the hook before exec is safe.
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509
    )
    ended = os.pidfd_open(child.pid)
    watch = select.poll()
    watch.register(ended, select.POLLIN)
    watch.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    ready = [descriptor for descriptor, _ in watch.poll()]
    if ended not in ready:
        child.kill()
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
