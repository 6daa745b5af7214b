"""Options that several commands share, and what they may be."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from drainer.config.choices import DumpFallback, RestoreFallback, RouteChoice


class Format(StrEnum):
    """What `--format` may be."""

    TABLE = "table"
    MARKDOWN = "markdown"
    SVG = "svg"
    METRICS = "metrics"


class Common(NamedTuple):
    """The options that every command shares."""

    state_dir: Path
    docker_host: str
    route: RouteChoice | None
    """None if nobody said."""


def _finite(seconds: float | None) -> float | None:
    """Refuse `inf`, and `nan`, which is below no limit."""
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is not a number of seconds.")
    return seconds


STATE_DIR = Path("/var/lib/drainer")
"""That of the units (`StateDirectory=`)."""
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
CONFIGURED = "as configured, else {}"
"""What is shown as the default of an option that files can set."""
Parallel = Annotated[
    int,
    typer.Option(
        min=0,
        max=64,
        help="Containers worked on at once; 0: one per CPU, at least 2.",
        show_default=CONFIGURED.format(0),
    ),
]
DrainBudget = Annotated[
    float | None,
    typer.Option(
        min=1,
        callback=_finite,
        help="Seconds for the whole drain; what does not fit is left running.",
    ),
]
ResumeBudget = Annotated[
    float | None,
    typer.Option(
        min=1,
        callback=_finite,
        help="Seconds for the whole resume; what does not fit is started from the beginning, and "
        "loses its memory.",
    ),
]
ContainerTimeout = Annotated[
    float,
    typer.Option(
        min=1,
        callback=_finite,
        help="Seconds for one container.",
        show_default=CONFIGURED.format(300),
    ),
]
TrialBudget = Annotated[
    float,
    typer.Option(
        min=1, callback=_finite, help="Seconds for all trials; after them nothing is begun."
    ),
]
OnDumpFailure = Annotated[
    DumpFallback,
    typer.Option(
        help="If a checkpoint fails: leave the container running, or stop it in order.",
        show_default=CONFIGURED.format("leave"),
        envvar="DRAINER_ON_DUMP_FAILURE",
    ),
]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; it goes to the manifest and to the report.")
]
AtShutdown = Annotated[
    bool, typer.Option(help="For the systemd unit: do nothing unless the host is going down.")
]
GiveUp = Annotated[
    bool,
    typer.Option(
        "--give-up", help="Do not wait for what Docker cannot start: leave it down for good."
    ),
]
OnRestoreFailure = Annotated[
    RestoreFallback,
    typer.Option(
        help="If a restore fails: start the container from the beginning (cold), or leave it down.",
        show_default=CONFIGURED.format("cold"),
        envvar="DRAINER_ON_RESTORE_FAILURE",
    ),
]
