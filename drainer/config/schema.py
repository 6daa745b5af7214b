"""The JSON Schema of a configuration file, for editors and for whoever generates such files."""

import dataclasses
from enum import EnumType
from typing import TYPE_CHECKING, Any

from drainer.config.model import Config
from drainer.typed import Kind, fields

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_TYPES = {str: "string", int: "integer", bool: "boolean"}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a file. Every key may be left out."""
    definitions: dict[str, Any] = {}
    root = _record(Config, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _record(record: "type[DataclassInstance]", definitions: dict[str, Any]) -> dict[str, Any]:
    properties = {}
    for field in dataclasses.fields(record):
        kind = fields(record)[field.name]
        found = _of(kind, definitions)
        if kind.about.description:
            found["description"] = kind.about.description
        if field.default is not dataclasses.MISSING:
            found["default"] = field.default
        properties[field.name] = found
    return {
        "title": record.__name__,
        "description": record.__doc__,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _of(kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.optional:
        needed = dataclasses.replace(kind, optional=False)
        return {"anyOf": [_of(needed, definitions), {"type": "null"}]}
    about = kind.about
    if kind.type is tuple and kind.item:
        items = _of(kind.item, definitions)
        return _limited({"type": "array", "items": items}, maxItems=about.longest)
    if kind.type not in _TYPES:
        name = kind.type.__name__
        if name not in definitions:
            definitions[name] = _definition(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    return _limited(
        {"type": _TYPES[kind.type]},
        minimum=about.least,
        maximum=about.most,
        minLength=about.shortest or None,
        maxLength=about.longest,
        pattern=f"^{about.pattern}$" if about.pattern else None,
        enum=list(kind.words) or None,
    )


def _definition(kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind.type, EnumType):
        return {
            "title": kind.type.__name__,
            "description": kind.type.__doc__,
            "type": "string",
            "enum": list(kind.words),
        }
    return _record(kind.type, definitions)


def _limited(part: dict[str, Any], **limits: object) -> dict[str, Any]:
    return part | {name: limit for name, limit in limits.items() if limit is not None}
