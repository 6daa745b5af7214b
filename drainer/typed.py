"""Plain values, as they are read from YAML, as frozen types: strictly, and with all mistakes told.

Nothing is converted but lists to tuples and words to enumerations. A field may be a dataclass, a
tuple of one type, a `dict` of words, an enumeration, `Literal` words, `str`, `int`, `bool`, or one
of these or None; what `About` says goes with it.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import EnumType
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

Path = tuple[str | int, ...]
"""Where a value stands: keys and indices from the root."""

_PLAIN = {str: "text", int: "a whole number", bool: "true or false"}


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """What a value is for, and what it may be. What is empty or None limits nothing."""

    description: str = ""
    least: int | None = None
    most: int | None = None
    shortest: int = 0
    longest: int | None = None
    """Characters of a text, or items of a list."""
    pattern: str = ""
    """For the whole text."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What a value has to be."""

    type: type
    """A dataclass, an enumeration, or one of tuple, dict, str, int and bool."""
    item: "Kind | None" = None
    """What is in a tuple or dict."""
    words: tuple[str, ...] = ()
    """The only ones that it may be; empty where it is no word."""
    optional: bool = False
    """Whether it may be None instead."""
    about: About = About()


def kind(hint: object) -> Kind:
    """Return what a type hint says. Raises `TypeError` for one that no value can be read as."""
    if get_origin(hint) is Annotated:
        plain, about = get_args(hint)
        return dataclasses.replace(kind(plain), about=about)
    arguments = get_args(hint)
    if NoneType in arguments:
        (needed,) = (argument for argument in arguments if argument is not NoneType)
        return dataclasses.replace(kind(needed), optional=True)
    found = _kind_of_many(hint) if arguments else _kind_of_one(hint)
    if not found:
        raise TypeError(f"no type for a value: {hint}")
    return found


def _kind_of_many(hint: object) -> Kind | None:
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return Kind(str, words=arguments)
    if get_origin(hint) is tuple and arguments[1:] == (Ellipsis,):
        return Kind(tuple, kind(arguments[0]))
    return Kind(dict, Kind(str)) if hint == dict[str, str] else None


def _kind_of_one(hint: object) -> Kind | None:
    if isinstance(hint, EnumType):
        return Kind(hint, words=tuple(hint))
    if isinstance(hint, type) and (hint in _PLAIN or dataclasses.is_dataclass(hint)):
        return Kind(hint)
    return None


@cache
def fields(record: "type[DataclassInstance]") -> Mapping[str, Kind]:
    """Return what each field of a dataclass has to be."""
    return {name: kind(hint) for name, hint in get_type_hints(record, include_extras=True).items()}


def mistakes(value: object, record: "type[DataclassInstance]") -> Iterator[tuple[Path, str]]:
    """Find everything that keeps a value from being a dataclass: where, and what is wrong."""
    return _mistakes(value, Kind(record), ())


def _mistakes(value: object, wanted: Kind, path: Path) -> Iterator[tuple[Path, str]]:
    if value is None and wanted.optional:
        return
    if dataclasses.is_dataclass(wanted.type):
        yield from _of_record(value, wanted.type, path)
    elif wanted.item:
        yield from _of_many(value, wanted, wanted.item, path)
    elif wanted.words:
        if not isinstance(value, str) or value not in wanted.words:
            yield path, f"should be {_either(wanted.words)}"
    elif type(value) is not wanted.type:
        yield path, f"should be {_PLAIN[wanted.type]}"
    elif wrong := _beyond(value, wanted.about):
        yield path, wrong


def _of_record(
    value: object, record: "type[DataclassInstance]", path: Path
) -> Iterator[tuple[Path, str]]:
    if not isinstance(value, dict):
        yield path, "should be a mapping"
        return
    known = fields(record)
    for key, item in value.items():
        if key in known:
            yield from _mistakes(item, known[key], (*path, key))
        else:
            yield (*path, key), f"not a known key{_meant(key, known)}"
    for field in dataclasses.fields(record):
        defaults = (field.default, field.default_factory)
        if field.name not in value and defaults == (dataclasses.MISSING, dataclasses.MISSING):
            yield (*path, field.name), "missing"


def _of_many(value: object, wanted: Kind, item: Kind, path: Path) -> Iterator[tuple[Path, str]]:
    if wanted.type is dict:
        if not isinstance(value, dict):
            yield path, "should be a mapping"
            return
        parts = list(value.items())
    else:
        if not isinstance(value, list):
            yield path, "should be a list"
            return
        parts = list(enumerate(value))
    if wanted.about.longest is not None and len(parts) > wanted.about.longest:
        yield path, f"should have at most {wanted.about.longest} items"
    for key, part in parts:
        yield from _mistakes(part, item, (*path, key))


def _beyond(value: object, about: About) -> str:
    """Say which limit a number or text does not keep; empty if it keeps all."""
    if isinstance(value, str):
        return _unfit(value, about)
    if isinstance(value, int):
        if about.least is not None and value < about.least:
            return f"should be at least {about.least}"
        if about.most is not None and value > about.most:
            return f"should be at most {about.most}"
    return ""


def _unfit(text: str, about: About) -> str:
    # YAML has escapes for halves of characters, and no file could hold them.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "should be Unicode"
    if len(text) < about.shortest:
        return "should not be empty"
    if about.longest is not None and len(text) > about.longest:
        return f"should have at most {about.longest} characters"
    if about.pattern and not re.fullmatch(about.pattern, text):
        return f"should match {about.pattern}"
    return ""


def _either(words: tuple[str, ...]) -> str:
    *others, last = (f"'{word}'" for word in words)
    return f"{', '.join(others)} or {last}" if others else last


def _meant(key: object, known: Mapping[str, Kind]) -> str:
    near = get_close_matches(str(key), known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def make(value: Mapping[str, object], record: type[T]) -> T:
    """Make a dataclass of a value that has no mistakes."""
    known = fields(record)
    return record(**{key: _made(item, known[key]) for key, item in value.items()})


def _made(value: object, wanted: Kind) -> object:
    if value is None:
        return None
    if dataclasses.is_dataclass(wanted.type) and isinstance(value, dict):
        return make(value, wanted.type)
    if wanted.type is tuple and wanted.item and isinstance(value, list):
        return tuple(_made(part, wanted.item) for part in value)
    return wanted.type(value) if isinstance(wanted.type, EnumType) else value
