import hashlib
import json
import os
from pathlib import Path

import pytest

from drainer.errors import CheckpointInvalidError, StorageError
from drainer.evidence import Evidence, FileNote
from drainer.store import evidence_file
from drainer.store.files import StateDirectory
from tests.unit.store.samples import A, B

EVIDENCE = Evidence(
    {"pages-1.img": "f" * 64, "core-1.img": ""},
    (FileNote("/v/a \udcff\n'\"", 2**63, 2**40, -1), FileNote("/layer/none")),
)
NAME = f"evidence-{A}.json"


def test_what_was_written_is_read(directory: StateDirectory) -> None:
    digest = evidence_file.write(directory, A, EVIDENCE)
    assert evidence_file.read(directory, A, digest) == EVIDENCE
    assert (directory.path / NAME).stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256((directory.path / NAME).read_bytes()).hexdigest() == digest


def test_an_earlier_drainer_compares_none_of_its_checksums(directory: StateDirectory) -> None:
    evidence_file.write(directory, A, EVIDENCE)
    fields = json.loads((directory.path / NAME).read_bytes())
    assert fields["images"] == {"pages-1.img": "", "core-1.img": ""}


def test_what_an_earlier_drainer_noted_is_read(directory: StateDirectory) -> None:
    data = json.dumps({"images": {"pages-1.img": "f" * 64}, "files": []}).encode()
    directory.write(NAME, data)
    found = evidence_file.read(directory, A, hashlib.sha256(data).hexdigest())
    assert found.images == {"pages-1.img": "f" * 64}


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d.replace(b"core", b"cord")])
def test_anything_else_than_what_was_written_is_refused(
    directory: StateDirectory, change: object
) -> None:
    digest = evidence_file.write(directory, A, EVIDENCE)
    path = directory.path / NAME
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(CheckpointInvalidError, match=r"does not fit its digest"):
        evidence_file.read(directory, A, digest)


def test_the_evidence_of_another_checkpoint_is_refused(directory: StateDirectory) -> None:
    digest = evidence_file.write(directory, A, EVIDENCE)
    evidence_file.write(directory, A, Evidence({}))
    with pytest.raises(CheckpointInvalidError, match=r"does not fit its digest"):
        evidence_file.read(directory, A, digest)


def test_missing_evidence_is_named(directory: StateDirectory) -> None:
    with pytest.raises(CheckpointInvalidError, match=f"{NAME}: missing"):
        evidence_file.read(directory, A, "0" * 64)


def test_a_link_is_refused(directory: StateDirectory) -> None:
    digest = evidence_file.write(directory, B, EVIDENCE)
    (directory.path / NAME).symlink_to(directory.path / f"evidence-{B}.json")
    with pytest.raises(CheckpointInvalidError, match=r"symbolic link"):
        evidence_file.read(directory, A, digest)


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"images": [], "files": []}', '{"images": {}, "files": [[]]}', "{", "1"],
)
def test_what_another_drainer_wrote_is_refused(directory: StateDirectory, content: str) -> None:
    directory.write(NAME, content.encode())
    with pytest.raises(CheckpointInvalidError, match=r"another drainer"):
        evidence_file.read(directory, A, hashlib.sha256(content.encode()).hexdigest())


def test_a_note_with_too_many_fields_is_refused(directory: StateDirectory) -> None:
    data = json.dumps({"images": {}, "files": [["/v", 1, 2, 3, 4]]}).encode()
    directory.write(NAME, data)
    with pytest.raises(CheckpointInvalidError, match=r"another drainer"):
        evidence_file.read(directory, A, hashlib.sha256(data).hexdigest())


def test_too_many_names_are_not_written(
    directory: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_file, "LIMIT", 10)
    with pytest.raises(StorageError):
        evidence_file.write(directory, A, EVIDENCE)
    assert directory.names() == ()


def test_only_what_no_manifest_speaks_of_is_pruned(directory: StateDirectory) -> None:
    kept = evidence_file.write(directory, A, EVIDENCE)
    evidence_file.write(directory, B, EVIDENCE)
    directory.write("trials.json", b"{}")
    directory.write("evidence.json", b"{}")
    (directory.path / f".{NAME}.new").write_bytes(b"ha")
    evidence_file.prune(directory, {A})
    assert directory.names() == (NAME, "evidence.json", "trials.json")
    assert evidence_file.read(directory, A, kept) == EVIDENCE


def test_what_cannot_be_pruned_stays(directory: StateDirectory) -> None:
    (directory.path / NAME).mkdir()
    evidence_file.write(directory, B, EVIDENCE)
    evidence_file.prune(directory, ())
    assert directory.names() == (NAME,)


def test_a_directory_that_cannot_be_listed_is_no_obstacle(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state", uid=os.geteuid())
    directory.close()
    evidence_file.prune(directory, ())
