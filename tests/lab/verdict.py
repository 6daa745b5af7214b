"""Was the promise kept? What a host shows before and after a fault, compared. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

_MILLISECONDS = len("2026-01-01T00:00:00.000")


@dataclass(frozen=True)
class Shown:
    """What one look at a host tells of one container."""

    running: bool
    paused: bool
    policy: str
    log: tuple[int, ...]
    """The numbers it has printed, all of them since it was created."""
    advances: bool = True
    """Whether it printed more within a few seconds."""
    started: str = ""
    """Docker's `StartedAt`."""


@dataclass(frozen=True)
class Told:
    """What the manifest tells of a container that drainer has laid its hands on."""

    state: str
    started: str = ""
    """Docker's `StartedAt` at that moment."""
    restored: str = ""
    """When it was restored, if it was."""


@dataclass(frozen=True)
class Findings:
    """What became of the containers of one round."""

    kept: int = 0
    """Those that have counted on without a restart."""
    cold: int = 0
    lost: tuple[str, ...] = ()
    """Names of those that do not run, are paused or do not get on."""
    twice: tuple[str, ...] = ()
    """Names of those with a log that goes back in time: restored twice, or over later work."""
    policies: tuple[str, ...] = ()
    """Names of those with another restart policy than before."""
    misreported: tuple[str, ...] = ()
    """Names of those that are said to be restored and were started anew."""
    debris: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether the promise was kept."""
        broken = (self.lost, self.twice, self.policies, self.misreported, self.debris)
        return not any(broken)


def runs(log: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Split a log into what each start of the program has printed: a new one begins with 1."""
    if not log:
        return []
    starts = [0, *(place for place, number in enumerate(log) if number == 1 and place)]
    return [log[a:b] for a, b in zip(starts, [*starts[1:], len(log)], strict=True)]


def judge(
    before: Mapping[str, Shown],
    after: Mapping[str, Shown],
    told: Mapping[str, Told],
    debris: tuple[str, ...],
) -> Findings:
    """Compare two looks at the same containers.

    `told` is by name. What becomes of the others is Docker's: it does not start one again that is
    `unless-stopped` and ran while dockerd was killed.
    """
    gone = Shown(running=False, paused=False, policy="", log=())
    now = {name: after.get(name, gone) for name in before}
    starts = {name: runs(shown.log) for name, shown in now.items()}
    anew = {n for n in before if len(starts[n]) > len(runs(before[n].log))}
    return Findings(
        kept=len(before) - len(anew),
        cold=len(anew),
        lost=tuple(n for n, s in now.items() if s.paused or (n in told and _is_down(s))),
        twice=tuple(n for n in before if any(map(_goes_back, starts[n]))),
        policies=tuple(n for n, s in now.items() if s.policy != before[n].policy),
        misreported=tuple(
            n
            for n in anew
            if n in told
            and told[n].state == "restored"
            and not _restarted(before[n], now[n], told[n])
        ),
        debris=debris,
    )


def _restarted(before: Shown, now: Shown, told: Told) -> bool:
    """Tell whether Docker has restarted it before drainer's hands were on it, or after that."""
    return told.started != before.started or now.started[:_MILLISECONDS] > told.restored


def _is_down(shown: Shown) -> bool:
    return not (shown.running and shown.advances)


def _goes_back(run: tuple[int, ...]) -> bool:
    return run != tuple(range(1, len(run) + 1))
