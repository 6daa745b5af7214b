"""Why runc or CRIU has failed: read from their logs. Never raises."""

import json
from pathlib import Path

from drainer.host.criu_log import first_error
from drainer.runtime.base import Place

_LIMIT = 4 << 20
"""Bytes of a log that are read."""


def of_checkpoint(place: Place) -> str:
    """Return why a checkpoint failed, in CRIU's words or else runc's, which are not escaped."""
    return first_error(_text(place.work / "dump.log")) or _last_message(place)


def of_restore(place: Place) -> str:
    """Return why a restore failed, in CRIU's words, which are not escaped; empty if unknown."""
    return first_error(_text(place.work / "restore.log"))


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_LIMIT).decode(errors="replace")
    except OSError:
        return ""


def _last_message(place: Place) -> str:
    """Return runc's last words."""
    for line in reversed(_text(place.work / "runc.log").splitlines()):
        try:
            return str(json.loads(line)["msg"])
        except (ValueError, KeyError, TypeError):
            continue
    return "runc has not said why"
