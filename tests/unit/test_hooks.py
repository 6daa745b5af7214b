"""The operator's own programs: when they are called, with what, and which are not run."""

import json
import os
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drainer.deadline import Deadline
from drainer.engine.fake import FACTS as ENGINE
from drainer.errors import ExitCode
from drainer.hooks import AFTER_DRAIN, AFTER_RESUME, BEFORE_DRAIN, BEFORE_RESUME, OF_STATES, Hooks
from drainer.host.fake import FACTS as HOST
from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import RestartPolicy
from tests.unit.command import Drainer

PAGE = Path(__file__).parents[2] / "docs" / "hooks.md"

NOTE = """\
#!/bin/sh
{{ echo "$1"; cat; echo; }} >>{log}
"""


@pytest.fixture
def directory(etc: Path) -> Path:
    found = etc / "hooks.d"
    found.mkdir(mode=0o755, parents=True)
    return found


def program(path: Path, text: str, mode: int = 0o755) -> None:
    path.write_text(text)
    path.chmod(mode)


def told(log: Path) -> list[tuple[str, dict[str, Any]]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [(lines[n], json.loads(lines[n + 1])) for n in range(0, len(lines), 2)]


def entry(state: State = State.RESTORED) -> Entry:
    return Entry("a" * 64, "web\n$(reboot)", "nginx", state, RestartPolicy())


def test_hooks_follow_a_drain_and_a_resume(
    drainer: Drainer, directory: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    program(directory / "10-note", NOTE.format(log=log))
    drainer.world.add("web", "always")
    drainer.world.add("shell", tty=True)
    assert drainer("drain", "--reason", "kernel") == ExitCode.OK
    assert [event for event, _ in told(log)] == [
        "before-drain",
        "container-before-drain",
        "container-drained",
        "after-drain",
    ]
    first, last = told(log)[0][1], told(log)[-1][1]
    assert {c["name"]: c["verdict"] for c in first["containers"]} == {
        "web": "carry",
        "shell": "skip",
    }
    assert last["format_version"] == "1.0"
    assert last["reason"] == "kernel"
    assert {c["name"]: c["state"] for c in last["containers"]} == {
        "web": "stopped",
        "shell": "left",
    }
    log.unlink()
    drainer.world.reboot()
    assert drainer("resume") == ExitCode.OK
    assert [event for event, _ in told(log)] == [
        "before-resume",
        "container-restored",
        "after-resume",
    ]
    assert told(log)[1][1]["container"]["name"] == "web"


def test_names_are_data_and_no_words_of_a_command(directory: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program(directory / "note", NOTE.format(log=log))
    Hooks(print, Deadline(None)).of_container(entry())
    ((event, document),) = told(log)
    assert (event, document["container"]["name"]) == ("container-restored", "web\n$(reboot)")


def test_a_state_is_told_once_and_others_not_at_all(directory: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program(directory / "note", NOTE.format(log=log))
    hooks = Hooks(print, Deadline(None))
    for state in (State.LEFT, State.LEFT, State.DUMPING, State.RESTORING, State.STARTED_COLD):
        hooks.of_container(entry(state))
    assert [event for event, _ in told(log)] == ["container-left", "container-started-cold"]


def test_they_are_run_in_the_order_of_their_names(directory: Path, tmp_path: Path) -> None:
    for name in ("20-b", "10-a", "30-c.bak", "40-d~", ".hidden", "50-e.dpkg-old"):
        program(directory / name, f"#!/bin/sh\necho {name} >>{tmp_path / 'order'}\n")
    program(directory / "60-readme", "not to be run", 0o644)
    (directory / "70-directory").mkdir()
    (directory / "80-broken").symlink_to("nowhere")
    Hooks(print, Deadline(None)).of_container(entry())
    assert (tmp_path / "order").read_text().split() == ["10-a", "20-b"]


def test_a_failure_is_said_and_the_others_are_run(directory: Path, tmp_path: Path) -> None:
    program(directory / "10-fails", "#!/bin/sh\necho 'no such \x1b[2Jhost' >&2\nexit 3\n")
    program(directory / "20-sleeps", "#!/bin/sh\nsleep 60 & wait\n")
    program(directory / "30-no-interpreter", "#!/nowhere\n")
    program(directory / "40-works", f"#!/bin/sh\ntouch {tmp_path / 'done'}\n")
    said: list[str] = []
    Hooks(said.append, Deadline(None), seconds=1).of_container(entry())
    assert (tmp_path / "done").exists()
    assert said[0] == "hook 10-fails container-restored: exit code 3: no such \x1b[2Jhost"
    assert said[1] == "hook 20-sleeps container-restored: ended after 1 s, and not called again"
    assert said[2].startswith("hook 30-no-interpreter container-restored: exit code 127")
    assert len(said) == 3


def test_one_that_hangs_is_not_called_again_in_this_run(directory: Path, tmp_path: Path) -> None:
    program(directory / "sleeps", f"#!/bin/sh\necho >>{tmp_path / 'calls'}; exec sleep 60\n")
    said: list[str] = []
    hooks = Hooks(said.append, Deadline(None), seconds=1)
    for state in (State.HELD, State.STOPPED, State.RESTORED):
        hooks.of_container(entry(state))
    assert len(said) == 1
    assert (tmp_path / "calls").read_text() == "\n"


def test_they_share_a_tenth_of_the_budget(directory: Path) -> None:
    program(directory / "slow", "#!/bin/sh\nsleep 1.2\n")
    said: list[str] = []
    hooks = Hooks(said.append, Deadline(62 + 20))
    hooks._allowance = 2.0
    for state in (State.LEFT, State.RESTORED, State.STARTED_COLD):
        hooks.of_container(entry(state))
    # What is left after the first is too little to begin with.
    assert said == [
        f"hook slow {event}: not run, as no time is left for hooks"
        for event in ("container-restored", "container-started-cold")
    ]


def test_they_are_not_protected_from_a_want_of_memory(directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    program(directory / "10-look", f"#!/bin/sh\nsleep 0.3; cat /proc/$$/oom_score_adj >{out}\n")
    own = Path("/proc/self/oom_score_adj")
    before = own.read_text()
    own.write_text("100")
    try:
        Hooks(lambda _: None, Deadline(None), 10, directory).of_container(entry())
    finally:
        own.write_text(before)
    assert out.read_text() == "0\n"


def test_what_only_waits_is_no_news(directory: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program(directory / "note", NOTE.format(log=log))
    hooks = Hooks(print, Deadline(None))
    stopped = replace(entry(State.STOPPED), checkpoint_state=CheckpointState.COMPLETE)
    hooks.of_container(replace(stopped, detail="it waits for db"))
    hooks.of_container(entry(State.STOPPED))
    hooks.of_container(replace(entry(State.HELD), detail="no answer"))
    assert told(log) == []
    hooks.of_container(stopped)
    assert [event for event, _ in told(log)] == ["container-drained"]


def test_an_interrupted_run_does_not_wait_for_a_hook(directory: Path) -> None:
    program(directory / "slow", "#!/bin/sh\nexec sleep 60\n")
    deadline = Deadline(None)
    threading.Timer(0.3, deadline.interrupt).start()
    begin = time.monotonic()
    Hooks(lambda _words: None, deadline, seconds=50).of_container(entry())
    assert time.monotonic() - begin < 10


def test_no_hook_keeps_a_drain_from_its_end(directory: Path, tmp_path: Path) -> None:
    program(directory / "late", f"#!/bin/sh\ntouch {tmp_path / 'done'}\n")
    said: list[str] = []
    Hooks(said.append, Deadline(0.5)).of_container(entry())
    over = Deadline(None)
    over.interrupt()
    Hooks(said.append, over).of_container(entry())
    assert said == ["hook late container-restored: not run, as no time is left for hooks"] * 2
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_what_others_can_write_is_not_run(directory: Path, tmp_path: Path, mode: int) -> None:
    done = tmp_path / "done"
    program(directory / "hook", f"#!/bin/sh\ntouch {done}\n", mode)
    said: list[str] = []
    Hooks(said.append, Deadline(None)).of_container(entry())
    assert said == ["hook hook is not run: others than root can write it"]
    (directory / "hook").chmod(0o755)
    directory.chmod(mode)
    Hooks(said.append, Deadline(None)).of_container(entry(State.LEFT))
    assert said[1] == f"no hook is run: {directory}: others than root can write it"
    assert not done.exists()


def test_a_sticky_bit_makes_no_file_safe(directory: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    program(directory / "hook", f"#!/bin/sh\ntouch {done}\n", 0o1777)
    said: list[str] = []
    Hooks(said.append, Deadline(None)).of_container(entry())
    assert said == ["hook hook is not run: others than root can write it"]
    assert not done.exists()


def test_without_a_directory_there_is_nothing_to_run(tmp_path: Path) -> None:
    Hooks(pytest.fail, Deadline(None), directory=tmp_path / "none").of_container(entry())


def test_the_limit_is_configured(drainer: Drainer, directory: Path, etc: Path) -> None:
    (etc / "config.yaml").write_text("hooks:\n  timeout: 1\n")
    program(directory / "sleeps", "#!/bin/sh\ncase $1 in after-drain) exec sleep 60; esac\n")
    drainer.world.add("web", "always")
    assert drainer("drain") == ExitCode.OK
    assert "hook sleeps after-drain: ended after 1 s" in drainer.err


def test_the_example_of_the_page_does_what_it_says(directory: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    program(directory / "50-shop", example)
    path = tmp_path / "bin"
    path.mkdir()
    program(path / "docker", f'#!/bin/sh\necho "$@" >>{tmp_path / "called"}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{path}:{os.environ['PATH']}")
        said: list[str] = []
        hooks = Hooks(said.append, Deadline(None))
        for name in ("other", "shop-app"):
            for state in (State.STOPPED, State.RESTORED):
                hooks.of_container(replace(entry(state), name=name, id=name))
    assert said == []
    assert (tmp_path / "called").read_text() == "kill --signal HUP shop-app\n"


def test_the_page_has_every_event() -> None:
    events = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE)
    of_runs = {BEFORE_DRAIN, AFTER_DRAIN, BEFORE_RESUME, AFTER_RESUME}
    assert set(events) == of_runs | set(OF_STATES.values())
    assert len(events) == len(set(events))


def test_the_example_for_prometheus_writes_a_whole_file(directory: Path, tmp_path: Path) -> None:
    text = (PAGE.parent / "howto.md").read_text()
    (example,) = re.findall(r"^```sh\n(#!.*?)^```", text, re.MULTILINE | re.DOTALL)
    target = tmp_path / "drainer.prom"
    program(directory / "90-metrics", re.sub(r"(?m)^file=.*$", f"file={target}", example))
    path = tmp_path / "bin"
    path.mkdir()
    program(path / "drainer", '#!/bin/sh\necho "$@"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{path}:{os.environ['PATH']}")
        hooks = Hooks(pytest.fail, Deadline(None))
        hooks.of_container(entry())
        assert not target.exists()
        hooks.of_manifest(AFTER_RESUME, Manifest("x", "", "manual", HOST, ENGINE, ()))
    assert target.read_text() == "report --format metrics\n"
