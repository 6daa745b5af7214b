"""Faults for a real host: each ends something in the middle of a drain or a resume."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.errors import ConnectionLostError, DeadlineError
from tests.lab.host import Host

_FOUND_SECONDS = 60


def _signal(signal: str, pattern: str) -> Callable[[Host], None]:
    """Signal the first process that matches, as soon as there is one; none in time is no error."""

    def act(host: Host) -> None:
        send = f'pkill -{signal} -f -o "$0"'
        wait = f"timeout {_FOUND_SECONDS} sh -c 'until {send}; do sleep 0.02; done'"
        host.run(f"{wait} '{pattern}'", _FOUND_SECONDS + 30, check=False)

    return act


def _unit(unit: str) -> Callable[[Host], None]:
    def act(host: Host) -> None:
        host.run(f"systemctl kill -s KILL --kill-whom=main {unit}")

    return act


def _fill(host: Host) -> None:
    """Leave a megabyte of the disk, until the round is over."""
    host.run(
        "free=$(df --output=avail -B1M / | tail -1);"
        " fallocate -l $((free - 1))M /root/full && sync",
        check=False,
    )


@dataclass(frozen=True)
class Fault:
    """One way to break a drain or a resume."""

    name: str
    act: Callable[[Host], None]
    cuts_power: bool = False


POWER_CUT = Fault("power cut", Host.pull_plug, cuts_power=True)
OTHERS = (
    Fault("drainer killed", _signal("KILL", "bin/drainer [dr]")),
    Fault("dockerd killed", _unit("docker")),
    Fault("containerd killed", _unit("containerd")),
    Fault("shim killed", _signal("KILL", "containerd-shim-runc-v[2] ")),
    Fault("CRIU killed", _signal("KILL", "criu [s]wrk")),
    Fault("CRIU hung", _signal("STOP", "criu [s]wrk")),
    Fault("runc killed", _signal("KILL", "runc .*([c]heckpoint --leave|[r]estore --detach)")),
    Fault("disk full", _fill),
)
FAULTS = (POWER_CUT, *OTHERS)


def strike(host: Host, fault: Fault, command: str, delay: float, limit: float) -> bool:
    """Run a command in the host, and break something `delay` seconds later.

    Waits until the command has ended, at most `limit` seconds; returns whether it did. After a
    power cut the machine is off.
    """
    host.run(f"setsid sh -c '{command}' </dev/null >/root/struck 2>&1 &")
    time.sleep(delay)
    fault.act(host)
    if fault.cuts_power:
        return True
    try:
        host.wait_until(f"! pgrep -f '{command[:-1]}[{command[-1]}]'", limit)
    except (DeadlineError, ConnectionLostError):
        return False
    return True
