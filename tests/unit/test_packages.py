"""What packages bring beside drainer: pinned packages, manual pages, completions."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from tests.unit.test_docs import COMMANDS, declared

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".packages"


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import modules that are beside no package."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    yield import_module
    for name in ("completion", "manual"):
        sys.modules.pop(name, None)


@pytest.fixture
def completion(beside: Callable[[str], ModuleType]) -> ModuleType:
    return beside("completion")


@pytest.fixture
def manual(beside: Callable[[str], ModuleType]) -> ModuleType:
    return beside("manual")


def pins(path: Path) -> dict[str, str]:
    """Return each package's lines in a lock, by its name."""
    text = path.read_text()
    found = re.finditer(r"^(\S+?)==(?:.*\n)(?: {4}.*\n?)*", text, re.MULTILINE)
    return {match[1].lower(): match[0] for match in found}


def needed() -> set[str]:
    """Return what drainer needs, and what that needs, on the Pythons that it runs with."""
    todo, seen = ["drainer"], set()
    while todo:
        name = todo.pop()
        for line in requires(name) or [] if name != "drainer" else own():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is not None and not marker.evaluate({"extra": ""}):
                continue
            inner = requirement.name.lower().replace("_", "-")
            if inner not in seen:
                seen.add(inner)
                todo.append(inner)
    return seen


def own() -> list[str]:
    import tomllib  # noqa: PLC0415

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dependencies: list[str] = project["dependencies"]
    return dependencies


def test_packages_bring_what_the_tests_run_with() -> None:
    locked, packaged = (
        pins(ROOT / "tests" / "requirements.txt"),
        pins(PACKAGES / "requirements.txt"),
    )
    assert set(packaged) == needed()
    assert {name: locked[name] for name in packaged} == packaged


def completed(completion: ModuleType, *words: str) -> list[str]:
    """Complete the last word as bash does."""
    script = (
        f"{completion.bash()}\n"
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _drainer; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", "drainer", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_and_values(completion: ModuleType) -> None:
    assert completed(completion, "dra") == ["drain"]
    assert completed(completion, "drain", "--on") == ["--on-dump-failure"]
    assert completed(completion, "drain", "--on-dump-failure", "") == ["leave", "stop"]
    assert completed(completion, "config", "s") == ["show", "schema"]
    assert completed(completion, "--route", "engine", "res") == ["resume"]
    assert completed(completion, "nonsense", "x") == []


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_is_completed(completion: ModuleType, verb: str) -> None:
    offered = completed(completion, *verb.split(), "--")
    assert set(declared(verb)) <= {*offered, "-h", "-y"}
    lines = [
        line for line in completion.fish().splitlines() if f" {verb.rsplit(maxsplit=1)[-1]}" in line
    ]
    for option in declared(verb):
        if option.startswith("--"):
            assert any(f" -l {option[2:]}" in line for line in lines), option


def test_every_manual_page_has_its_parts(manual: ModuleType) -> None:
    found = {f"{name}({section})": text for name, section, text in manual.pages()}
    assert set(found) == {"drainer(8)", "drainer.yaml(5)", "drainer-labels(7)"}
    for name, text in found.items():
        headings = re.findall(r"^\.SH (.+)$", text, re.MULTILINE)
        assert headings[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"], name
        assert headings[-1] == "SEE ALSO"
        assert not re.search(r"[`|]{2}|\]\(", text), name
    for verb in COMMANDS:
        assert f".SH {verb.upper()}".replace("-", "\\-") in found["drainer(8)"]
    assert "\\fBdrainer.priority\\fR" in found["drainer\\-labels(7)".replace("\\", "")]
    for heading in ("GROUPS", "KEPT CONNECTIONS"):
        assert heading in found["drainer-labels(7)"].upper()
        assert f" {heading}\n" not in found["drainer(8)"].upper()
    assert "DEADLINE" in found["drainer(8)"]


def test_a_line_of_text_is_no_request(manual: ModuleType) -> None:
    lines = manual._roff("`.reserve` holds nothing.\n\n- 'quoted' it is\n\n```\n.x\n```\n")
    assert not [line for line in lines if re.match(r"['.](?!PP|IP|nf|fi|RS|RE)", line)]
