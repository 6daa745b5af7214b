"""The numbers of a report, from the manifest alone. Pure.

All times are by the host's clock: what was measured while it was set back is not told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from drainer.manifest import Entry, Manifest, State, moment

BACK = (State.RESTORED, State.STARTED_COLD)
"""The states in which drainer has brought a container back."""


class Phase(StrEnum):
    """What happened to a container for a while."""

    DUMP = "dump"
    """It was paused and checkpointed; its processes stood still."""
    DOWN = "down"
    """It was not there."""
    RESTORE = "restore"
    COLD = "cold start"
    """A restore was tried, or not, and it was started from the beginning."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in seconds since the epoch."""

    phase: Phase
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Passage:
    """One container on its way through the drain and the resume."""

    entry: Entry
    spans: tuple[Span, ...] = ()

    def seconds(self, phase: Phase) -> float | None:
        """Return how long this took; None if that is not known."""
        return next((span.seconds for span in self.spans if span.phase is phase), None)

    @property
    def away(self) -> float | None:
        """Seconds for which nobody could use it: from its pause until it ran again."""
        phases = {span.phase for span in self.spans}
        back = phases & {Phase.RESTORE, Phase.COLD}
        if not back or Phase.DOWN not in phases or Phase.DUMP not in phases:
            return None
        return self.spans[-1].end - self.spans[0].begin

    @property
    def speed(self) -> float | None:
        """Bytes a second of its dump."""
        took = self.entry.dump_milliseconds / 1000 or self.seconds(Phase.DUMP)
        return self.entry.size / took if took and self.entry.size else None


@dataclass(frozen=True, slots=True)
class Report:
    """A drain and its resume. Moments are seconds since the epoch, None where not known."""

    manifest: Manifest
    passages: tuple[Passage, ...]
    began: float | None
    drained: float | None
    """When the last container was down."""
    booted: float | None
    """When the kernel started that the resume ran under, if that is known."""
    resumed: float | None
    """When the first container was asked for again."""
    ended: float | None
    kernel: str = ""
    """The release of the kernel of the resume, if that is known."""

    @property
    def size(self) -> int:
        """Bytes of all checkpoints."""
        return sum(passage.entry.size for passage in self.passages)

    @property
    def drain_seconds(self) -> float | None:
        """How long the drain took."""
        return between(self.began, self.drained)

    @property
    def between_seconds(self) -> float | None:
        """How long it was from the last container's end to the first restore."""
        return between(self.drained, self.resumed)

    @property
    def resume_seconds(self) -> float | None:
        """How long the resume took, from its first restore on."""
        return between(self.resumed, self.ended)

    @property
    def worst(self) -> float | None:
        """For how long the container was away that was away longest."""
        return max((p.away for p in self.passages if p.away is not None), default=None)


def between(begin: float | None, end: float | None) -> float | None:
    """Return the seconds between two moments; None if either is not known, or they are swapped."""
    if begin is None or end is None or end < begin:
        return None
    return end - begin


def make_report(manifest: Manifest, booted: float | None = None, kernel: str = "") -> Report:
    """Make the report of a manifest.

    `booted` is when the kernel started that runs now, and `kernel` its release. They are used only
    if that was between the drain and the resume.
    """
    began = moment(manifest.created)
    # What still waits from an earlier drain went down in that one.
    stops = _moments(manifest.entries, State.STOPPED, began)
    restores = _moments(manifest.entries, State.RESTORING, began)
    drained, resumed = max(stops, default=None), min(restores, default=None)
    fits = (
        booted is not None
        and drained is not None
        and resumed is not None
        and drained <= booted <= resumed
    )
    return Report(
        manifest=manifest,
        passages=tuple(_passage(entry) for entry in manifest.entries),
        began=began,
        drained=drained,
        booted=booted if fits else None,
        resumed=resumed,
        ended=moment(manifest.finished),
        kernel=kernel if fits else "",
    )


def _passage(entry: Entry) -> Passage:
    at = {state: entry.moment(state) for state in State}
    # One that could not be checkpointed and was told to stop was never dumped.
    dumped = at[State.DUMPED] if at[State.DUMPED] is not None else at[State.STOPPED]
    restoring, back = at[State.RESTORING], at[entry.state] if entry.state in BACK else None
    last = Phase.COLD if entry.state is State.STARTED_COLD else Phase.RESTORE
    spans = (
        _span(Phase.DUMP, at[State.DUMPING], dumped),
        _span(Phase.DOWN, dumped, restoring),
        _span(last, restoring, back),
    )
    return Passage(entry, tuple(span for span in spans if span))


def _span(phase: Phase, begin: float | None, end: float | None) -> Span | None:
    if begin is None or end is None or end < begin:
        return None
    return Span(phase, begin, end)


def _moments(entries: Iterable[Entry], state: State, since: float | None) -> list[float]:
    found = (entry.moment(state) for entry in entries)
    return [at for at in found if at is not None and at >= (since or 0.0)]
