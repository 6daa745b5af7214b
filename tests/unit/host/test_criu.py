from collections.abc import Sequence
from pathlib import Path

import pytest

from drainer.host.criu import Criu, options, parse_check, parse_options, parse_version, probe
from drainer.host.run import Result


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("Version: 4.1.1\n", "4.1.1"),
        ("Version: 3.17.1\nGitID: v3.17.1-12-gabc\n", "3.17.1"),
        ("Warn: odd\nVersion: 4.2\n", "4.2"),
        ("", ""),
    ],
)
def test_version(output: str, version: str) -> None:
    assert parse_version(output) == version


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (Result(0, "Looks good.\n"), ""),
        (
            Result(
                1,
                "Warn  (criu/cr-check.c:1346): Nftables\n"
                "Looks good but some kernel features are missing\n"
                "which, depending on your process tree, may cause\ndump or restore failure.\n",
            ),
            "",
        ),
        (
            Result(
                1,
                "Does not look good.\n",
                "Error (criu/cr-check.c:1): first\nError (criu/x.c:2): \x1b[31mlast\nWarn: x\n",
            ),
            "Error (criu/x.c:2): \\x1b[31mlast",
        ),
        (Result(1, "Does not look good.\n"), "Does not look good."),
        (Result(2), "exit status 2"),
        (Result(124, "", "no answer within 60 s"), ""),
    ],
)
def test_check(result: Result, problem: str) -> None:
    assert parse_check(result) == problem


def test_options_are_names_without_values() -> None:
    text = "# all\ntcp-close\n\n  ghost-limit 512M # enough\nlog-file=/var/log/x\ntcp-close\n#off\n"
    assert parse_options(text) == ("tcp-close", "ghost-limit", "log-file")


def test_a_configuration_that_is_not_there_sets_nothing(tmp_path: Path) -> None:
    assert options(tmp_path / "runc.conf") == ()
    (tmp_path / "runc.conf").write_bytes(b"tcp-close\n\xff\n")
    assert options(tmp_path / "runc.conf")[0] == "tcp-close"


def test_probe_asks_the_first_criu_of_the_path(tmp_path: Path) -> None:
    program = tmp_path / "criu"
    program.touch(0o755)
    asked: list[tuple[str, ...]] = []

    def runner(arguments: Sequence[str], timeout: float) -> Result:
        assert timeout == 60
        assert arguments[0] == str(program)
        asked.append(tuple(arguments[1:]))
        if arguments[-1] == "--version":
            return Result(0, "Version: 4.1.1\n")
        return Result(1 if arguments[-1] == "seccomp_suspend" else 0)

    found = probe(f"/nonexistent:{tmp_path}", runner)
    assert found == Criu("4.1.1", "", ("seccomp_filters", "mem_dirty_track"))
    assert asked[:2] == [("--version",), ("check",)]


def test_without_criu_nothing_is_run() -> None:
    def runner(arguments: Sequence[str], timeout: float) -> Result:
        pytest.fail(f"{arguments} {timeout}")

    assert probe("/nonexistent", runner) == Criu()


def test_of_an_old_criu_the_package_tells_what_the_version_does_not(tmp_path: Path) -> None:
    program = tmp_path / "criu"
    program.touch(0o755)
    answers = {
        "--version": Result(0, "Version: 3.17.1\n"),
        str(program): Result(0, f"criu: {program}\n"),
        "criu": Result(0, "3.17.1-2+deb12u2"),
    }

    def runner(arguments: Sequence[str], timeout: float) -> Result:
        assert timeout == 60
        return answers.get(arguments[-1], Result(0))

    assert probe(str(tmp_path), runner).package == "3.17.1-2+deb12u2"
    answers[str(program)] = Result(1, "", "no path found")
    assert probe(str(tmp_path), runner).package == ""
    answers[str(program)] = Result(0, "diversion by x from: /usr/sbin/criu\n")
    assert probe(str(tmp_path), runner).package == ""
