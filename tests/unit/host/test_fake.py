from pathlib import Path

import pytest

from drainer.engine.fake import FakeEngine
from drainer.errors import CheckpointInvalidError, EngineError, RuntimeRefusedError
from drainer.host.base import Host, checkpoint_directory
from drainer.host.fake import FakeHost
from drainer.model import Container, ProcessFacts
from drainer.runtime.base import Place
from drainer.runtime.fake import FakeRuntime
from drainer.storage import FileSystem


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def test_checkpoints_are_the_engines(engine: FakeEngine) -> None:
    host: Host = FakeHost(engine)
    web = engine.add(Container(id="a" * 64, name="web"))
    directory = checkpoint_directory(engine.facts(), web.id, "first")
    with pytest.raises(CheckpointInvalidError):
        host.verify_checkpoint(directory)
    engine.create_checkpoint(web.id, "first", 1)
    assert host.verify_checkpoint(directory) == engine.checkpoint_size(web.id, "first")
    engine.damage_checkpoint(web.id, "first")
    with pytest.raises(CheckpointInvalidError):
        host.verify_checkpoint(directory)


def test_looking_is_no_call_of_the_engine(engine: FakeEngine) -> None:
    host = FakeHost(engine)
    web = engine.add(Container(id="a" * 64, name="web"))
    calls = len(engine.calls)
    assert not host.is_restored(web)
    with pytest.raises(CheckpointInvalidError):
        host.verify_checkpoint(checkpoint_directory(engine.facts(), web.id, "first"))
    assert len(engine.calls) == calls + 1, "facts() alone"


def test_a_reboot_is_another_boot(engine: FakeEngine) -> None:
    host = FakeHost(engine)
    before = host.facts()
    host.shutdown = "reboot"
    assert host.shutting_down() == "reboot"
    host.reboot()
    assert host.shutting_down() == ""
    assert host.facts().boot_id != before.boot_id
    assert host.facts().kernel == before.kernel


def test_what_was_done_is_noted(engine: FakeEngine) -> None:
    host = FakeHost(engine)
    host.process_facts["b"] = ProcessFacts(count=7)
    assert host.processes(Container("b", "b")).count == 7
    assert host.processes(Container("c", "c")).count == 1
    host.flush("/d")
    host.notify("half")
    assert host.remove_restore_copy("/d") == 1
    assert (host.flushed, host.statuses, host.removed) == (["/d"], ["half"], ["/d"])


def test_there_is_one_disk_which_checkpoints_fill(engine: FakeEngine) -> None:
    host = FakeHost(engine)
    runtime = FakeRuntime(engine)
    web = engine.add(Container(id="a" * 64, name="web"), checkpoint_size=10)
    assert host.places(engine.facts(), "/s").docker.free is None
    engine.disk = 25
    engine.create_checkpoint(web.id, "first", 1)
    place = Place(Path("/s/checkpoints/second", web.id))
    runtime.checkpoint(web.id, "", place, (), 1)
    found = host.places(engine.facts(), "/s")
    assert (found.state, found.temporary) == (found.docker, found.content)
    assert (found.docker.free, found.memory) == (5, None)
    with pytest.raises(EngineError, match="no space left"):
        engine.create_checkpoint(web.id, "third", 1)
    assert engine.checkpoints(web.id) == ("first",)
    other = Place(Path("/s/checkpoints/third", web.id))
    with pytest.raises(RuntimeRefusedError, match="No space left"):
        runtime.checkpoint(web.id, "", other, (), 1)
    assert engine.free() == 0
    assert engine.is_damaged(web.id, "third")
    runtime.delete(other)
    assert engine.free() == 5
    host.other_places["temporary"] = FileSystem("0:30", "/tmp", 9, in_memory=True)
    host.memory = 7
    found = host.places(engine.facts(), "/s")
    assert (found.temporary.free, found.content.free, found.memory) == (9, 5, 7)


def test_extensions_of_the_time_limit_are_noted(engine: FakeEngine) -> None:
    host = FakeHost(engine)
    host.notify("one")
    host.notify("two", 5.0)
    assert (host.statuses, host.extensions) == (["one", "two"], [5.0])
