"""Ask systemd whether the host goes down, and tell it how far we are."""

import os
import socket
from collections.abc import Mapping

from drainer.host.run import Runner
from drainer.text import printable

_SECONDS = 15.0
_TRIES = 3
_TARGETS = {
    "reboot.target": "reboot",
    "poweroff.target": "poweroff",
    "halt.target": "halt",
    "kexec.target": "kexec",
}
"""Not soft-reboot.target: the kernel goes on, and so does what /run says of containers."""


def shutting_down(run: Runner) -> str:
    """Name the shutdown in progress: `reboot`, `poweroff`, `halt`, `kexec`, or nothing.

    Both answers are needed: a queued job alone can still be cancelled, and `stopping` alone does
    not say what follows. Without an answer from systemd there is no shutdown.
    """
    # Its exit status is not 0 for most states. A busy host may be slow to answer at all.
    for _ in range(_TRIES):
        state = run(["systemctl", "is-system-running"], _SECONDS).output.strip()
        if state:
            break
    if state != "stopping":
        return ""
    for _ in range(_TRIES):
        jobs = run(["systemctl", "list-jobs", "--no-legend", "--full", "--no-pager"], _SECONDS)
        if jobs.status == 0:
            break
    return parse_jobs(jobs.output) if jobs.status == 0 else ""


def parse_jobs(text: str) -> str:
    """Find the shutdown in `systemctl list-jobs --no-legend`: job, unit, type, state."""
    for line in text.splitlines():
        match line.split():
            case [_, unit, "start", *_] if unit in _TARGETS:
                return _TARGETS[unit]
    return ""


def notify(
    status: str, variables: Mapping[str, str] = os.environ, extend: float | None = None
) -> None:
    """Send a line as the unit's status to systemd, if it listens (sd_notify(3)). Never raises.

    A time limit that would strike within `extend` seconds is put off until then: in `ExecStop=`
    that of TimeoutStopSec=. systemd never brings one forward for it (systemd core/service.c
    service_extend_timeout).
    """
    address = variables.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    message = f"STATUS={printable(status)}"
    if extend is not None:
        message += f"\nEXTEND_TIMEOUT_USEC={max(0, round(extend * 1_000_000))}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(1.0)
            channel.sendto(message.encode(), address)
    except OSError:
        return
