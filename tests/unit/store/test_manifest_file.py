import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from drainer.errors import DrainerError, ManifestInvalidError, NoManifestError
from drainer.manifest import Entry, State
from drainer.model import RestartPolicy
from drainer.store import codec
from drainer.store.files import Os, StateDirectory
from drainer.store.manifest_file import DETAIL, ManifestFile, Record
from tests.unit.store.samples import A, B, sample

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class FullDisk(Os):
    full = False

    def write(self, fd: int, data: memoryview) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(fd, data)


def test_there_is_none_at_first(directory: StateDirectory) -> None:
    file = ManifestFile(directory)
    assert not file.exists
    with pytest.raises(NoManifestError) as caught:
        file.read()
    assert caught.value.hint


def test_what_was_written_is_read(directory: StateDirectory) -> None:
    file = ManifestFile(directory)
    file.write(sample())
    assert file.exists
    assert file.read() == sample()


def test_a_damaged_one_is_named_by_its_path(directory: StateDirectory) -> None:
    file = ManifestFile(directory)
    directory.write("manifest.yaml", b"version: 1\n")
    with pytest.raises(ManifestInvalidError, match=f"^{directory.path}/manifest.yaml: "):
        file.read()


def test_an_update_is_on_disk_when_it_returns(directory: StateDirectory) -> None:
    file = ManifestFile(directory)
    file.write(sample())
    east = timezone(timedelta(hours=9))
    record = Record(file, sample(), clock=lambda: NOON.astimezone(east))
    changed = record.update(A, state=State.RESTORING, detail="now")
    assert changed.state is State.RESTORING
    assert changed.detail == "now"
    assert changed.times == {
        **sample().entries[0].times,
        "restoring": "2026-11-24T12:00:00.000+00:00",
    }
    assert record.entry(A) == changed
    assert file.read() == record.manifest
    assert record.manifest == replace(sample(), entries=(changed, sample().entries[1]))


def test_without_a_new_state_no_time_is_stamped(directory: StateDirectory) -> None:
    record = Record(ManifestFile(directory), sample())
    assert record.update(B, size=7) == replace(sample().entries[1], size=7)


def test_changes_of_several_entries_are_one_write(directory: StateDirectory) -> None:
    file = ManifestFile(directory)
    file.write(sample())
    record = Record(file, sample())
    record.update_all({A: {"files_checked": "x", "detail": "now"}, "nobody": {"size": 1}})
    first, second = sample().entries
    assert record.manifest.entries == (replace(first, files_checked="x", detail="now"), second)
    assert file.read() == record.manifest


def test_a_detail_of_any_length_can_be_written(directory: StateDirectory) -> None:
    record = Record(ManifestFile(directory), sample())
    entry = record.update(A, detail="x" * (codec.LIMIT + 1))
    assert len(entry.detail) == DETAIL
    assert record.update(A, state=State.RESTORING).detail == entry.detail


def test_finishing(directory: StateDirectory) -> None:
    file = ManifestFile(directory)
    record = Record(file, sample(), clock=lambda: NOON)
    assert record.manifest.pending
    assert not record.finish().pending
    assert file.read().finished == "2026-11-24T12:00:00.000+00:00"


@pytest.mark.parametrize("act", ["update", "update_all", "finish"])
def test_after_a_failed_write_nothing_has_changed(tmp_path: Path, act: str) -> None:
    disk = FullDisk()
    directory = StateDirectory(tmp_path / "state", uid=os.geteuid(), calls=disk)
    file = ManifestFile(directory)
    file.write(sample())
    record = Record(file, sample())
    disk.full = True
    acts: dict[str, Callable[[], object]] = {
        "update": lambda: record.update(A, state=State.RESTORING),
        "update_all": lambda: record.update_all({A: {"files_checked": "x"}}),
        "finish": record.finish,
    }
    with pytest.raises(DrainerError, match="ENOSPC"):
        acts[act]()
    assert record.manifest == sample()
    assert file.read() == sample()
    disk.full = False
    record.update(A, state=State.RESTORING)
    assert file.read().entries[0].state is State.RESTORING
    directory.close()


def test_unknown_ids_and_fields_are_errors_of_the_caller(directory: StateDirectory) -> None:
    record = Record(ManifestFile(directory), sample())
    with pytest.raises(KeyError):
        record.update("c" * 64, state=State.LEFT)
    with pytest.raises(TypeError):
        record.update(A, colour="blue")
    assert record.manifest == sample()


def test_updates_from_many_threads_are_all_kept(directory: StateDirectory) -> None:
    ids = [f"{number:064x}" for number in range(8)]
    entries = tuple(Entry(i, "n", "i", State.PLANNED, RestartPolicy()) for i in ids)
    file = ManifestFile(directory)
    record = Record(file, replace(sample(), entries=entries))

    def work(entry_id: str) -> None:
        for state in (State.HELD, State.DUMPING, State.DUMPED, State.STOPPED):
            record.update(entry_id, state=state)

    threads = [threading.Thread(target=work, args=(i,)) for i in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = file.read()
    assert read == record.manifest
    assert all(e.state is State.STOPPED and len(e.times) == 4 for e in read.entries)
