"""A strict reader of the small part of YAML that a manifest is written in."""

import re
from dataclasses import dataclass, field
from typing import cast

import yaml

from drainer.typed import Path

MAX_DEPTH = 16

_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)


class DocumentError(Exception):
    """The text is not such a document. `line` counts from 1; 0 where it is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        """Keep the line apart from the message."""
        super().__init__(message)
        self.message = message
        self.line = line


def dotted(path: Path) -> str:
    """Write a path as people do: `containers[2].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".")


@dataclass(slots=True)
class Document:
    """One YAML document as plain values, with the line on which each value begins."""

    root: object = None
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Return the line of the value at `path`, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end was not read yet."""

    value: dict[str, object] | list[object]
    path: Path
    key: str | None = None


def parse(text: str) -> Document:
    """Read one YAML document of mappings, lists, strings, integers, booleans and nulls.

    Plain scalars are `true`, `false`, `null` and decimal integers, as JSON writes them; all else
    is a string, so no `no`, date or octal number comes out as something else. Duplicate keys,
    anchors, aliases, tags and a second document are refused. Raises `DocumentError`.
    """
    document = Document()
    stack: list[_Open] = []
    documents = 0
    try:
        # Events instead of a loader's objects: there is no recursion that could be exhausted.
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1 or event.version or event.tags:
                    raise DocumentError("a second document or a directive", _line(event))
            elif isinstance(event, yaml.NodeEvent):
                _node(document, stack, event)
            elif isinstance(event, yaml.CollectionEndEvent):
                stack.pop()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise DocumentError(error.problem or "not YAML", line) from error
    # Without its C library, PyYAML lets through what `chr` says to an escape beyond Unicode.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise DocumentError("not YAML: a character that must not be there") from error
    if not documents:
        raise DocumentError("empty")
    return document


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _node(document: Document, stack: list[_Open], event: yaml.NodeEvent) -> None:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent) or event.anchor:
        raise DocumentError("an anchor or alias", line)
    if getattr(event, "tag", None):
        raise DocumentError("a tag", line)
    parent = stack[-1] if stack else None
    if parent and isinstance(parent.value, dict) and parent.key is None:
        parent.key = _key(parent.value, event, line)
        return
    path = _path(parent)
    value: object
    if isinstance(event, yaml.ScalarEvent):
        value = _scalar(event)
    else:
        value = {} if isinstance(event, yaml.MappingStartEvent) else []
        if len(stack) >= MAX_DEPTH:
            raise DocumentError("nested too deeply", line)
        stack.append(_Open(cast("dict[str, object] | list[object]", value), path))
    document.lines[path] = line
    if parent is None:
        document.root = value
    elif isinstance(parent.value, list):
        parent.value.append(value)
    else:
        parent.value[cast("str", parent.key)] = value
        parent.key = None


def _path(parent: _Open | None) -> Path:
    if parent is None:
        return ()
    if isinstance(parent.value, list):
        return (*parent.path, len(parent.value))
    return (*parent.path, cast("str", parent.key))


def _key(mapping: dict[str, object], event: yaml.NodeEvent, line: int) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise DocumentError("a key that is not a string", line)
    key = str(event.value)
    if key in mapping:
        raise DocumentError(f"{key}: given twice", line)
    return key


def _scalar(event: yaml.ScalarEvent) -> str | int | bool | None:
    text = str(event.value)
    # `implicit` begins with whether the scalar is plain, without quotes.
    if event.implicit[0]:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
    return text
