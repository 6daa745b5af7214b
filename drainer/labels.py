"""What the owner of a container says of it by its labels. Pure: nothing in a label is ever run."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import Any

from drainer import priority
from drainer.config.choices import GROUP, DumpFallback, RestoreFallback, Tcp
from drainer.model import Wish

PREFIX = "drainer."
LABEL_ENABLE = "drainer.enable"
"""Container label: `false` opts the container out of being carried."""

LABEL_PRIORITY = "drainer.priority"
"""Container label: a whole number; what is higher is carried first, and rather than others."""
LABEL_GROUP = "drainer.group"
"""Container label: a name. Containers with the same one are carried together, or none of them."""

LABEL_PROJECT = "com.docker.compose.project"
"""Compose's own: the name of the project that a container belongs to."""

LABEL_PLACEHOLDER = "drainer.placeholder"
"""Label of the containers that only hold addresses during a resume; drainer removes them."""
PLACEHOLDER_PREFIX = "drainer-placeholder-"
"""How their names begin: a label alone may come with an image."""

LABEL_DOCTOR = "drainer.doctor"
"""Label of the images and containers that `drainer doctor --live` makes for its trials."""

TRIAL_PREFIX = "drainer-doctor-"
"""How the names of those containers begin."""

LABEL_TCP = "drainer.tcp"
LABEL_TIMEOUT = "drainer.timeout"
LABEL_ON_DUMP_FAILURE = "drainer.on-dump-failure"
LABEL_ON_RESTORE_FAILURE = "drainer.on-restore-failure"
LONGEST = 86400
"""Seconds that a label may give a checkpoint or a restore, at most."""

GROUP_WORDS = "a name of at most 63 letters, digits, `_`, `.` and `-`"

_ALIKE = 0.75
"""How much of a known label an unknown one must have for it to be meant (difflib's ratio)."""

_JUDGED_ELSEWHERE = frozenset({LABEL_ENABLE, LABEL_PRIORITY})
"""Their mistakes have rules of their own."""
_OWN = frozenset({LABEL_DOCTOR, LABEL_PLACEHOLDER})
"""What drainer itself gives to containers that it makes."""


def _word(kind: type[StrEnum], text: str) -> StrEnum | None:
    return kind(text) if text in set(kind) else None


def _group(text: str) -> str | None:
    return text if re.fullmatch(GROUP, text) else None


def _seconds(text: str) -> int | None:
    value = int(text) if re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) else 0
    return value if 1 <= value <= LONGEST else None


_READERS: Mapping[str, tuple[str, Callable[[str], Any], str]] = {
    LABEL_PRIORITY: ("priority", priority.parse, ""),
    LABEL_GROUP: ("group", _group, GROUP_WORDS),
    LABEL_TCP: ("tcp", partial(_word, Tcp), " or ".join(Tcp)),
    LABEL_TIMEOUT: ("timeout", _seconds, f"1 to {LONGEST} (seconds)"),
    LABEL_ON_DUMP_FAILURE: (
        "on_dump_failure",
        partial(_word, DumpFallback),
        " or ".join(DumpFallback),
    ),
    LABEL_ON_RESTORE_FAILURE: (
        "on_restore_failure",
        partial(_word, RestoreFallback),
        " or ".join(RestoreFallback),
    ),
}
"""For each label: the wish that it gives, how its value is read, and what that may be."""

LABELS = (LABEL_ENABLE, *_READERS)
"""All that an owner may give."""


def wish(labels: Mapping[str, str], configured: Wish) -> Wish:
    """Put what the labels say before what is configured; a wrong value does not count.

    But where it is not to be understood what becomes of open connections, they are not closed.
    """
    said = {
        field: value
        for label, (field, read, _) in _READERS.items()
        if label in labels and (value := read(labels[label].strip())) is not None
    }
    if LABEL_TCP in labels:
        said.setdefault("tcp", Tcp.SKIP)
    return replace(configured, **said)


def mistakes(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Name each label of drainer's that is not known, or has a wrong value. It may be untrusted."""
    found = []
    for label, value in sorted(labels.items()):
        if not label.startswith(PREFIX) or label in _JUDGED_ELSEWHERE | _OWN:
            continue
        if label not in _READERS:
            near = get_close_matches(label[:100], LABELS, 1, _ALIKE)
            found.append(f"{label} is not known" + (f", {near[0]} is" if near else ""))
            continue
        _, read, allowed = _READERS[label]
        if read(value.strip()) is None:
            found.append(f"{label} may be {allowed}")
    return tuple(found)
