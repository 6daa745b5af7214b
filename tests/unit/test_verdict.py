from dataclasses import replace

import pytest

from tests.lab.verdict import Shown, Told, judge, runs

BEFORE = {"web": Shown(running=True, paused=False, policy="always", log=(1, 2, 3))}


def shown(*log: int, running: bool = True, paused: bool = False, policy: str = "always") -> Shown:
    return Shown(running=running, paused=paused, policy=policy, log=log)


def test_a_log_is_split_at_each_start() -> None:
    assert runs((1, 2, 3, 1, 2)) == [(1, 2, 3), (1, 2)]
    assert runs(()) == []


@pytest.mark.parametrize(
    ("after", "state", "broken"),
    [
        (shown(1, 2, 3, 4), "restored", ""),
        (shown(1, 2, 3, 1, 2), "started-cold", ""),
        (shown(1, 2, 3, 1, 2), "restored", "misreported"),
        (shown(1, 2, 3, 4, 4, 5), "restored", "twice"),
        (shown(1, 2, 3, 4, 3, 4), "restored", "twice"),
        (shown(1, 2, 3, 5), "restored", "twice"),
        (shown(1, 2, 3, running=False), "left", "lost"),
        (shown(1, 2, 3, paused=True), "left", "lost"),
        (shown(1, 2, 3, 4, policy="no"), "restored", "policies"),
    ],
)
def test_what_breaks_the_promise_is_named(after: Shown, state: str, broken: str) -> None:
    found = judge(BEFORE, {"web": after}, {"web": Told(state)}, ())
    assert found.well is (not broken)
    if broken:
        assert getattr(found, broken) == ("web",)


@pytest.mark.parametrize(
    ("now", "told", "misreported"),
    [
        ("2026-01-01T00:00:02.5Z", Told("restored", "b", "2026-01-01T00:00:03.000+00:00"), True),
        ("2026-01-01T00:00:09.1Z", Told("restored", "b", "2026-01-01T00:00:03.000+00:00"), False),
        ("2026-01-01T00:00:02.5Z", Told("restored", "a", "2026-01-01T00:00:03.000+00:00"), False),
    ],
)
def test_dockers_own_restart_is_not_drainers(now: str, told: Told, *, misreported: bool) -> None:
    before = {"web": replace(BEFORE["web"], started="b")}
    after = replace(shown(1, 2, 3, 1, 2), started=now)
    assert bool(judge(before, {"web": after}, {"web": told}, ()).misreported) is misreported


def test_one_that_is_gone_is_lost() -> None:
    assert judge(BEFORE, {}, {"web": Told("left")}, ()).lost == ("web",)


def test_what_drainer_never_touched_may_be_down_but_not_paused() -> None:
    assert judge(BEFORE, {"web": shown(1, 2, 3, running=False)}, {}, ()).well
    assert judge(BEFORE, {"web": shown(1, 2, 3, paused=True)}, {}, ()).lost == ("web",)


def test_what_is_left_behind_breaks_it_too() -> None:
    assert not judge(BEFORE, BEFORE, {}, ("/run/drainer",)).well
