"""Every setting, with its default, its limits and its description: the one home of all of them.

The reader, the sample file, the JSON Schema and the reference page are made of this.
"""

from dataclasses import dataclass, field
from typing import Annotated

from drainer.config.choices import GROUP, DumpFallback, Mode, RestoreFallback, RouteChoice, Tcp
from drainer.priority import HIGHEST, LOWEST
from drainer.typed import About

Parallel = Annotated[
    int,
    About("Containers worked on at once; 0 means one per CPU, at least two.", least=0, most=64),
]
LEAST_BUDGET = 120
"""Less leaves no time for hooks and checksums beside what is kept to undo a dump."""
LONGEST_DRAIN = 1100
"""With what a drain takes to end, and the unit's limit once more, less than the 30 minutes after
which systemd forces a reboot (JobTimeoutSec= of reboot.target)."""


def _pattern(description: str) -> About:
    return About(description, shortest=1, longest=300)


@dataclass(frozen=True, slots=True)
class Drain:
    """How a drain goes."""

    parallel: Parallel = 0
    container_timeout: Annotated[int, About("Seconds for one checkpoint.", least=1, most=86400)] = (
        300
    )
    on_dump_failure: Annotated[
        DumpFallback,
        About(
            "What becomes of a container whose checkpoint was begun and failed: it is "
            "left running, or stopped in order."
        ),
    ] = DumpFallback.LEAVE

    budget: Annotated[
        int,
        About(
            "Seconds for a whole drain at a shutdown; what does not fit is not "
            "carried. A drain by hand has no limit.",
            least=LEAST_BUDGET,
            most=LONGEST_DRAIN,
        ),
    ] = 540
    pre_dump_mib: Annotated[
        int,
        About(
            "MiB of memory from which most of it is saved before the container is "
            "frozen, so that it is frozen for a shorter time; 0 for never (runtime route).",
            least=0,
            most=1 << 20,
        ),
    ] = 128
    ghost_limit_mib: Annotated[
        int,
        About(
            "MiB of the largest file that is saved although it was deleted, as the "
            "container still has it open (runtime route).",
            least=1,
            most=1 << 20,
        ),
    ] = 1024


@dataclass(frozen=True, slots=True)
class Resume:
    """How a resume goes."""

    parallel: Parallel = 0
    container_timeout: Annotated[int, About("Seconds for one restore.", least=1, most=86400)] = 300
    on_restore_failure: Annotated[
        RestoreFallback,
        About(
            "What becomes of a container that cannot be restored: it is started from "
            "the beginning (cold), or left down."
        ),
    ] = RestoreFallback.COLD
    budget: Annotated[
        int,
        About(
            "Seconds for a whole resume at boot; what does not fit is started from the "
            "beginning. A resume by hand has no limit.",
            least=LEAST_BUDGET,
            most=86400,
        ),
    ] = 720


@dataclass(frozen=True, slots=True)
class History:
    """What is kept of past drains, beside the last one. A resume discards what is beyond it."""

    drains: Annotated[
        int,
        About(
            "How many drains are kept beside the last one. What is beyond this, or "
            "beyond `history.days`, is deleted at the end of a resume.",
            least=0,
            most=1000,
        ),
    ] = 20
    days: Annotated[int, About("Days for which they are kept.", least=1, most=36500)] = 90
    checkpoints_mib: Annotated[
        int,
        About(
            "MiB of failed checkpoints that are kept for inspection, the newest first. "
            "Those of the last drain are kept in any case.",
            least=0,
            most=1 << 30,
        ),
    ] = 2048


@dataclass(frozen=True, slots=True)
class Hooks:
    """The operator's own programs, in /etc/drainer/hooks.d."""

    timeout: Annotated[
        int,
        About(
            "Seconds for one hook; then it is killed, and in that run not called again.",
            least=1,
            most=3600,
        ),
    ] = 10


@dataclass(frozen=True, slots=True)
class ContainerRule:
    """What is wished for the containers to which all of its patterns fit."""

    name: Annotated[str | None, _pattern("Pattern for the container's name.")] = None
    image: Annotated[str | None, _pattern("Pattern for the image as it was given to Docker.")] = (
        None
    )
    project: Annotated[str | None, _pattern("Pattern for the name of its Compose project.")] = None
    label: Annotated[
        str | None, _pattern("A label that it has, or `label=pattern` for its value.")
    ] = None
    carry: Annotated[bool | None, About("Whether it is carried at all.")] = None
    priority: Annotated[
        int | None,
        About(
            "What is higher is carried first, and rather where room is short.",
            least=LOWEST,
            most=HIGHEST,
        ),
    ] = None
    group: Annotated[
        str | None,
        About(
            "Those with the same name are carried together, or none of them. "
            "At most 63 letters, digits, `_`, `.` and `-`.",
            pattern=GROUP,
        ),
    ] = None
    tcp: Annotated[
        Tcp | None,
        About(
            "What becomes of open TCP connections: they are closed, or kept where "
            "their other ends are in its group or on other hosts, or the container is skipped."
        ),
    ] = None
    timeout: Annotated[
        int | None,
        About("Seconds for its checkpoint, and for its restore.", least=1, most=86400),
    ] = None
    on_dump_failure: Annotated[
        DumpFallback | None, About("As `drain.on_dump_failure`, for these.")
    ] = None
    on_restore_failure: Annotated[
        RestoreFallback | None, About("As `resume.on_restore_failure`, for these.")
    ] = None


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    route: Annotated[
        RouteChoice,
        About("How a drain makes checkpoints; auto means as suits each container."),
    ] = RouteChoice.AUTO
    mode: Annotated[
        Mode,
        About(
            "opt-out carries every container that can be carried and is not left out; "
            "opt-in carries only those with `carry: true` in a rule or with the label "
            "`drainer.enable=true`."
        ),
    ] = Mode.OPT_OUT
    drain: Drain = field(default_factory=Drain)
    resume: Resume = field(default_factory=Resume)
    history: History = field(default_factory=History)
    hooks: Hooks = field(default_factory=Hooks)
    containers: Annotated[
        tuple[ContainerRule, ...],
        About(
            "Rules for containers. For each setting the first rule counts that fits "
            "the container and has that setting. A label of the container comes before all rules.",
            longest=1000,
        ),
    ] = ()
