"""What settings with few values may be, on the command line and in files."""

from enum import StrEnum

GROUP = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
"""What names of groups look like."""


class RouteChoice(StrEnum):
    """Which routes a drain may take."""

    AUTO = "auto"
    ENGINE = "engine"
    RUNTIME = "runtime"


class DumpFallback(StrEnum):
    """What becomes of a container whose dump failed."""

    LEAVE = "leave"
    STOP = "stop"


class RestoreFallback(StrEnum):
    """What becomes of a container that cannot be restored."""

    COLD = "cold"
    LEAVE = "leave"


class Tcp(StrEnum):
    """What becomes of a container with open TCP connections."""

    CLOSE = "close"
    """It is carried, and finds them closed."""
    SKIP = "skip"
    """It is not carried."""
    KEEP = "keep"
    """It is carried with them where all their other ends are, else it is not."""


class Mode(StrEnum):
    """What is carried of the containers for which nobody wished anything."""

    OPT_OUT = "opt-out"
    OPT_IN = "opt-in"
