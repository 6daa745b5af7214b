from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

import pytest

from drainer.typed import About, kind, make, mistakes


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Part:
    name: Annotated[str, About("Its name.", shortest=1, longest=5, pattern="[a-z]*")]
    size: Annotated[int | None, About(least=1, most=9)] = None


@dataclass(frozen=True, slots=True)
class Whole:
    parts: Annotated[tuple[Part, ...], About(longest=2)] = ()
    colour: Colour = Colour.RED
    side: Literal["", "left"] = ""
    open: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    part: Part = field(default_factory=lambda: Part("a"))


def test_a_value_becomes_what_it_says() -> None:
    value = {
        "parts": [{"name": "b", "size": 3}, {"name": "c", "size": None}],
        "colour": "blue",
        "side": "left",
        "open": True,
        "labels": {"a": "b"},
        "part": {"name": "d"},
    }
    assert list(mistakes(value, Whole)) == []
    parts = (Part("b", 3), Part("c"))
    made = make(value, Whole)
    assert made == Whole(parts, Colour.BLUE, "left", open=True, labels={"a": "b"}, part=Part("d"))
    assert type(made.colour) is Colour
    assert make({}, Whole) == Whole()


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        ([], (), "should be a mapping"),
        ({"colr": "red"}, ("colr",), "not a known key; did you mean colour?"),
        ({5: "red"}, (5,), "not a known key"),
        ({"colour": "green"}, ("colour",), "should be 'red' or 'blue'"),
        ({"colour": ["red"]}, ("colour",), "should be 'red' or 'blue'"),
        ({"colour": None}, ("colour",), "should be 'red' or 'blue'"),
        ({"side": "right"}, ("side",), "should be '' or 'left'"),
        ({"open": 1}, ("open",), "should be true or false"),
        ({"open": None}, ("open",), "should be true or false"),
        ({"parts": {}}, ("parts",), "should be a list"),
        ({"parts": [{"name": "a"}] * 3}, ("parts",), "should have at most 2 items"),
        ({"parts": [{"name": "a"}, 5]}, ("parts", 1), "should be a mapping"),
        ({"parts": [{"size": 1}]}, ("parts", 0, "name"), "missing"),
        ({"labels": []}, ("labels",), "should be a mapping"),
        ({"labels": {"a": 1}}, ("labels", "a"), "should be text"),
        ({"part": {"name": 1}}, ("part", "name"), "should be text"),
        ({"part": {"name": ""}}, ("part", "name"), "should not be empty"),
        ({"part": {"name": "abcdef"}}, ("part", "name"), "should have at most 5 characters"),
        ({"part": {"name": "a\n"}}, ("part", "name"), "should match [a-z]*"),
        ({"part": {"name": "\ud800"}}, ("part", "name"), "should be Unicode"),
        ({"part": {"name": "a", "size": True}}, ("part", "size"), "should be a whole number"),
        ({"part": {"name": "a", "size": "1"}}, ("part", "size"), "should be a whole number"),
        ({"part": {"name": "a", "size": 0}}, ("part", "size"), "should be at least 1"),
        ({"part": {"name": "a", "size": 10}}, ("part", "size"), "should be at most 9"),
    ],
)
def test_a_mistake_has_its_place(value: object, path: tuple[str | int, ...], said: str) -> None:
    assert list(mistakes(value, Whole)) == [(path, said)]


def test_all_mistakes_are_told() -> None:
    value = {"open": 1, "parts": [{"name": 5, "size": 0}, {}]}
    assert [path for path, _ in mistakes(value, Whole)] == [
        ("open",),
        ("parts", 0, "name"),
        ("parts", 0, "size"),
        ("parts", 1, "name"),
    ]


@pytest.mark.parametrize("hint", [int | str, float, list[str], tuple[str, int], dict[str, int]])
def test_a_type_that_cannot_be_read_is_an_error_of_the_program(hint: object) -> None:
    with pytest.raises(TypeError, match="no type"):
        kind(hint)
