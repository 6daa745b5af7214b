import gc
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from urllib.parse import urlencode

import pytest

from drainer.engine.docker import DockerEngine
from drainer.errors import (
    ContainerGoneError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    ExitCode,
    NoPermissionError,
)
from drainer.model import RestartPolicy
from drainer.networks import Endpoint

from .server import Answer, Docker, serving

LIMIT = 0.3
GONE = Answer(404, {"message": "No such container: web"})

# The SDK leaves a socket open when connecting fails; it is closed when collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    with serving(tmp_path) as server:
        yield server


@pytest.fixture
def engine(docker: Docker) -> DockerEngine:
    return DockerEngine(docker.url)


def hasty(docker: Docker) -> DockerEngine:
    return DockerEngine(docker.url, connect_timeout=LIMIT, request_timeout=LIMIT, kill_timeout=0)


def inspected(name: str, started: str = "2026-01-01T00:00:00Z", **state: object) -> Answer:
    return Answer(
        body={
            "Id": name * 2,
            "Name": f"/{name}",
            "State": {"Running": True, "StartedAt": started, **state},
            "HostConfig": {"Runtime": "runc"},
        }
    )


def test_making_an_engine_asks_nothing(docker: Docker) -> None:
    DockerEngine(docker.url)
    assert docker.requests == []


