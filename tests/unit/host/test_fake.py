import pytest

from drainer.engine.fake import FakeEngine
from drainer.errors import CheckpointInvalidError
from drainer.host.base import Host, checkpoint_directory
from drainer.host.fake import FakeHost
from drainer.model import Container, ProcessFacts


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
