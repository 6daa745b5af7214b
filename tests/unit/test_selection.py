"""What the configuration wishes for a container."""

from dataclasses import replace

import pytest

from drainer.config.choices import Mode
from drainer.config.load import Loaded
from drainer.config.model import Config, ContainerRule, Drain
from drainer.model import Container, Wish
from drainer.selection import fits, wish

WEB = Container(
    "1" * 64,
    "web-1",
    image="nginx:1.27",
    labels={"com.docker.compose.project": "shop", "tier": "front", "bare": ""},
)


def said(*rules: ContainerRule, mode: Mode = Mode.OPT_OUT) -> Loaded:
    origins: dict[tuple[str | int, ...], str] = {
        ("containers", n): f"c.yaml:{n}" for n in range(len(rules))
    }
    return Loaded(Config(mode=mode, containers=rules), {("mode",): "c.yaml:9", **origins})


@pytest.mark.parametrize(
    "rule",
    [
        ContainerRule(),
        ContainerRule(name="web-1"),
        ContainerRule(name="web-?"),
        ContainerRule(image="nginx:*"),
        ContainerRule(project="sh*"),
        ContainerRule(label="tier"),
        ContainerRule(label="bare"),
        ContainerRule(label="bare="),
        ContainerRule(label="tier=fr*"),
        ContainerRule(name="*", image="*", project="*", label="tier=front"),
    ],
)
def test_all_patterns_of_a_rule_must_fit(rule: ContainerRule) -> None:
    assert fits(rule, WEB)


@pytest.mark.parametrize(
    "rule",
    [
        ContainerRule(name="web"),
        ContainerRule(name="WEB-1"),
        ContainerRule(image="nginx"),
        ContainerRule(project="other"),
        ContainerRule(label="tie"),
        ContainerRule(label="tier="),
        ContainerRule(label="none=*"),
        ContainerRule(name="web-1", image="redis"),
    ],
)
def test_one_that_does_not_is_enough(rule: ContainerRule) -> None:
    assert not fits(rule, WEB)


def test_without_a_project_no_pattern_for_projects_fits() -> None:
    assert not fits(ContainerRule(project="*"), Container("2" * 64, "x"))


def test_nothing_said_carries_it_with_priority_0() -> None:
    assert wish(Loaded(), WEB) == Wish()


def test_each_wish_comes_from_the_first_rule_that_has_it() -> None:
    loaded = said(
        ContainerRule(name="other", carry=True, priority=1),
        ContainerRule(name="web-*", priority=7),
        ContainerRule(image="nginx:*", carry=False, priority=8),
        ContainerRule(carry=True),
    )
    assert wish(loaded, WEB) == Wish(carry=False, place="c.yaml:2", priority=7)


def test_opt_in_leaves_out_what_no_rule_carries() -> None:
    assert wish(said(mode=Mode.OPT_IN), WEB) == Wish(carry=False, place="c.yaml:9: mode: opt-in")
    carried = said(ContainerRule(name="web-*", carry=True), mode=Mode.OPT_IN)
    assert wish(carried, WEB) == Wish(carry=True, place="c.yaml:0")


def test_the_limit_for_deleted_files_is_for_all_and_a_group_for_those_of_a_rule() -> None:
    config = Config(
        drain=Drain(ghost_limit_mib=5), containers=(ContainerRule(name="web-*", group="front"),)
    )
    assert wish(replace(said(), config=config), WEB) == Wish(ghost_limit_mib=5, group="front")
