import pytest

from drainer.model import Container, PlanEntry, Verdict
from drainer.priority import effective, parse, urgency


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("12", 12), ("-1000", -1000), ("+1000", 1000), (" 3\n", 3), ("1001", None),
     ("-1001", None), ("", None), ("ten", None), ("1 2", None), ("²", None), ("٣", None)],
)  # fmt: skip
def test_a_label_is_a_whole_number_in_bounds(text: str, value: int | None) -> None:
    assert parse(text) == value


def test_a_provider_is_worth_what_its_users_are() -> None:
    needs = {"web": ("app",), "app": ("net",), "net": (), "other": ("net", "gone")}
    waves = {"web": 0, "other": 0, "app": 1, "net": 2}
    found = effective({"web": 7, "app": -1, "net": 3, "other": 5}, needs, waves, set(needs))
    assert found == {"web": 7, "app": 7, "net": 7, "other": 5}
    assert (
        effective({"web": -7, "app": 1, "net": 3, "other": 0}, needs, waves, set(needs))["net"] == 3
    )


def test_a_circle_is_open_where_its_waves_are() -> None:
    needs = {"a": ("b",), "b": ("a",)}
    found = effective({"a": 1, "b": 9}, needs, {"a": 0, "b": 1}, set(needs))
    assert found == {"a": 1, "b": 9}


def test_users_that_are_not_carried_gain_nothing_and_do_not_count() -> None:
    needs = {"web": ("app",), "app": ("net",), "net": (), "other": ("net",)}
    waves = {"web": 0, "other": 0, "app": 1, "net": 2}
    priorities = {"web": 7, "app": -1, "net": 3, "other": 5}
    assert effective(priorities, needs, waves, {"web", "app", "net"})["net"] == 7
    assert effective(priorities, needs, waves, {"other", "app", "net"})["net"] == 5
    assert effective(priorities, needs, waves, {"web", "net"}) == {**priorities, "app": 7}


def entry(name: str, priority: int, wave: int, *needs: str) -> PlanEntry:
    return PlanEntry(
        Container(name, name), Verdict.CARRY, wave=wave, needs=needs, priority=priority
    )


def test_users_are_as_urgent_as_the_providers_they_block() -> None:
    entries = [entry("web", 0, 0, "app"), entry("app", 0, 1, "db"), entry("db", 9, 2)]
    assert urgency([*entries, entry("x", 5, 0)]) == {"web": 9, "app": 9, "db": 9, "x": 5}
