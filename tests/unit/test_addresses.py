import pytest

from drainer.addresses import (
    MOST_PLACEHOLDERS,
    Prospect,
    dealt,
    holders,
    kept,
    missing,
    next_free,
    number,
    wanted,
)
from drainer.model import Container, RestartPolicy
from drainer.networks import Address, Endpoint, Pool


def four(*last: int) -> list[str]:
    return [f"10.0.0.{n}" for n in last]


def box(name: str, *last: int, policy: str = "no", fixed: bool = False) -> Container:
    addresses = tuple(Address("n", text, fixed=fixed) for text in four(*last))
    return Container(name, name, restart_policy=RestartPolicy(policy), addresses=addresses)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address("n", "10.0.0.2"), ("10.0.0.2",)),
        (Address("n", "10.0.0.2", fixed=True), ()),
        (Address("n", "10.0.0.2", "fd00::2", "02:42:0a:00:00:02"), ("10.0.0.2", "fd00::2")),
        (Address("n", "10.0.0.2", "fd00::242:a00:2", "02:42:0A:00:00:02"), ("10.0.0.2",)),
        (Address("n", "", "fd00::2"), ("fd00::2",)),
        (Address("none"), ()),
        (Address("n", "neither", "nor"), ()),
    ],
)
def test_what_docker_chose(address: Address, expected: tuple[str, ...]) -> None:
    assert dealt(address) == expected


def test_versions_are_counted_apart() -> None:
    assert number("10.0.0.2") == (4, 0x0A000002)
    assert number("::2") == (6, 2)
    assert number("") is None


def test_wanted_are_the_dynamic_ones_of_that_network() -> None:
    owners = [
        (Address("n", "10.0.0.2"), Address("m", "10.0.1.2")),
        (Address("n", "10.0.0.3", fixed=True),),
    ]
    assert wanted("n", owners) == {"10.0.0.2"}


@pytest.mark.parametrize(
    ("want", "taken", "new", "count"),
    [
        ([], [], [], 0),
        (four(2, 9), [], [], 2),
        (four(2, 9), four(2, 3), four(2, 3), 1),
        (four(2, 9), four(2, 9), four(2, 9), 0),
        (four(2, 9), four(2, 9), [], 0),
        # Docker passed .5 over, so it is outside of the pool.
        (four(5, 9), four(6, 7), four(6, 7), 1),
        (four(5), four(6), four(6), 0),
        # .5 was given back after the others had been taken.
        (four(5), four(6), [], 1),
        ([*four(2), "fd00::2", "fd00::3"], [], [], 2),
        ([*four(9), "fd00::2"], [*four(2), "fd00::2"], [*four(2), "fd00::2"], 1),
    ],
)
def test_how_many_placeholders_are_missing(
    want: list[str], taken: list[str], new: list[str], count: int
) -> None:
    assert missing(want, taken, new) == count


HELD = {
    "p2": Endpoint("10.0.0.2", "fd00::2"),
    "p3": Endpoint("10.0.0.3", "fd00::3"),
    "p4": Endpoint("10.0.0.4", "fd00::5"),
    "p5": Endpoint("10.0.0.5", "fd00::4"),
}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address("n", "10.0.0.3", "fd00::3"), ("p3",)),
        (Address("n", "10.0.0.3"), ("p3",)),
        (Address("n", "", "fd00::3"), ("p3",)),
        (Address("n", "10.0.0.9"), ()),
        (Address("n"), ()),
        # Both go, and each gives away a higher address besides.
        (Address("n", "10.0.0.4", "fd00::4"), ("p4", "p5")),
        # The other one would give away 10.0.0.2, and that would be allotted.
        (Address("n", "10.0.0.3", "fd00::2"), ("p3",)),
        (Address("n", "10.0.0.2", "fd00::3"), ("p2",)),
        (Address("n", "10.0.0.3", "fd00::2", fixed=True), ("p3", "p2")),
    ],
)
def test_whose_turn_frees_which_placeholders(address: Address, expected: tuple[str, ...]) -> None:
    assert holders(address, HELD) == expected


def lost(containers: list[Container], *carried: str) -> dict[str, str]:
    found = kept(containers, set(carried))
    assert all(p.kept == (not p.why) for p in found)
    assert {p.container for p in found} <= set(carried)
    return {p.container: p.why for p in found if not p.kept}


def test_addresses_are_kept_when_everything_is_carried() -> None:
    both = [box("a", 2), box("b", 7)]
    assert kept(both, {"a", "b"}) == (Prospect("a", "n", True), Prospect("b", "n", True))


