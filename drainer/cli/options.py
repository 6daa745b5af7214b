"""Options that several commands share, and what they may be."""

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


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Parallel = Annotated[
    int,
    typer.Option(min=0, max=64, help="Containers worked on at once; 0: one per CPU, at least 2."),
]
Budget = Annotated[
    float | None,
    typer.Option(min=1, help="Seconds for the whole run; after them nothing is begun."),
]
ContainerTimeout = Annotated[float, typer.Option(min=1, help="Seconds for one container.")]
OnDumpFailure = Annotated[
    DumpFallback,
    typer.Option(
        help="What cannot be checkpointed is left running, or stopped in order.",
        envvar="DRAINER_ON_DUMP_FAILURE",
    ),
]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; it goes to the manifest and to the report.")
]
GiveUp = Annotated[
    bool,
    typer.Option("--give-up", help="Leave to Docker what cannot be started at all, for good."),
]
OnRestoreFailure = Annotated[
    RestoreFallback,
    typer.Option(
        help="What cannot be restored is started from the beginning, or left down.",
        envvar="DRAINER_ON_RESTORE_FAILURE",
    ),
]
