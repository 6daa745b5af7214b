"""From files to one set of settings, each with where it was said."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drainer.config import files
from drainer.config.model import Config
from drainer.errors import ConfigInvalidError
from drainer.store.document import Document, DocumentError, dotted, parse
from drainer.text import printable
from drainer.typed import Path as Key
from drainer.typed import make, mistakes

CONTAINERS = "containers"
_GROUPS = ("drain", "resume", "history", "hooks", CONTAINERS)

_ADVICE = "`drainer config validate` shows every mistake; docs/configuration.md has every setting"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings that hold."""

    config: Config = field(default_factory=Config)
    origins: Mapping[Key, str] = field(default_factory=dict)
    """For each setting that a file gives, `file:line`."""
    files: tuple[str, ...] = ()
    """Those that were read, the weakest first."""
    usable: bool = True
    """Whether they could be used; if not, these are the defaults."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file."""

    place: str
    """`file:line`, or only the file."""
    key: str
    message: str

    def __str__(self) -> str:
        """Return it as compilers do."""
        return printable(": ".join(part for part in (self.place, self.key, self.message) if part))


class ConfigMistakesError(ConfigInvalidError):
    """Files that cannot be used, with everything that is wrong in them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Say the first one."""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}", _ADVICE)
        self.problems = tuple(problems)


def load(roots: Sequence[Path] | None = None) -> Loaded:
    """Read every file that counts. Raises `ConfigInvalidError`, of all files at once.

    What a later file gives replaces what an earlier one gave; its rules for containers are asked
    before the earlier ones.
    """
    merged: dict[str, Any] = {}
    origins: dict[Key, str] = {}
    rules: list[tuple[object, str]] = []
    problems: list[Problem] = []
    paths = files.find(files.ROOTS if roots is None else roots)
    for path in paths:
        file = _open(path, problems)
        if file is None:
            continue
        found = list(_mistakes(file))
        problems += found
        if not found:
            own = enumerate(file.root.get(CONTAINERS, []))
            rules = [(rule, file.place((CONTAINERS, n))) for n, rule in own] + rules
            _merge(merged, file, origins)
    if problems:
        raise ConfigMistakesError(problems)
    if rules:
        merged[CONTAINERS] = [rule for rule, _ in rules]
        origins |= {(CONTAINERS, n): place for n, (_, place) in enumerate(rules)}
    return Loaded(make(merged, Config), origins, tuple(map(str, paths)))


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    document: Document
    root: dict[str, Any]

    def place(self, key: Key) -> str:
        return f"{self.path}:{self.document.line(key)}"


def _open(path: Path, problems: list[Problem]) -> _File | None:
    """Return what a file says; None if that is nothing, or not to be read."""
    try:
        text = files.read(path)
        if not any(line.partition("#")[0].strip() for line in text.splitlines()):
            return None
        document = parse(text)
    except DocumentError as error:
        place = f"{path}:{error.line}" if error.line else str(path)
        problems.append(Problem(place, "", error.message))
        return None
    except ConfigInvalidError as error:
        problems.append(Problem("", "", error.message))
        return None
    if not isinstance(document.root, dict):
        problems.append(Problem(f"{path}:1", "", "not `key: value`"))
        return None
    # A heading of which every line is commented out says nothing.
    root = {k: v for k, v in document.root.items() if v != "" or k not in _GROUPS}
    return _File(path, document, root)


def _mistakes(file: _File) -> Iterator[Problem]:
    """Find everything in one file that is not as `Config` wants it."""
    for key, message in mistakes(file.root, Config):
        yield Problem(file.place(key), dotted(key), message)


def _merge(merged: dict[str, Any], file: _File, origins: dict[Key, str]) -> None:
    for key, value in file.root.items():
        if isinstance(value, dict):
            merged.setdefault(key, {}).update(value)
            origins |= {(key, name): file.place((key, name)) for name in value}
        elif key != CONTAINERS:
            merged[key] = value
            origins[(key,)] = file.place((key,))
