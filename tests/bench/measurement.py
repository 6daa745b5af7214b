"""What is measured, and where a program tells that it is alive."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.lab.host import Host


@dataclass(frozen=True)
class Taken:
    """What one command took. Seconds, and KiB."""

    seconds: float
    """Until all was on disk."""
    returned: float
    """Until the command ended."""
    cpu: float
    own: float
    resident: int
    memory: int


@dataclass(frozen=True)
class Measurement:
    """One way there and back."""

    case: str
    way: str
    down: Taken
    up: Taken | None
    kib: int
    """What the checkpoints take on disk."""
    frozen: float | None
    """From a program's last sign of life until it is killed and its checkpoint is on disk.

    Only of a program that gives many signs, and is alone.
    """
    away: tuple[float, ...]
    """For how long each program gave no sign of life."""


@dataclass(frozen=True)
class Failure:
    """A way that did not do what it is for."""

    case: str
    way: str
    failed: str


def taken(told: dict[str, float]) -> Taken:
    """Shorten what the meter told."""
    return Taken(
        seconds=round(told["end"] - told["begin"], 2),
        returned=round(told["returned"] - told["begin"], 2),
        cpu=round(told["cpu"], 2),
        own=round(told["own"], 2),
        resident=int(told["resident"]),
        memory=int(told["taken"]),
    )


def ticks(host: Host, since: float) -> dict[str, list[float]]:
    """Return each program's signs of life, from the last one before `since` on."""
    found: dict[str, list[float]] = {}
    text = host.output("cd /srv/ticks && for f in *; do echo =$f; tail -n 3000 $f; done")
    for line in text.splitlines():
        if line.startswith("="):
            times = found.setdefault(line[1:], [])
        else:
            times.append(float(line))
    for name, times in found.items():
        before = [t for t in times if t <= since]
        found[name] = [*before[-1:], *(t for t in times if t > since)]
    return found


def alive(names: Iterable[str], since: float) -> str:
    """Return a shell command that succeeds when all programs gave a sign of life since a time."""
    return " && ".join(
        f"[ $(tail -n 1 /srv/ticks/{name} | cut -d. -f1) -gt {since:.0f} ]" for name in names
    )
