"""drainer's systemd units: where their templates are, and how they are rendered and recognised."""

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

DRAIN_UNIT = "drainer-drain.service"
RESUME_UNIT = "drainer-resume.service"
AHEAD_UNIT = "drainer-read-ahead.service"
GUARD_UNIT = "drainer-guard.service"
GUARD_SHUTDOWN_UNIT = "drainer-guard-shutdown.service"
UNITS = (DRAIN_UNIT, RESUME_UNIT)
"""Those that are enabled."""
FILES = (*UNITS, AHEAD_UNIT, GUARD_UNIT, GUARD_SHUTDOWN_UNIT)
"""All, as the resume unit wants others."""

CATALOG = "drainer.catalog"
"""Explains what drainer writes to the journal."""

_PLACEHOLDER = "@DRAINER@"
_MARK = "# Installed by drainer; of the rest the SHA-256 is "


def template(unit: str) -> str:
    """Return a unit's template, or the catalog, from the installed package or from a checkout."""
    packaged: Traversable = files("drainer") / "systemd" / unit
    checkout = Path(__file__).resolve().parent.parent / "systemd" / unit
    return (packaged if packaged.is_file() else checkout).read_text(encoding="utf-8")


def render(unit: str, program: Path) -> str:
    """Return a unit that runs `program`, whose path needs no quoting, with drainer's mark."""
    body = template(unit).replace(_PLACEHOLDER, str(program))
    return f"{_MARK}{_digest(body)}\n{body}"


def is_ours(content: str) -> bool:
    """Tell whether drainer wrote this unit, whatever version of it, and nobody changed it since."""
    first, _, body = content.partition("\n")
    return first == _MARK + _digest(body)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
