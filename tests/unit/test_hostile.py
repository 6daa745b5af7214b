"""Whatever containers are called: one event is one line, no terminal is driven, JSON is JSON."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from drainer.cli.wiring import Settings
from drainer.engine.fake import FACTS as ENGINE
from drainer.errors import EngineError
from drainer.host.fake import FACTS as HOST
from drainer.manifest import State
from drainer.model import Container, Mount, ProcessFacts
from drainer.networks import Address
from drainer.store.codec import dump
from tests.unit.command import Drainer
from tests.unit.doctor.facts import SURROUNDINGS
from tests.unit.store.samples import sample
from tests.unit.world import World

NASTY = (
    "\x1b[31mred\x1b[0m\x1b]0;title\a",
    "two\nlines: restored\r\n<3>drainer: fake",
    "\u202egpj.exe\u2066\u200b",
    "[red]markup[/red] [link=file:///etc/passwd]x[/link] [/]",
    "- a: &x !!python/object:os.system {}\n---\n# sha256: 0",
    "\x00\x07\x08\x7f\x85\u2028\ufeff\ud800",
    "%s %n {0} $(reboot) `reboot` '\"\\",
    "x" * 3_000_000,
)
LONGEST = 600
"""Characters of a line for people, at most."""


@pytest.fixture
def drainer(drainer: Drainer, monkeypatch: pytest.MonkeyPatch) -> Drainer:
    monkeypatch.setattr(Settings, "surroundings", lambda _self: SURROUNDINGS)
    return drainer


def populate(world: World) -> None:
    """Let the same words stand in everything that somebody else may choose."""
    for number, nasty in enumerate(NASTY):
        # What is in a manifest has a limit, which no name that Docker takes comes near.
        name = nasty[:50_000] + str(number)
        world.engine.add(
            Container(
                f"{number:064x}",
                name,
                image=name,
                labels={"drainer.enable": nasty} if number % 2 else {nasty: nasty},
                mounts=(Mount("bind", nasty[:50_000], nasty),),
                addresses=(Address(name, "10.0.0.2", mac=name),),
                network_mode=nasty,
            ),
            memory=1,
        )
        world.host.process_facts[f"{number:064x}"] = ProcessFacts(
            count=1,
            runtime="runc",
            runtime_root="/run/docker/runtime-runc/moby",
            inner_mounts=(nasty,) if number % 3 == 1 else (),
            unsupported_files=(nasty,) if number % 3 == 2 else (),
        )


def check_lines(text: str) -> None:
    for line in text.split("\n"):
        assert line.isprintable(), line[:200]
        assert len(line) <= LONGEST, line[:200]


def check_events(text: str) -> None:
    check_lines(text)
    assert all(line.startswith("drainer: ") for line in text.splitlines())


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_no_word_of_a_container_drives_a_terminal_or_makes_a_line(
    drainer: Drainer, words: tuple[str, ...]
) -> None:
    world = drainer.world
    populate(world)
    for nasty in NASTY:
        world.engine.script("create_checkpoint", nth=1, error=EngineError(nasty))
        world.engine.script("create_placeholder", nth=1, error=EngineError(nasty))
    world.engine.script("start", nth=1, error=EngineError(NASTY[0] * 1000))
    for verb in ("plan", "drain", "status", "doctor", "reboot", "resume", "status"):
        if verb == "reboot":
            world.reboot()
            continue
        drainer(verb, *words)
        check_events(drainer.err)
        if words:
            assert drainer.json
            assert not [c for c in drainer.out if c != "\n" and not " " <= c <= "~"]
        else:
            check_lines(drainer.out)
            assert drainer.out
    assert {e.state for e in world.file.read().entries} >= {State.LEFT}


def test_a_manifest_and_a_docker_full_of_such_words(drainer: Drainer) -> None:
    nasty = "".join(NASTY[:-1])
    manifest = replace(sample(), drain_id=nasty, trigger=nasty, created=nasty)
    drainer.world.file.directory.write("manifest.yaml", dump(manifest))
    drainer.world.engine.change_facts(replace(ENGINE, version=nasty, storage=nasty))
    drainer.world.host.host_facts = replace(HOST, kernel=nasty, criu_problem=nasty, runc=nasty)
    for verb in ("status", "plan", "doctor", "drain", "resume"):
        drainer(verb)
        check_lines(drainer.out)
        check_events(drainer.err)


def test_an_error_full_of_such_words_is_one_line_and_a_hint(drainer: Drainer) -> None:
    for nasty in NASTY:
        drainer.world.engine.script("facts", error=EngineError(nasty, nasty))
        drainer("plan")
        check_events(drainer.err)
        assert len(drainer.err.splitlines()) == 2
        drainer.world.engine.script("facts", error=ValueError(nasty))
        drainer("plan", "--json")
        assert json.loads(drainer.out)["error"]["code"] == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_locale_without_a_character_is_no_error(encoding: str) -> None:
    code = (
        "from drainer.cli import output; output.escape_what_cannot_be_shown();"
        "output.show_table(('A',), [('\\u65e5' + 'x' * 400,)]); output.say('\\u65e5')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, cwd=root, capture_output=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert b"\\u65e5" in result.stdout