def test_the_sdk_is_imported_on_first_use_only() -> None:
    code = (
        "import sys, drainer.engine.docker as d; d.DockerEngine();"
        "sys.exit(bool({'docker', 'requests', 'urllib3'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_environment_and_contexts_do_not_matter(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "elsewhere"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    monkeypatch.setenv("ALL_PROXY", "http://192.0.2.1:3128")
    docker.answers["POST /containers/web/pause"] = Answer(204)
    DockerEngine(docker.url).pause("web")
    assert docker.lines == ["POST /containers/web/pause"]


def test_damaged_settings_of_the_docker_command_are_named(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('["not", "settings"]')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(EngineError) as caught:
        DockerEngine(docker.url).pause("web")
    assert "config.json" in caught.value.hint


def test_requests_are_made_as_docker_wants_them(docker: Docker, engine: DockerEngine) -> None:
    done = Answer(204)
    lines = [
        "POST /containers/web/pause",
        "POST /containers/web/unpause",
        "POST /containers/web/start",
        "POST /containers/web/start?checkpoint=one",
        "DELETE /containers/web/checkpoints/one",
    ]
    docker.answers |= dict.fromkeys(lines, done)
    docker.answers["POST /containers/web/checkpoints"] = Answer(201)
    docker.answers["POST /containers/web/update"] = Answer(body={"Warnings": None})
    engine.pause("web")
    engine.unpause("/web")
    engine.start("web", 5)
    engine.start("web", 5, "one")
    engine.delete_checkpoint("web", "one")
    assert docker.lines == lines
    assert [request.body for request in docker.requests if "/start" in request.line] == ["", ""]

    engine.create_checkpoint("web", "one", 5)
    assert json.loads(docker.requests[-1].body) == {"CheckpointID": "one", "Exit": False}


@pytest.mark.parametrize(
    ("policy", "sent"),
    [
        (RestartPolicy("always"), {"Name": "always"}),
        (RestartPolicy(""), {"Name": "no"}),
        (RestartPolicy("on-failure", 4), {"Name": "on-failure", "MaximumRetryCount": 4}),
    ],
)
def test_only_the_restart_policy_is_updated(
    docker: Docker, engine: DockerEngine, policy: RestartPolicy, sent: dict[str, object]
) -> None:
    docker.answers["POST /containers/web/update"] = Answer(body={"Warnings": None})
    engine.set_restart_policy("web", policy)
    assert json.loads(docker.requests[-1].body) == {"RestartPolicy": sent}


def test_a_restart_policy_outlasts_a_power_cut(
    docker: Docker, engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "docker" / "containers" / "web"
    files.mkdir(parents=True)
    docker.answers["GET /info"] = Answer(body={"DockerRootDir": str(tmp_path / "docker")})
    docker.answers["POST /containers/web/update"] = Answer(body={"Warnings": None})
    flushed: list[tuple[Path, bool]] = []
    updated = "POST /containers/web/update"

    def flush(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        flushed.append((path, updated in docker.lines))

    monkeypatch.setattr(os, "fsync", flush)
    engine.facts()
    engine.set_restart_policy("web", RestartPolicy("always"))
    assert flushed == [(files, True)]


def test_start_of_what_runs_is_no_error(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["POST /containers/web/start?checkpoint=one"] = Answer(304)
    engine.start("web", 5, "one")


def test_checkpoints_may_be_null(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["GET /containers/web/checkpoints"] = Answer(body=b"null\n")
    assert engine.checkpoints("web") == ()
    docker.answers["GET /containers/web/checkpoints"] = Answer(body=[{"Name": "one"}])
    assert engine.checkpoints("web") == ("one",)


def test_deleting_a_checkpoint_that_is_not_there(docker: Docker, engine: DockerEngine) -> None:
    line = "DELETE /containers/web/checkpoints/one"
    docker.answers[line] = Answer(
        500, {"message": "checkpoint one does not exist for container web"}
    )
    engine.delete_checkpoint("web", "one")
    docker.answers[line] = Answer(500, {"message": "unlinkat: device or resource busy"})
    with pytest.raises(EngineError, match="busy"):
        engine.delete_checkpoint("web", "one")
    docker.answers[line] = GONE
    with pytest.raises(ContainerGoneError):
        engine.delete_checkpoint("web", "one")


@pytest.mark.parametrize("name", ["", "..", "../../images", "a/b", "-x", "a b", "a\n"])
def test_a_name_never_leads_to_another_call(
    docker: Docker, engine: DockerEngine, name: str
) -> None:
    with pytest.raises(ContainerGoneError):
        engine.inspect(name)
    with pytest.raises(EngineError, match="Invalid checkpoint ID"):
        engine.delete_checkpoint("web", name)
    with pytest.raises(EngineError, match="Invalid checkpoint ID"):
        engine.create_checkpoint("web", name, 5)
    assert docker.requests == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(500, {"message": "Cannot checkpoint container web: criu"}), "^Cannot checkpoint"),
        (Answer(409, {"message": "container web is not running\n"}), "is not running$"),
        (Answer(500, b"plain words"), "^plain words$"),
        (Answer(500, ["strange"]), "strange"),
        (Answer(500, {"message": None}), "HTTP status 500"),
        (Answer(500, b'{"message": "cut o'), '^{"message": "cut o$'),
        (Answer(502), "HTTP status 502"),
        (Answer(301), "HTTP status 301"),
        (Answer(404, {"message": "page not found"}), "^page not found$"),
        (Answer(404, {"message": "No such container: db"}), "^No such container: db$"),
    ],
)
def test_a_refusal_has_dockers_words(
    docker: Docker, engine: DockerEngine, answer: Answer, message: str
) -> None:
    docker.answers["POST /containers/web/checkpoints"] = answer
    with pytest.raises(EngineError, match=message) as caught:
        engine.create_checkpoint("web", "one", 5)
    assert type(caught.value) is EngineError
    assert caught.value.exit_code is ExitCode.HOST_INCAPABLE


@pytest.mark.parametrize(
    "words",
    [
        'Unavailable: connection error: desc = "transport: error while dialing"',
        "failed to create task: rpc error: code = Unavailable desc = error reading: EOF",
        "transport is closing: unavailable",
    ],
)
def test_a_docker_without_its_containerd_does_not_answer(
    docker: Docker, engine: DockerEngine, words: str
) -> None:
    docker.answers["POST /containers/web/start"] = Answer(500, {"message": words})
    with pytest.raises(EngineUnavailableError, match="navailable"):
        engine.start("web", 5)


def test_a_lack_of_something_else_is_a_refusal(docker: Docker, engine: DockerEngine) -> None:
    words = "fork/exec /usr/bin/runc: resource temporarily unavailable"
    docker.answers["POST /containers/web/start"] = Answer(500, {"message": words})
    with pytest.raises(EngineError) as caught:
        engine.start("web", 5)
    assert type(caught.value) is EngineError


def test_without_experimental_there_is_a_hint(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["POST /containers/web/checkpoints"] = Answer(
        501, {"message": "This experimental feature is disabled by default."}
    )
    with pytest.raises(EngineError) as caught:
        engine.create_checkpoint("web", "one", 5)
    assert "daemon.json" in caught.value.hint


@pytest.mark.parametrize("name", ["web", "/web"])
def test_a_container_that_is_gone(docker: Docker, engine: DockerEngine, name: str) -> None:
    docker.answers["GET /containers/web/json"] = GONE
    with pytest.raises(ContainerGoneError, match="No such container: web"):
        engine.inspect(name)


def test_a_kill_says_in_more_words_that_a_container_is_gone(
    docker: Docker, engine: DockerEngine
) -> None:
    docker.answers["POST /containers/web/kill?signal=SIGKILL"] = Answer(
        404, {"message": "cannot kill container: web: No such container: web"}
    )
    with pytest.raises(ContainerGoneError):
        engine.kill("web")


@pytest.mark.parametrize("answer", [Answer(hang=True), Answer(body=[], cut=9, hang_in_body=True)])
def test_a_request_that_takes_too_long(docker: Docker, answer: Answer) -> None:
    docker.answers["GET /containers/web/checkpoints"] = answer
    with pytest.raises(EngineTimeoutError, match=r"/containers/web/checkpoints within 0.3 s"):
        hasty(docker).checkpoints("web")


def test_long_calls_have_their_own_limit(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["POST /containers/web/checkpoints"] = Answer(hang=True)
    docker.answers["POST /containers/web/start?checkpoint=one"] = Answer(hang=True)
    with pytest.raises(EngineTimeoutError, match=r"within 0.2 s"):
        engine.create_checkpoint("web", "one", 0.2)
    with pytest.raises(EngineTimeoutError, match=r"within 0.1 s"):
        engine.start("web", 0.1, "one")


def test_a_daemon_that_never_tells_its_version(docker: Docker) -> None:
    docker.answers["GET /version"] = Answer(hang=True)
    with pytest.raises(EngineTimeoutError):
        hasty(docker).pause("web")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(500, {"message": "starting up"}), "starting up"),
        (Answer(body={}), "ApiVersion"),
        (Answer(body=b"{"), "Docker at unix"),
    ],
)
def test_a_version_that_is_of_no_use(docker: Docker, answer: Answer, error: str) -> None:
    docker.answers["GET /version"] = answer
    with pytest.raises(EngineError, match=error):
        DockerEngine(docker.url).pause("web")


def test_an_answer_that_is_no_json(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["GET /containers/web/json"] = Answer(body=b'{"Id": "we')
    with pytest.raises(EngineError, match="is not JSON"):
        engine.inspect("web")


def test_an_answer_that_is_broken_off(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["GET /containers/web/json"] = Answer(body=b'{"Id": "we', cut=100)
    with pytest.raises(EngineUnavailableError):
        engine.inspect("web")


def test_no_socket(tmp_path: Path) -> None:
    engine = DockerEngine(f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineUnavailableError, match="No such file") as caught:
        engine.facts()
    assert "systemctl status docker" in caught.value.hint


def test_nobody_listens(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(EngineUnavailableError, match="refused"):
        DockerEngine(f"unix://{path}").running()


def test_docker_goes_away_and_comes_back(tmp_path: Path) -> None:
    with serving(tmp_path) as docker:
        docker.answers["POST /containers/web/pause"] = Answer(204)
        engine = DockerEngine(docker.url)
        engine.pause("web")
    with pytest.raises(EngineUnavailableError):
        engine.pause("web")
    (tmp_path / "docker.sock").unlink()
    with serving(tmp_path) as docker:
        docker.answers["POST /containers/web/pause"] = Answer(204)
        engine.pause("web")


def test_denied_access_has_its_own_error(monkeypatch: pytest.MonkeyPatch, docker: Docker) -> None:
    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", deny)
    with pytest.raises(NoPermissionError, match="denied"):
        DockerEngine(docker.url).facts()


def test_kill_waits_until_the_container_is_down(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["POST /containers/web/kill?signal=SIGKILL"] = Answer(204)
    states = chain(repeat(inspected("web"), 2), repeat(inspected("web", Running=False)))
    docker.answers["GET /containers/web/json"] = lambda: next(states)
    engine.kill("web")
    assert docker.lines.count("GET /containers/web/json") == 3


def test_kill_of_what_is_down_is_no_error(docker: Docker, engine: DockerEngine) -> None:
    refusal = Answer(409, {"message": "container web is not running"})
    docker.answers["POST /containers/web/kill?signal=SIGKILL"] = refusal
    docker.answers["GET /containers/web/json"] = inspected("web", Running=False)
    engine.kill("web")
    docker.answers["GET /containers/web/json"] = inspected("web")
    with pytest.raises(EngineError, match="is not running"):
        engine.kill("web")


def test_kill_of_one_that_is_removed_when_it_dies(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["POST /containers/web/kill?signal=SIGKILL"] = Answer(204)
    docker.answers["GET /containers/web/json"] = GONE
    engine.kill("web")
    docker.answers["POST /containers/web/kill?signal=SIGKILL"] = GONE
    with pytest.raises(ContainerGoneError):
        engine.kill("web")


def test_kill_without_effect_ends_in_a_timeout(docker: Docker) -> None:
    docker.answers["POST /containers/web/kill?signal=SIGKILL"] = Answer(204)
    docker.answers["GET /containers/web/json"] = inspected("web")
    with pytest.raises(EngineTimeoutError, match="still runs"):
        hasty(docker).kill("web")


def test_running_is_ordered_and_leaves_out_what_vanished(
    docker: Docker, engine: DockerEngine
) -> None:
    docker.answers["GET /containers/json"] = Answer(
        body=[{"Id": name} for name in ("new", "old", "web", "down", "again")]
    )
    docker.answers["GET /containers/new/json"] = inspected("new", "2026-01-01T00:00:01.51Z")
    docker.answers["GET /containers/old/json"] = inspected("old", "2026-01-01T00:00:01Z")
    docker.answers["GET /containers/web/json"] = GONE
    docker.answers["GET /containers/down/json"] = inspected("down", Running=False)
    docker.answers["GET /containers/again/json"] = inspected(
        "again", "2026-01-01T00:00:01.5Z", Restarting=True
    )
    assert [container.name for container in engine.running()] == ["old", "again", "new"]


def test_open_exec_sessions_are_counted(docker: Docker, engine: DockerEngine) -> None:
    body = {"Id": "web", "ExecIDs": ["e1", "e2", "e3"], "HostConfig": {"Runtime": "runc"}}
    docker.answers["GET /containers/web/json"] = Answer(body=body)
    docker.answers["GET /exec/e1/json"] = Answer(body={"Running": True})
    docker.answers["GET /exec/e2/json"] = Answer(body={"Running": False})
    docker.answers["GET /exec/e3/json"] = Answer(404, {"message": "No such exec instance: e3"})
    assert engine.inspect("web").exec_sessions == 1


def test_the_daemons_default_runtime_is_filled_in(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["GET /containers/web/json"] = Answer(body={"Id": "web"})
    docker.answers["GET /info"] = Answer(body={"DefaultRuntime": "crun"})
    assert engine.inspect("web").runtime == "crun"


def test_facts(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["GET /info"] = Answer(body={"ExperimentalBuild": True, "Driver": "overlay2"})
    facts = engine.facts()
    assert (facts.version, facts.api_version) == ("26.1.5", "1.45")
    assert facts.experimental
    assert facts.storage == "overlay2"


def test_threads_have_their_own_connections(docker: Docker, engine: DockerEngine) -> None:
    together = threading.Barrier(8, timeout=10)

    def answer() -> Answer:
        together.wait()
        return Answer(body=[{"Name": "one"}])

    docker.answers["GET /containers/web/checkpoints"] = answer
    seen: list[tuple[str, ...]] = []
    threads = [
        threading.Thread(target=lambda: seen.append(engine.checkpoints("web"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [("one",)] * 8


def test_what_is_allotted_is_asked_of_the_network(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["GET /networks/a%20%2F..%2Fb"] = Answer(
        body={"Containers": {"web": {"IPv4Address": "10.0.0.2/24"}}}
    )
    assert engine.network("a /../b") == {"web": Endpoint("10.0.0.2")}
    with pytest.raises(EngineError, match="page not found"):
        engine.network("none")


def test_what_is_there_for_containers_is_asked_at_once(
    docker: Docker, engine: DockerEngine
) -> None:
    docker.answers["GET /networks"] = Answer(body=[{"Id": "1", "Name": "shop"}])
    docker.answers["GET /volumes"] = Answer(body={"Volumes": [{"Name": "data"}]})
    assert engine.networks() == {"1": "shop"}
    assert engine.volumes() == {"data"}


def test_a_placeholder_overrules_its_image(docker: Docker, engine: DockerEngine) -> None:
    line = "POST /containers/create?name=drainer-placeholder-1"
    docker.answers[line] = Answer(201, {"Id": "abc", "Warnings": []})
    assert engine.create_placeholder("lab/busybox", "n", "drainer-placeholder-1") == "abc"
    assert json.loads(docker.requests[-1].body) == {
        "Image": "lab/busybox",
        "Entrypoint": [],
        "Cmd": ["placeholder"],
        "User": "0:0",
        "WorkingDir": "/",
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {"drainer.placeholder": "true"},
        "HostConfig": {
            "NetworkMode": "n",
            "LogConfig": {"Type": "none"},
            "RestartPolicy": {"Name": "no"},
            "Runtime": "runc",
        },
    }


def test_an_image_that_is_not_there(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["POST /containers/create?name=p"] = Answer(
        404, {"message": "No such image: gone:latest"}
    )
    with pytest.raises(EngineError, match="No such image") as caught:
        engine.create_placeholder("gone", "n", "p")
    assert not isinstance(caught.value, ContainerGoneError)


def test_placeholders_are_found_by_label_and_name(docker: Docker, engine: DockerEngine) -> None:
    filters = json.dumps({"label": ["drainer.placeholder"], "name": ["^/drainer-placeholder-"]})
    docker.answers[f"GET /containers/json?{urlencode({'all': 'true', 'filters': filters})}"] = (
        Answer(body=[{"Id": "abc"}, {"Id": "def"}])
    )
    assert engine.placeholders() == ("abc", "def")


def test_a_container_is_removed_with_its_volumes(docker: Docker, engine: DockerEngine) -> None:
    line = "DELETE /containers/web?force=true&v=true"
    for answer in (Answer(204), GONE):
        docker.answers[line] = answer
        engine.remove("web")
    docker.answers[line] = Answer(500, {"message": "device or resource busy"})
    with pytest.raises(EngineError, match="busy"):
        engine.remove("web")
    assert docker.lines == [line] * 3
