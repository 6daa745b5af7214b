import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from drainer import turns
from drainer.addresses import MOST_PLACEHOLDERS
from drainer.engine.fake import FACTS, Call, FakeEngine
from drainer.errors import EngineError, EngineUnavailableError, StorageError
from drainer.manifest import Entry, State
from drainer.model import Container, RestartPolicy
from drainer.networks import Address
from drainer.placeholders import AddressKeeper


class Host:
    """A Docker with containers that are down, and what is laid out for the stand-in."""

    def __init__(self) -> None:
        self.engine = FakeEngine(FACTS, delay=self.look)
        self.entries: list[Entry] = []
        self.laid_out: set[str] = set()
        self.unknown: list[str] = []
        """Placeholders that were started or removed though the stand-in knew nothing of them."""

    def look(self, call: Call) -> None:
        if call.method in {"start", "remove"} and call.container not in self.laid_out:
            self.unknown.append(call.container)

    def add(self, name: str, *addresses: Address, image: str = "lab/busybox") -> Entry:
        container = self.engine.add(Container(name, name, image=image, addresses=addresses))
        entry = Entry(
            name, name, image, State.STOPPED, RestartPolicy(), addresses=container.addresses
        )
        self.entries.append(entry)
        return entry

    def go_down(self) -> None:
        for entry in self.entries:
            self.engine.kill(entry.id)
        self.engine.calls.clear()

    def keeper(self, **options: Callable[[], bool]) -> AddressKeeper:
        return AddressKeeper(
            self.engine, self.laid_out.add, self.laid_out.remove, self.entries, **options
        )

    def start(self, keeper: AddressKeeper, entry: Entry) -> None:
        with keeper.turn(entry):
            self.laid_out.add(entry.id)  # as for a restore
            self.engine.start(entry.id, 1)
            self.laid_out.remove(entry.id)

    def changed(self) -> list[str]:
        now = {e.name: self.engine.change(e.id).addresses for e in self.entries}
        return [e.name for e in self.entries if now[e.name] != e.addresses]

    def check_clean(self) -> None:
        assert self.engine.placeholders() == ()
        assert self.laid_out == set()
        assert self.unknown == []


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    assert not [t.name for t in threading.enumerate() if t.name.startswith("placeholder")]


def at(last: int, network: str = "n", *, fixed: bool = False) -> Address:
    third = {"n": 1, "m": 2}[network]
    return Address(network, f"10.0.{third}.{last}", fixed=fixed)


def shuffled(entries: list[Entry], seed: int) -> list[Entry]:
    return random.Random(seed).sample(entries, len(entries))  # noqa: S311 - no secret


def test_without_placeholders_the_addresses_change(host: Host) -> None:
    for entry in (first := host.add("a", at(2)), second := host.add("b", at(3))):
        host.engine.kill(entry.id)
    for entry in (second, first):
        host.engine.start(entry.id, 1)
    assert host.changed() == ["a", "b"]


@pytest.mark.parametrize("seed", range(8))
def test_addresses_are_kept_in_whatever_order(host: Host, seed: int) -> None:
    host.add("a", at(2))
    host.add("b", at(9))
    host.add("c", at(5, fixed=True))
    host.add("d", at(4), at(3, "m"))
    host.add("e", at(2, "m"), at(3))
    host.add("f")
    host.go_down()
    order = shuffled(host.entries, seed)
    keeper = host.keeper()
    keeper.prepare()
    for entry in order:
        host.start(keeper, entry)
    keeper.finish()
    assert host.changed() == []
    assert keeper.failures == ()
    host.check_clean()


@pytest.mark.parametrize("seed", range(4))
def test_side_by_side(host: Host, seed: int) -> None:
    for number in range(2, 12):
        host.add(f"c{number}", at(number), at(13 - number, "m"))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    order = shuffled(host.entries, seed)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda entry: host.start(keeper, entry), order))
    keeper.finish()
    assert host.changed() == []
    assert keeper.failures == ()
    host.check_clean()


@pytest.mark.parametrize("seed", range(4))
def test_both_versions_are_kept(host: Host, seed: int) -> None:
    for number in (2, 3, 6):
        host.add(f"c{number}", Address("n", f"10.0.1.{number}", f"fd00::{number}"))
    host.add("fixed", Address("n", "10.0.1.4", "fd00::4", fixed=True))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    for entry in shuffled(host.entries, seed):
        host.start(keeper, entry)
    keeper.finish()
    assert host.changed() == []
    assert keeper.failures == ()
    host.check_clean()


