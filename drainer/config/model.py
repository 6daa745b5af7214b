"""Every setting, with its default, its limits and its description: the one home of all of them.

The reader, the sample file, the JSON Schema and the reference page are made of this.
"""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from drainer.config.choices import GROUP, DumpFallback, Mode, RestoreFallback, RouteChoice, Tcp
from drainer.priority import HIGHEST, LOWEST

Parallel = Annotated[
    int,
    Field(
        ge=0,
        le=64,
        description="Containers worked on at once; 0 means one per CPU, at least two.",
    ),
]
LEAST_BUDGET = 120
"""Less leaves no time for hooks and checksums beside what is kept to undo a dump."""
LONGEST_DRAIN = 1100
"""With what a drain takes to end, and the unit's limit once more, less than the 30 minutes after
which systemd forces a reboot (JobTimeoutSec= of reboot.target)."""
Pattern = Annotated[str, Field(min_length=1, max_length=300)]


@dataclass(frozen=True, slots=True)
class Drain:
    """How a drain goes."""

    parallel: Parallel = 0
    container_timeout: Annotated[
        int, Field(ge=1, le=86400, description="Seconds for one checkpoint.")
    ] = 300
    on_dump_failure: Annotated[
        DumpFallback,
        Field(
            description="What becomes of a container whose checkpoint was begun and failed: it is "
            "left running, or stopped in order."
        ),
    ] = DumpFallback.LEAVE

    budget: Annotated[
        int,
        Field(
            ge=LEAST_BUDGET,
            le=LONGEST_DRAIN,
            description="Seconds for a whole drain at a shutdown; what does not fit is not "
            "carried. A drain by hand has no limit.",
        ),
    ] = 540
    pre_dump_mib: Annotated[
        int,
        Field(
            ge=0,
            le=1 << 20,
            description="MiB of memory from which most of it is saved before the container is "
            "frozen, so that it is frozen for a shorter time; 0 for never (runtime route).",
        ),
    ] = 128
    ghost_limit_mib: Annotated[
        int,
        Field(
            ge=1,
            le=1 << 20,
            description="MiB of the largest file that is saved although it was deleted, as the "
            "container still has it open (runtime route).",
        ),
    ] = 1024


@dataclass(frozen=True, slots=True)
class Resume:
    """How a resume goes."""

    parallel: Parallel = 0
    container_timeout: Annotated[
        int, Field(ge=1, le=86400, description="Seconds for one restore.")
    ] = 300
    on_restore_failure: Annotated[
        RestoreFallback,
        Field(
            description="What becomes of a container that cannot be restored: it is started from "
            "the beginning (cold), or left down."
        ),
    ] = RestoreFallback.COLD
    budget: Annotated[
        int,
        Field(
            ge=LEAST_BUDGET,
            le=86400,
            description="Seconds for a whole resume at boot; what does not fit is started from the "
            "beginning. A resume by hand has no limit.",
        ),
    ] = 720


@dataclass(frozen=True, slots=True)
class History:
    """What is kept of past drains, beside the last one. A resume discards what is beyond it."""

    drains: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="How many drains are kept beside the last one. What is beyond this, or "
            "beyond `history.days`, is deleted at the end of a resume.",
        ),
    ] = 20
    days: Annotated[int, Field(ge=1, le=36500, description="Days for which they are kept.")] = 90
    checkpoints_mib: Annotated[
        int,
        Field(
            ge=0,
            le=1 << 30,
            description="MiB of failed checkpoints that are kept for inspection, the newest first. "
            "Those of the last drain are kept in any case.",
        ),
    ] = 2048


@dataclass(frozen=True, slots=True)
class Hooks:
    """The operator's own programs, in /etc/drainer/hooks.d."""

    timeout: Annotated[
        int,
        Field(
            ge=1,
            le=3600,
            description="Seconds for one hook; then it is killed, and in that run not called "
            "again.",
        ),
    ] = 10


@dataclass(frozen=True, slots=True)
class ContainerRule:
    """What is wished for the containers to which all of its patterns fit."""

    name: Annotated[Pattern | None, Field(description="Pattern for the container's name.")] = None
    image: Annotated[
        Pattern | None, Field(description="Pattern for the image as it was given to Docker.")
    ] = None
    project: Annotated[
        Pattern | None, Field(description="Pattern for the name of its Compose project.")
    ] = None
    label: Annotated[
        Pattern | None, Field(description="A label that it has, or `label=pattern` for its value.")
    ] = None
    carry: Annotated[bool | None, Field(description="Whether it is carried at all.")] = None
    priority: Annotated[
        Annotated[int, Field(ge=LOWEST, le=HIGHEST)] | None,
        Field(description="What is higher is carried first, and rather where room is short."),
    ] = None
    group: Annotated[
        Annotated[str, Field(pattern=f"^{GROUP}$")] | None,
        Field(
            description="Those with the same name are carried together, or none of them. "
            "At most 63 letters, digits, `_`, `.` and `-`."
        ),
    ] = None
    tcp: Annotated[
        Tcp | None,
        Field(
            description="What becomes of open TCP connections: they are closed, or kept where "
            "their other ends are in its group or on other hosts, or the container is skipped."
        ),
    ] = None
    timeout: Annotated[
        Annotated[int, Field(ge=1, le=86400)] | None,
        Field(description="Seconds for its checkpoint, and for its restore."),
    ] = None
    on_dump_failure: Annotated[
        DumpFallback | None, Field(description="As `drain.on_dump_failure`, for these.")
    ] = None
    on_restore_failure: Annotated[
        RestoreFallback | None, Field(description="As `resume.on_restore_failure`, for these.")
    ] = None


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    route: Annotated[
        RouteChoice,
        Field(description="How a drain makes checkpoints; auto means as suits each container."),
    ] = RouteChoice.AUTO
    mode: Annotated[
        Mode,
        Field(
            description="opt-out carries every container that can be carried and is not left out; "
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
        Field(
            max_length=1000,
            description="Rules for containers. For each setting the first rule counts that fits "
            "the container and has that setting. A label of the container comes before all rules.",
        ),
    ] = ()
