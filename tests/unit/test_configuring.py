"""The configuration on the command line: what it changes, and what a mistake in it does."""

import json
import os
from pathlib import Path

import pytest

from drainer.errors import ExitCode
from drainer.manifest import State
from tests.unit.command import Drainer
from tests.unit.world import entry_of


@pytest.fixture
def config(etc: Path) -> Path:
    etc.mkdir()
    return etc / "config.yaml"


def test_what_is_left_out_is_skipped_with_its_line(drainer: Drainer, config: Path) -> None:
    config.write_text("containers:\n  - name: web\n    carry: false\n")
    drainer.world.add("web", "always")
    drainer.world.add("own", "always", labels={"drainer.enable": "true"})
    drainer("plan", "--json")
    reasons = {e["name"]: e["reasons"] for e in drainer.json["entries"]}
    assert [(r["id"], r["detail"]) for r in reasons["web"]] == [("not_selected", f"{config}:2")]
    assert drainer("drain") == ExitCode.OK
    manifest = drainer.world.file.read()
    assert entry_of(manifest, "own").state is State.STOPPED
    web = entry_of(manifest, "web")
    assert (web.state, web.skip_reason) == (State.LEFT, "not_selected")


def test_a_label_comes_before_every_rule(drainer: Drainer, config: Path) -> None:
    config.write_text("mode: opt-in\ncontainers:\n  - priority: 5\n")
    drainer.world.add("mine", labels={"drainer.enable": "true", "drainer.priority": "9"})
    drainer.world.add("other")
    drainer.world.add("wrong", labels={"drainer.enable": "true", "drainer.priority": "x"})
    drainer("plan", "--json")
    found = {e["name"]: (e["verdict"], e["priority"]) for e in drainer.json["entries"]}
    assert found == {"mine": ("carry", 9), "other": ("skip", 5), "wrong": ("carry", 5)}


def test_the_command_line_comes_before_the_configuration(drainer: Drainer, config: Path) -> None:
    config.write_text("route: engine\n")
    drainer.world.add("web")
    drainer("plan", "--json")
    assert drainer.json["entries"][0]["route"] == "engine"
    drainer("--route", "runtime", "plan", "--json")
    assert drainer.json["entries"][0]["route"] == "runtime"
    drainer("--route", "auto", "plan", "--json")
    assert drainer.json["entries"][0]["verdict"] == "carry"


def test_settings_of_a_drain_and_a_resume_are_used(drainer: Drainer, config: Path) -> None:
    config.write_text("resume:\n  on_restore_failure: leave\n")
    drainer.world.add("web", "always")
    drainer("drain")
    (entry,) = drainer.world.file.read().entries
    drainer.world.engine.damage_checkpoint("web", entry.checkpoint)
    drainer("resume", "--on-restore-failure", "cold")
    assert entry_of(drainer.world.file.read(), "web").state is State.STARTED_COLD

    drainer("drain")
    (entry,) = drainer.world.file.read().entries
    drainer.world.engine.damage_checkpoint("web", entry.checkpoint)
    drainer("resume")
    assert entry_of(drainer.world.file.read(), "web").state is State.LEFT


@pytest.mark.parametrize("verb", ["plan", "drain"])
def test_nothing_is_drained_by_a_configuration_with_mistakes(
    drainer: Drainer, config: Path, verb: str
) -> None:
    config.write_text("route: x\nmode: y\n")
    drainer.world.add("web", "always")
    assert drainer(verb) == ExitCode.CONFIG_INVALID
    error, hint = drainer.err.splitlines()
    assert error == (
        f"drainer: error: {config}:1: route: should be 'auto', 'engine' or 'runtime' (and 1 more)"
    )
    assert "drainer config validate" in hint
    assert not drainer.world.engine.calls


def test_whoever_is_not_root_hears_that_first(
    drainer: Drainer, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("route: x\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert drainer("plan") == ExitCode.NO_PERMISSION
    assert "`drainer plan` must be run by root" in drainer.err


def test_what_was_drained_comes_back_whatever_the_configuration_says(
    drainer: Drainer, config: Path
) -> None:
    drainer.world.add("web", "always")
    drainer("drain")
    config.write_text("route: [\n")
    assert drainer("status") == ExitCode.OK
    assert drainer("resume") == ExitCode.OK
    assert "the defaults are used" in drainer.err
    drainer.world.check_promise()


def test_show_names_the_place_of_each_value(drainer: Drainer, config: Path) -> None:
    config.write_text("drain:\n  parallel: 2\n")
    assert drainer("config", "show") == ExitCode.OK
    # A path that is too long for a line is folded.
    shown = "".join(drainer.out.split())
    assert f"drain.parallel2{config}:2drain." in shown
    assert "resume.parallel0default" in shown
    assert drainer("config", "show", "--json") == ExitCode.OK
    assert drainer.json["config"]["drain"]["parallel"] == 2
    assert drainer.json["origins"]["drain.parallel"] == f"{config}:2"
    assert drainer.json["files"] == [str(config)]


def test_validate_tells_every_mistake(drainer: Drainer, config: Path) -> None:
    assert drainer("config", "validate") == ExitCode.OK
    assert drainer.out == "no file: no mistake\n"
    config.write_text("mode: opt-in\n")
    assert drainer("config", "validate") == ExitCode.OK
    assert drainer.out == f"{config}: no mistake\n"
    config.write_text("route: x\nmode: y\n")
    assert drainer("config", "validate") == ExitCode.CONFIG_INVALID
    assert [line.split(": ")[0] for line in drainer.out.splitlines()] == [
        f"{config}:1",
        f"{config}:2",
    ]
    assert drainer("config", "validate", "--json") == ExitCode.CONFIG_INVALID
    assert len(drainer.json["problems"]) == 2


def test_generate_prints_what_validate_takes(drainer: Drainer, config: Path) -> None:
    assert drainer("config", "generate") == ExitCode.OK
    config.write_text(drainer.out)
    assert drainer("config", "validate") == ExitCode.OK


def test_the_schema_is_json(drainer: Drainer) -> None:
    assert drainer("config", "schema") == ExitCode.OK
    assert json.loads(drainer.out)["properties"].keys() >= {"route", "mode", "drain", "containers"}


def test_doctor_names_a_mistake_and_goes_on(drainer: Drainer, config: Path) -> None:
    drainer.world.add("web")
    config.write_text("drain:\n  paralel: 2\nmode: both\n")
    assert drainer("doctor", "--json") == ExitCode.CONFIG_INVALID
    (check,) = [c for c in drainer.json["checks"] if c["id"] == "configuration"]
    assert check["verdict"] == "problem"
    assert f"{config}:2: drain.paralel: not a known key" in check["found"]
    assert check["found"].endswith("(and 1 more)")
    config.write_text("mode: opt-in\n")
    assert drainer("doctor", "--json") == ExitCode.OK
    (check,) = [c for c in drainer.json["checks"] if c["id"] == "configuration"]
    assert (check["verdict"], check["found"]) == ("ok", str(config))
