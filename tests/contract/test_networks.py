"""Networks, addresses and ports, on the fake engine and on Docker."""

import pytest

from drainer.errors import EngineError

from .harness import IMAGE, Harness

pytestmark = pytest.mark.timeout(900)


def address_of(harness: Harness, container: str) -> str:
    return harness.engine.inspect(container).addresses[0].ipv4


def test_a_network_shows_what_its_containers_have(harness: Harness) -> None:
    container = harness.create()
    seen = harness.engine.inspect(container).addresses[0]
    end = harness.engine.network(seen.network)[container]
    assert end.ipv4
    assert (end.ipv4, end.ipv6, end.mac) == (seen.ipv4, seen.ipv6, seen.mac)
    harness.engine.kill(container)
    assert container not in harness.engine.network(seen.network)


def test_a_network_that_is_gone_lets_nothing_start_nor_does_its_namesake(harness: Harness) -> None:
    container = harness.create_alone()
    (member,) = harness.engine.inspect(container).networks
    name, identity = member.network, member.id
    assert harness.engine.networks()[identity] == name
    harness.engine.kill(container)
    harness.remove_network(name)
    assert harness.engine.inspect(container).networks == (member,)
    assert identity not in harness.engine.networks()
    with pytest.raises(EngineError, match=f"network {identity} not found"):
        harness.engine.start(container, harness.patience)
    harness.create_network(name)
    assert name in harness.engine.networks().values()
    with pytest.raises(EngineError, match=f"network {identity} not found"):
        harness.engine.start(container, harness.patience)
    harness.connect(name, container)
    harness.engine.start(container, harness.patience)
    assert harness.engine.inspect(container).running


def test_a_port_that_another_has_lets_nothing_start(harness: Harness) -> None:
    container = harness.create_published()
    ports = harness.engine.inspect(container).ports
    port = next(p for p in ports if ":" not in p.address)
    harness.engine.kill(container)
    assert not harness.host.port_obstacles(ports)
    with harness.taken(port):
        assert "is taken by " in harness.host.port_obstacles(ports)[port]
        with pytest.raises(EngineError, match="address already in use"):
            harness.engine.start(container, harness.patience)
    assert not harness.engine.inspect(container).running


def test_the_lowest_free_address_is_dealt_out(harness: Harness) -> None:
    first, second, third = harness.create(), harness.create(), harness.create()
    had = [address_of(harness, container) for container in (first, second, third)]
    for container in (third, first, second):
        harness.engine.kill(container)
        assert not address_of(harness, container)
    for container in (third, second, first):
        harness.engine.start(container, harness.patience)
    assert [address_of(harness, container) for container in (third, second, first)] == had


def test_placeholders_are_listed_until_they_are_removed(harness: Harness) -> None:
    engine = harness.engine
    harness.create()
    made = engine.create_placeholder(IMAGE, "bridge", "drainer-placeholder-contract")
    try:
        assert engine.placeholders() == (made,)
        assert not engine.inspect(made).running
        assert engine.inspect(made).restart_policy.held
    finally:
        engine.remove(made)
    assert engine.placeholders() == ()
    engine.remove(made)


def test_without_its_image_there_is_no_placeholder(harness: Harness) -> None:
    with pytest.raises(EngineError, match=r"(?i)no such image"):
        harness.engine.create_placeholder("lab/none", "bridge", "drainer-placeholder-none")
