"""Hosts and Dockers that are not the ones that a manifest was made on."""

from dataclasses import replace

import pytest

from drainer.engine.fake import FakeEngine
from drainer.errors import HostIncompatibleError
from drainer.manifest import State
from tests.unit.world import World, entry_of


def test_another_architecture_or_cgroup_version_is_found_before_the_first_restore(
    world: World,
) -> None:
    world.add("web", "always")
    world.drain()
    world.host.host_facts = replace(world.host.host_facts, cgroup_version=1)
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.STARTED_COLD
    assert entry.detail == "the host's cgroup version was 2 at the drain and is 1"


def test_lost_instructions_are_found_before_the_first_restore(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.host.host_facts = replace(world.host.host_facts, cpu_features=("avx2", "gfni", "pni"))
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.STARTED_COLD
    assert entry.detail == "the CPU has lost instructions that programs may use: rtm"


@pytest.mark.parametrize("features", [("avx2", "gfni", "pni", "rtm"), ()])
def test_new_or_unknown_instructions_hinder_nothing(
    world: World, features: tuple[str, ...]
) -> None:
    world.add("web", "always")
    world.drain()
    world.host.host_facts = replace(world.host.host_facts, cpu_features=features)
    assert entry_of(world.resume(), "web").state is State.RESTORED


@pytest.mark.parametrize("other", [("another", "overlay2"), ("", "btrfs")])
@pytest.mark.parametrize("command", ["resume", "drain"])
def test_a_docker_that_has_lost_its_disk_costs_nothing(
    world: World, other: tuple[str, str], command: str
) -> None:
    world.add("web", "always")
    before = world.drain()
    world.reboot()
    had = world.engine
    facts = replace(had.facts(), daemon_id=other[0], storage=other[1])
    world.engine = world.host.engine = world.runtime.engine = FakeEngine(facts)
    with pytest.raises(HostIncompatibleError, match="none of the 1 containers"):
        getattr(world, command)()
    assert world.file.read() == before
    world.engine = world.host.engine = world.runtime.engine = had
    assert entry_of(world.resume(), "web").state is State.RESTORED
    world.check_promise()


def test_one_container_proves_that_it_is_the_same_docker(world: World) -> None:
    world.add("web", "always")
    gone = world.add("gone", "always")
    world.drain()
    world.engine.remove(gone.id)
    world.engine.change_facts(replace(world.engine.facts(), daemon_id="renamed"))
    manifest = world.resume()
    assert entry_of(manifest, "web").state is State.RESTORED
    assert entry_of(manifest, "gone").state is State.GONE


def test_all_may_be_removed_from_the_same_docker(world: World) -> None:
    gone = world.add("gone", "always")
    world.drain()
    world.engine.remove(gone.id)
    assert entry_of(world.resume(), "gone").state is State.GONE
