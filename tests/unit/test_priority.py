import pytest

from drainer.model import Container, PlanEntry, Verdict
from drainer.priority import effective, own, parse, urgency


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("12", 12), ("-1000", -1000), ("+1000", 1000), (" 3\n", 3), ("1001", None),
     ("-1001", None), ("", None), ("ten", None), ("1 2", None), ("²", None), ("٣", None)],
)  # fmt: skip
def test_a_label_is_a_whole_number_in_bounds(text: str, value: int | None) -> None:
    assert parse(text) == value


def test_without_a_good_label_it_is_0() -> None:
    assert own(Container("a", "a")) == 0
    assert own(Container("a", "a", labels={"drainer.priority": "high"})) == 0
    assert own(Container("a", "a", labels={"drainer.priority": "-5"})) == -5


def test_a_provider_is_worth_what_its_users_are() -> None:
    needs = {"web": ("app",), "app": ("net",), "net": (), "other": ("net", "gone")}
    waves = {"web": 0, "other": 0, "app": 1, "net": 2}
    found = effective({"web": 7, "app": -1, "net": 3, "other": 5}, needs, waves)
    assert found == {"web": 7, "app": 7, "net": 7, "other": 5}
    assert effective({"web": -7, "app": 1, "net": 3, "other": 0}, needs, waves)["net"] == 3


def test_a_circle_is_open_where_its_waves_are() -> None:
    needs = {"a": ("b",), "b": ("a",)}
    assert effective({"a": 1, "b": 9}, needs, {"a": 0, "b": 1}) == {"a": 1, "b": 9}


def entry(name: str, priority: int, wave: int, *needs: str) -> PlanEntry:
    return PlanEntry(
        Container(name, name), Verdict.CARRY, wave=wave, needs=needs, priority=priority
    )


def test_users_are_as_urgent_as_the_providers_they_block() -> None:
    entries = [entry("web", 0, 0, "app"), entry("app", 0, 1, "db"), entry("db", 9, 2)]
    assert urgency([*entries, entry("x", 5, 0)]) == {"web": 9, "app": 9, "db": 9, "x": 5}
