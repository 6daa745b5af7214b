"""Every setting as words: for the sample file, the reference page and `config show`."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from drainer.config.load import CONTAINERS, Loaded
from drainer.config.schema import schema

_RULE = f"{CONTAINERS}[]"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its key with dots, its default as YAML, what it may be, what it is for."""

    key: str
    default: str
    allowed: str
    description: str


def settings() -> tuple[Setting, ...]:
    """Return all settings, in the order of a file."""
    document = schema()
    return tuple(_settings("", document, document["$defs"]))


def _settings(
    prefix: str, part: dict[str, Any], kinds: dict[str, dict[str, Any]]
) -> Iterator[Setting]:
    for name, found in part["properties"].items():
        kind = found | kinds.get(found.get("$ref", "").rpartition("/")[2], {})
        key = f"{prefix}{name}"
        if "properties" in kind:
            yield from _settings(f"{key}.", kind, kinds)
            continue
        text = found.get("description", "")
        yield Setting(key, _yaml(found.get("default")), _allowed(kind, kinds), text)
        if name == CONTAINERS:
            yield from _settings(
                f"{_RULE}.", kinds[kind["items"]["$ref"].rpartition("/")[2]], kinds
            )


def _allowed(kind: dict[str, Any], kinds: dict[str, dict[str, Any]]) -> str:
    """Say in a few words what a value may be."""
    if "anyOf" in kind:
        first = kind["anyOf"][0]
        kind = kinds[first["$ref"].rpartition("/")[2]] if "$ref" in first else first
    if "enum" in kind:
        return ", ".join(kind["enum"])
    if "pattern" in kind:
        return "a name"
    if kind["type"] == "integer":
        return f"{kind['minimum']} to {kind['maximum']}"
    return {"boolean": "true, false", "string": "a pattern", "array": "a list"}[kind["type"]]


def _yaml(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def sample() -> str:
    """Return a file in which every setting is explained, and none is set."""
    lines = [
        "# Settings of drainer. `drainer config show` prints what holds, and where it is said.",
        "# Each line in which a setting is commented out shows its default. To set one, remove the",
        "# # before it and before the heading above it, and check with `drainer config validate`.",
    ]
    group = ""
    for setting in settings():
        if setting.key.startswith(_RULE):
            continue
        above, _, name = setting.key.rpartition(".")
        lines.append("")
        if above and above != group:
            lines += [f"#{above}:", ""]
        group = above
        indent = "  " if above else ""
        lines += [f"# {line}" for line in textwrap.wrap(setting.description, 90)]
        if name == CONTAINERS:
            lines += _EXAMPLE
        else:
            lines.append(f"# Allowed: {setting.allowed}.")
            lines.append(f"#{indent}{name}: {setting.default}")
    return "\n".join(lines) + "\n"


_EXAMPLE = (
    "# In patterns, * stands for anything and ? for one character.",
    "#containers:",
    '#  - name: "scratch-*"',
    "#    carry: false",
    '#  - image: "postgres:*"',
    "#    priority: 10",
)


def table() -> str:
    """Return the reference table of all settings as Markdown."""
    rows = "".join(
        f"| `{s.key}` | {f'`{s.default}`' if s.default else 'none'} | {s.allowed} | "
        f"{s.description} |\n"
        for s in settings()
    )
    return f"| setting | default | may be | meaning |\n|---|---|---|---|\n{rows}"


def shown(loaded: Loaded) -> Iterator[tuple[str, str, str]]:
    """Yield each setting that holds: key, value as YAML, and where it is said."""
    for setting in settings():
        if setting.key.startswith(CONTAINERS):
            continue
        path = tuple(setting.key.split("."))
        value: object = loaded.config
        for name in path:
            value = getattr(value, name)
        yield setting.key, _yaml(value), loaded.origins.get(path, "default")
    for number, rule in enumerate(loaded.config.containers):
        words = {name: value for name, value in asdict(rule).items() if value is not None}
        key = f"{CONTAINERS}[{number}]"
        yield key, json.dumps(words), loaded.origins[CONTAINERS, number]