def test_containers_without_a_dynamic_address_have_no_prospect() -> None:
    assert kept([box("a", 2, fixed=True), box("b")], {"a", "b"}) == ()


@pytest.mark.parametrize(
    ("skipped", "carried", "gone"),
    [
        # It has the lowest address, and will have it again.
        ([box("s", 2, policy="always")], [box("a", 3)], set()),
        # It takes the lowest, which was another's.
        ([box("s", 3, policy="always")], [box("a", 2), box("b", 4)], {"a"}),
        ([box("s", 3, policy="no")], [box("a", 2)], set()),
        ([box("s", 3, policy="on-failure")], [box("a", 2)], {"a"}),
        # .2 is free, and there is room for it below.
        ([box("s", 9, policy="always"), box("f", 2)], [box("a", 3)], set()),
        # A fixed one stays where it is and takes nobody's.
        ([box("s", 9, policy="always", fixed=True)], [box("a", 2)], set()),
        # The two dynamic ones take .2 and .4: .3 is fixed.
        (
            [
                box("f", 3, policy="always", fixed=True),
                box("s", 2, policy="always"),
                box("t", 5, policy="always"),
            ],
            [box("a", 4), box("b", 6)],
            {"a"},
        ),
    ],
)
def test_what_comes_up_first_takes_the_lowest(
    skipped: list[Container], carried: list[Container], gone: set[str]
) -> None:
    assert set(lost(skipped + carried, *(c.id for c in carried))) == gone


def test_the_taker_is_named() -> None:
    why = lost([box("s", 3, policy="always"), box("a", 2)], "a")["a"]
    assert why == "s is skipped, is started by Docker first, and may take it"


def test_a_container_that_removes_itself_takes_nothing() -> None:
    gone = Container("s", "s", auto_remove=True, addresses=(Address("n", "10.0.0.3"),))
    assert lost([gone, box("a", 2)], "a") == {}


def test_other_networks_do_not_matter() -> None:
    other = Container(
        "s", "s", restart_policy=RestartPolicy("always"), addresses=(Address("m", "10.0.0.3"),)
    )
    assert lost([other, box("a", 2)], "a") == {}


def test_too_high_an_address_is_not_kept() -> None:
    last = 2 + MOST_PLACEHOLDERS - 1
    why = lost([box("low", 2), box("at", last), box("above", last + 1)], "low", "at", "above")
    assert why == {"above": "more than 64 lower addresses would have to be held"}


def test_ipv6_can_be_lost_alone() -> None:
    both = Container("a", "a", addresses=(Address("n", "10.0.0.3", "fd00::2"),))
    first = Container(
        "s",
        "s",
        restart_policy=RestartPolicy("always"),
        addresses=(Address("n", "10.0.0.2", "fd00::3"),),
    )
    assert set(lost([both, first], "a")) == {"a"}


def test_ipv6_that_was_dealt_out_in_another_order_may_change() -> None:
    boxes = [
        Container(name, name, addresses=(Address("n", f"10.0.0.{four}", f"fd00::{six}"),))
        for name, four, six in (("a", 2, 3), ("b", 3, 2), ("c", 4, 4))
    ]
    assert set(lost(boxes, "a", "b", "c")) == {"a", "b"}


POOL = Pool("10.0.1.0/24", reserved=("10.0.1.1",))
SIX = Pool("fd00:9::/64", reserved=("fd00:9::1",))


@pytest.mark.parametrize(
    ("pools", "version", "taken", "free"),
    [
        ((POOL,), 4, (), "10.0.1.2"),
        ((POOL,), 4, ("10.0.1.2", "10.0.1.4"), "10.0.1.3"),
        ((POOL, SIX), 6, ("fd00:9::2", "10.0.1.2"), "fd00:9::3"),
        ((POOL,), 6, (), ""),
        ((), 4, (), ""),
        ((Pool("10.0.1.0/24"),), 4, (), "10.0.1.1"),
        ((Pool("10.0.1.0/24", "10.0.1.128/25", ("10.0.1.1",)),), 4, (), "10.0.1.128"),
        ((Pool("10.0.1.0/30"), POOL), 4, ("10.0.1.1", "10.0.1.2"), "10.0.1.4"),
        ((Pool("nonsense"), POOL), 4, ("nonsense",), "10.0.1.2"),
        ((Pool("10.0.1.0/31"),), 4, (), ""),
    ],
)
def test_the_next_free_address(
    pools: tuple[Pool, ...], version: int, taken: tuple[str, ...], free: str
) -> None:
    assert next_free(pools, version, taken) == free
