import json
from pathlib import Path

import pytest

from drainer.runtime.bundle import Options, options


def bundle(where: Path, text: str) -> Path:
    (where / "moby" / "abc").mkdir(parents=True)
    (where / "moby" / "abc" / "options.json").write_text(text)
    return where / "moby"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"binary_name": "runc", "root": "/r"}, Options("runc", "/r/moby")),
        ({"binary_name": "/opt/runc", "root": "/var/run/docker/runtime-runc"},
         Options("/opt/runc", "/var/run/docker/runtime-runc/moby")),
        ({"binary_name": "", "root": ""}, Options("runc", "/run/containerd/runc/moby")),
        ({}, Options("runc", "/run/containerd/runc/moby")),
        ({"binary_name": 1}, Options()),
        ({"root": ["/r"]}, Options()),
        ({"binary_name": None}, Options()),
        ([], Options()),
        ("runc", Options()),
        (None, Options()),
    ],
)  # fmt: skip
def test_the_options_are_read_from_the_bundle(
    tmp_path: Path, found: object, expected: Options
) -> None:
    assert options("abc", [bundle(tmp_path, json.dumps(found))]) == expected


@pytest.mark.parametrize("text", ["", "{", "\0", '{"root": "' + "x" * (1 << 16) + '"}'])
def test_what_is_no_json_tells_nothing(tmp_path: Path, text: str) -> None:
    assert options("abc", [bundle(tmp_path, text)]) == Options()


def test_bytes_that_are_no_text_tell_nothing(tmp_path: Path) -> None:
    where = bundle(tmp_path, "")
    (where / "abc" / "options.json").write_bytes(b'{"root": "\xff"}')
    assert options("abc", [where]) == Options()


def test_a_missing_file_or_a_directory_tells_nothing(tmp_path: Path) -> None:
    assert options("abc", [tmp_path]) == Options()
    assert options("abc", []) == Options()
    (tmp_path / "abc" / "options.json").mkdir(parents=True)
    assert options("abc", [tmp_path]) == Options()


def test_no_link_is_followed(tmp_path: Path) -> None:
    where = bundle(tmp_path, "{}")
    (where / "link").mkdir()
    (where / "link" / "options.json").symlink_to(where / "abc" / "options.json")
    assert options("link", [where]) == Options()


def test_the_first_bundle_that_tells_counts(tmp_path: Path) -> None:
    bad = bundle(tmp_path / "bad", "{")
    good = bundle(tmp_path / "good", '{"root": "/other"}')
    assert options("abc", [tmp_path / "none", bad, good]) == Options("runc", "/other/moby")