@pytest.mark.parametrize("seed", range(4))
def test_ipv4_is_kept_though_ipv6_was_dealt_out_in_another_order(host: Host, seed: int) -> None:
    host.add("a", Address("n", "10.0.1.2", "fd00::3"))
    host.add("b", Address("n", "10.0.1.3", "fd00::2"))
    host.add("c", Address("n", "10.0.1.4", "fd00::4"))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    for entry in shuffled(host.entries, seed):
        host.start(keeper, entry)
    keeper.finish()
    now = [host.engine.change(e.id).addresses[0].ipv4 for e in host.entries]
    assert now == ["10.0.1.2", "10.0.1.3", "10.0.1.4"]
    host.check_clean()


def test_what_was_freed_besides_is_held_again(host: Host) -> None:
    both = host.add("a", Address("n", "10.0.1.4", "fd00::2", fixed=True))
    last = host.add("b", at(6))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    for entry in (both, last):
        host.start(keeper, entry)
    keeper.finish()
    assert host.engine.change("b").addresses[0].ipv4 == "10.0.1.6"
    host.check_clean()


def test_the_address_of_a_failed_start_is_held_again(host: Host) -> None:
    first, second = host.add("a", at(2)), host.add("b", at(3))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    host.engine.script("start", "a", error=EngineError("criu failed"))
    with pytest.raises(EngineError, match="criu failed"):
        host.start(keeper, first)
    host.laid_out.discard("a")
    host.start(keeper, second)
    host.start(keeper, first)
    keeper.finish()
    assert host.changed() == []
    host.check_clean()


def test_others_need_not_wait_for_the_end_of_a_start(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "POLL", 0.01)
    slow, quick = host.add("a", at(2)), host.add("b", at(3))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    with keeper.turn(slow):
        host.laid_out.add(slow.id)
        host.engine.start(slow.id, 1)
        other = threading.Thread(target=host.start, args=(keeper, quick))
        other.start()
        other.join(10)
        assert not other.is_alive()
    host.laid_out.remove(slow.id)
    keeper.finish()
    assert host.changed() == []


def test_others_wait_until_the_addresses_are_allotted(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "POLL", 0.01)
    first, second = host.add("a", at(2)), host.add("b", at(3))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    other = threading.Thread(target=host.start, args=(keeper, second))
    with keeper.turn(first):
        other.start()
        other.join(0.1)
        assert other.is_alive()
    other.join(10)
    host.start(keeper, first)
    keeper.finish()
    assert host.changed() == []


def test_a_start_that_is_never_allotted_anything_holds_nobody_up(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "POLL", 0.01)
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    first, second = host.add("a", at(2)), host.add("b", at(3))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    other = threading.Thread(target=host.start, args=(keeper, second))
    with keeper.turn(first):
        other.start()
        other.join(10)
        assert not other.is_alive()
    keeper.finish()


def test_in_the_order_of_the_addresses_nothing_has_to_be_held(host: Host) -> None:
    for number in range(2, 9):
        host.add(f"c{number}", at(number), at(number, "m"))
    host.add("gap", at(10))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    for entry in host.entries:
        host.start(keeper, entry)
    made = [c for c in host.engine.calls if c.method == "create_placeholder"]
    assert len(made) == 2
    keeper.finish()
    assert host.changed() == []
    host.check_clean()


def test_what_an_earlier_run_left_is_removed(host: Host) -> None:
    host.add("a", at(2))
    host.go_down()
    host.engine.create_placeholder("lab/busybox", "n", "drainer-placeholder-1")
    keeper = host.keeper()
    keeper.prepare()
    assert host.engine.placeholders() == ()
    keeper.finish()
    host.check_clean()


def test_a_container_that_only_has_the_label_is_left_alone(host: Host) -> None:
    host.engine.add(Container("x", "mine", labels={"drainer.placeholder": "true"}))
    host.keeper().finish()
    assert host.engine.change("x").running


def test_without_dynamic_addresses_nothing_is_started(host: Host) -> None:
    entry = host.add("a", at(2, fixed=True))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    host.start(keeper, entry)
    keeper.finish()
    assert {c.method for c in host.engine.calls} == {"placeholders", "start"}


