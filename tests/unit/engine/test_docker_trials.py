import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from drainer.engine.docker import DockerEngine
from drainer.engine.docker_trials import demultiplexed, imported_id
from drainer.errors import ContainerGoneError, EngineError

from .server import Answer, Docker, serving

CONTAINERS = quote_plus('{"label": ["drainer.doctor"], "name": ["^/drainer-doctor-"]}')
IMAGES = quote_plus('{"label": ["drainer.doctor"], "dangling": ["true"]}')
IMPORT = "POST /images/create?fromSrc=-&changes=LABEL+drainer.doctor%3Dtrue"


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    with serving(tmp_path) as server:
        yield server


@pytest.fixture
def engine(docker: Docker) -> DockerEngine:
    return DockerEngine(docker.url)


def frame(text: str, stream: int = 1) -> bytes:
    data = text.encode()
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


def test_an_archive_becomes_an_image(docker: Docker, engine: DockerEngine) -> None:
    docker.answers[IMPORT] = Answer(body=b'{"status":"sha256:abc"}\r\n')
    assert engine.import_image(b"tar") == "sha256:abc"
    assert docker.requests[-1].body == "tar"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"status":"x"}\n{"errorDetail":{"message":"full"},"error":"full"}', "full"),
        ("", "no id"),
        ("[]", "no id"),
        ('{"status": 3}', "no id"),
        ("junk", "not JSON"),
    ],
)
def test_an_import_that_failed_is_an_error(text: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        imported_id(text)


def test_a_trial_is_labelled_and_never_started_by_docker(
    docker: Docker, engine: DockerEngine
) -> None:
    docker.answers["POST /containers/create?name=drainer-doctor-x"] = Answer(201, {"Id": "a" * 64})
    assert engine.create_trial("sha256:abc", "drainer-doctor-x", "host", ["sh"]) == "a" * 64
    body = json.loads(docker.requests[-1].body)
    assert body["Labels"] == {"drainer.doctor": "true"}
    assert body["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert body["HostConfig"]["NetworkMode"] == "host"
    docker.answers["POST /containers/create?name=drainer-doctor-x"] = Answer(201, {"Id": ""})
    with pytest.raises(EngineError, match="no Id"):
        engine.create_trial("sha256:abc", "drainer-doctor-x", "host", ["sh"])


def test_logs_are_put_together(docker: Docker, engine: DockerEngine) -> None:
    answer = Answer(body=frame("to") + frame("ken 1\n") + frame("cut")[:-1])
    docker.answers["GET /containers/web/logs?stdout=true&tail=5"] = answer
    assert engine.logs("web") == "token 1\ncu"
    docker.answers["GET /containers/web/logs?stdout=true&tail=5"] = Answer(
        404, {"message": "No such container: web"}
    )
    with pytest.raises(ContainerGoneError):
        engine.logs("web")
    assert demultiplexed(b"") == b""


def test_what_trials_left_is_listed_and_removed(docker: Docker, engine: DockerEngine) -> None:
    docker.answers[f"GET /containers/json?all=true&filters={CONTAINERS}"] = Answer(
        body=[{"Id": "a"}]
    )
    docker.answers[f"GET /images/json?filters={IMAGES}"] = Answer(body=[{"Id": "sha256:b"}])
    assert (engine.trials(), engine.trial_images()) == (("a",), ("sha256:b",))
    docker.answers["DELETE /images/sha256%3Ab"] = Answer(body=[{"Deleted": "sha256:b"}])
    engine.remove_image("sha256:b")
    docker.answers["DELETE /images/sha256%3Ab"] = Answer(404, {"message": "No such image"})
    engine.remove_image("sha256:b")
    docker.answers["DELETE /images/sha256%3Ab"] = Answer(409, {"message": "is in use"})
    with pytest.raises(EngineError, match="in use"):
        engine.remove_image("sha256:b")


def test_removing_what_is_gone_is_no_error(docker: Docker, engine: DockerEngine) -> None:
    docker.answers["DELETE /containers/web?force=true&v=true"] = Answer(204)
    engine.remove("web")
    docker.answers["DELETE /containers/web?force=true&v=true"] = Answer(
        404, {"message": "No such container: web"}
    )
    engine.remove("web")
    docker.answers["DELETE /containers/web?force=true&v=true"] = Answer(
        409, {"message": "removal of container web is already in progress"}
    )
    with pytest.raises(EngineError, match="in progress"):
        engine.remove("web")
