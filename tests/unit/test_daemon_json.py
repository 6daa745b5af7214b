import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from drainer.daemon_json import BACKUP_SUFFIX, enable_experimental
from drainer.errors import ConfigInvalidError
from drainer.host.procfs import Proc
from drainer.host.run import MISSING, Result
from drainer.install import Outcome


class Dockerd:
    """dockerd --validate."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.seen = ""

    def __call__(self, arguments: Sequence[str], timeout: float) -> Result:
        assert timeout > 0
        *command, candidate = arguments
        assert command == ["dockerd", "--validate", "--config-file"]
        self.seen = Path(candidate).read_text()
        errors = self.result.errors.replace("%s", candidate)
        return Result(self.result.status, self.result.output, errors)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "daemon.json"


def enable(path: Path, result: Result = Result(0)) -> Outcome:  # noqa: B008 - frozen
    return enable_experimental(path, Proc(path.parent / "no-proc"), Dockerd(result))


def given(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_a_missing_file_is_made(path: Path) -> None:
    outcome = enable(path)
    assert json.loads(path.read_text()) == {"experimental": True}
    assert path.stat().st_mode & 0o777 == 0o644
    assert [(a.what, a.changed) for a in outcome.actions] == [("write", True)]
    assert "restart" in outcome.advice[0]


def test_other_keys_their_order_mode_owner_and_indentation_stay(path: Path) -> None:
    before = '{\n    "z": 1,\n    "data-root": "/srv/dücker",\n    "a": {"b": [1]}\n}\n'
    given(path, before)
    path.chmod(0o640)
    os.chown(path, 12, 34)
    outcome = enable(path)
    after = path.read_text()
    assert list(json.loads(after)) == ["z", "data-root", "a", "experimental"]
    assert '\n    "data-root": "/srv/dücker",\n' in after
    status = path.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 12, 34)
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    assert backup.read_text() == before
    assert [a.what for a in outcome.actions] == ["back up", "write"]
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, backup.name]


def test_what_is_so_already_is_left_alone(path: Path) -> None:
    given(path, '{"experimental":true}')
    outcome = enable(path)
    assert path.read_text() == '{"experimental":true}'
    assert not any(action.changed for action in outcome.actions)
    assert outcome.advice == ()


def test_the_first_backup_is_the_one_that_stays(path: Path) -> None:
    given(path, '{"experimental": false}')
    enable(path)
    given(path, '{"experimental": false, "debug": true}')
    outcome = enable(path)
    assert not outcome.actions[0].changed
    assert path.with_name(path.name + BACKUP_SUFFIX).read_text() == '{"experimental": false}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n  "a": 1,\n}\n', "line 3"),
        ("[]", "not a JSON object"),
        ("{", "line 1"),
    ],
)
def test_invalid_json_is_named_by_its_line(path: Path, text: str, words: str) -> None:
    given(path, text)
    with pytest.raises(ConfigInvalidError, match=words) as caught:
        enable(path)
    assert str(path) in caught.value.message
    assert path.read_text() == text


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    given(path, "")
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ConfigInvalidError, match="UTF-8"):
        enable(path)


def test_an_empty_file_is_an_empty_configuration(path: Path) -> None:
    given(path, "\n")
    enable(path)
    assert json.loads(path.read_text()) == {"experimental": True}


def test_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    given(tmp_path / "real.json", "{}")
    path.parent.mkdir()
    path.symlink_to(tmp_path / "real.json")
    with pytest.raises(ConfigInvalidError, match="symbolic link"):
        enable(path)
    assert (tmp_path / "real.json").read_text() == "{}"


@pytest.mark.parametrize("status", [1, 124])
def test_what_docker_refuses_does_not_take_effect(path: Path, status: int) -> None:
    given(path, '{"odd": 1}')
    with pytest.raises(ConfigInvalidError, match=f"{path}: unknown key") as caught:
        enable(path, Result(status, "", "x\n%s: unknown key\n"))
    assert caught.value.hint
    assert path.read_text() == '{"odd": 1}'
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    "result", [Result(MISSING, "", "no file %s"), Result(125, "", "unknown flag: --validate %s")]
)
def test_without_a_validating_dockerd_it_is_written_all_the_same(
    path: Path, result: Result
) -> None:
    enable(path, result)
    assert json.loads(path.read_text()) == {"experimental": True}


def test_docker_sees_the_new_file_before_it_takes_effect(path: Path) -> None:
    given(path, "{}")
    dockerd = Dockerd(Result(0))
    enable_experimental(path, Proc(path.parent / "no-proc"), dockerd)
    assert json.loads(dockerd.seen) == {"experimental": True}


def test_a_flag_of_the_running_daemon_is_not_repeated_in_the_file(
    path: Path, tmp_path: Path
) -> None:
    process = tmp_path / "proc" / "5"
    process.mkdir(parents=True)
    (process / "stat").write_text("5 (dockerd) S 1 5 5")
    (process / "cmdline").write_text("/usr/bin/dockerd\0--experimental\0")
    given(path, "{}")
    outcome = enable_experimental(path, Proc(tmp_path / "proc"), Dockerd(Result(0)))
    assert path.read_text() == "{}"
    assert "--experimental" in outcome.advice[0]