def test_an_address_that_a_stranger_has_is_told(host: Host) -> None:
    host.add("a", at(2))
    host.go_down()
    host.engine.add(Container("stranger", "stranger", addresses=(at(2),)))
    keeper = host.keeper()
    keeper.prepare()
    assert keeper.failures == ("10.0.1.2 on n is taken by container stranger",)
    assert host.engine.placeholders() == ()


def test_who_has_lost_its_address_takes_nobody_else_s(host: Host) -> None:
    for number in range(2, 7):
        host.add(f"c{number}", at(number))
    host.go_down()
    host.engine.add(Container("stranger", "stranger", addresses=(at(2),)))
    keeper = host.keeper()
    keeper.prepare()
    for entry in host.entries:
        host.start(keeper, entry)
    keeper.finish()
    assert host.changed() == ["c2"]
    host.check_clean()


def test_there_is_a_most_of_placeholders(host: Host) -> None:
    low, high = host.add("low", at(2)), host.add("high", at(MOST_PLACEHOLDERS + 4))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    host.start(keeper, high)
    assert len(host.engine.placeholders()) == MOST_PLACEHOLDERS
    assert keeper.failures == ("not every address on n could be held: 64 are not enough",)
    host.start(keeper, low)
    assert host.changed() == ["high"]
    keeper.finish()
    host.check_clean()


def test_no_placeholder_is_started_when_there_is_no_time(host: Host) -> None:
    entry = host.add("a", at(3))
    host.go_down()
    keeper = host.keeper(stop=lambda: True)
    keeper.prepare()
    host.start(keeper, entry)
    assert host.engine.placeholders() == ()
    assert keeper.failures == ("not every address on n could be held: no time was left",)


def test_placeholders_that_are_given_nothing_are_not_started_for_ever(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = host.add("a", at(3))
    host.go_down()
    monkeypatch.setattr(host.engine, "network", lambda _name: {})
    monkeypatch.setattr(turns, "PATIENCE", 0.0)
    keeper = host.keeper()
    keeper.prepare()
    host.start(keeper, entry)
    made = [c for c in host.engine.calls if c.method == "create_placeholder"]
    assert len(made) in {1, 2}
    keeper.finish()
    host.check_clean()


def test_another_image_is_taken_when_one_is_gone(host: Host) -> None:
    host.add("a", at(2), image="gone")
    entry = host.add("b", at(3), image="there")
    host.go_down()
    host.engine.change("a", image="sha256:0")
    keeper = host.keeper()
    keeper.prepare()
    host.start(keeper, entry)
    assert len(host.engine.placeholders()) == 1
    assert keeper.failures == ()


METHODS = ("placeholders", "network", "pools", "create_placeholder", "start", "remove")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("effect", [False, True])
def test_no_failure_stops_a_restore(host: Host, method: str, nth: int, effect: bool) -> None:
    for number in (2, 3):
        host.add(f"c{number}", at(number), at(5 - number, "m"))
    host.go_down()
    error = EngineUnavailableError("Docker does not answer")
    keeper = host.keeper()
    host.engine.script(method, nth=nth, error=error, takes_effect=effect)
    keeper.prepare()
    for entry in (*reversed(host.entries), *host.entries):
        if not host.engine.change(entry.id).running:
            with suppress(EngineUnavailableError):
                host.start(keeper, entry)
            host.laid_out.discard(entry.id)
    keeper.finish()
    host.keeper().finish()
    assert all(host.engine.change(e.id).running for e in host.entries)
    assert host.engine.placeholders() == ()
    assert all("Docker does not answer" in sentence for sentence in keeper.failures)


def test_a_docker_that_is_down_is_told_and_nothing_else(host: Host) -> None:
    entry = host.add("a", at(2))
    host.go_down()
    keeper = host.keeper()
    keeper.prepare()
    host.engine.down = True
    with keeper.turn(entry):
        pass
    keeper.finish()
    assert keeper.failures


def test_what_the_stand_in_is_not_told_is_never_started(host: Host) -> None:
    entry = host.add("a", at(3))
    host.go_down()

    def refuse(_identity: str) -> None:
        raise StorageError("the disk is full")

    keeper = AddressKeeper(host.engine, refuse, refuse, host.entries)
    keeper.prepare()
    host.start(keeper, entry)
    assert {c.container for c in host.engine.calls if c.method == "start"} == {"a"}
    assert keeper.failures[0] == "an address on n could not be held: the disk is full"
