"""What is measured: which programs, and in how many ways each is taken down and brought back."""

from dataclasses import dataclass

FOLDERS = "-v /srv/bench:/srv/bench:ro -v /srv/ticks:/srv/ticks"
SMALL = "trap exit TERM; while :; do echo $EPOCHREALTIME >>/srv/ticks/{}; sleep 1; done"
ROUTE = "route: {}\ndrain:\n  pre_dump_mib: {}\n"


@dataclass(frozen=True)
class Program:
    """Something to run in a container, or as a plain process: a shell command."""

    name: str
    image: str
    command: str
    options: str = ""
    before: str = ""
    """What its host does once it runs: a shell command that ends when it is ready."""


@dataclass(frozen=True)
class Way:
    """How programs are taken down and brought back, by shell commands."""

    name: str
    engine: str
    """`docker`, `podman` or `process`."""
    down: str
    up: str = ""
    """Empty for what brings nothing back."""
    before: str = ""
    after: str = "true"
    """Shell commands before and after, not measured."""
    images: str = "/nowhere"
    """Where the checkpoints are in between: a shell pattern."""
    configuration: str = ""
    """Drainer's."""
    durable: bool = False
    """Whether the checkpoint of a program is on disk before the program is killed."""


LOOP = Way(
    "plain loop",
    "docker",
    "for c in $(docker ps -q); do docker checkpoint create $c loop || exit; done",
    "for c in $(docker ps -aq); do docker start --checkpoint loop $c || exit; done",
    after="for c in $(docker ps -q); do docker checkpoint rm $c loop; done;"
    " rm -rf /tmp/ctrd-checkpoint*",
    images="/var/lib/docker/containers/*/checkpoints",
)
STOP = Way(
    "stop and start", "docker", "docker stop $(docker ps -q)", "docker start $(docker ps -aq)"
)


def _drainer(name: str, route: str, pre_dump: int = 128) -> Way:
    return Way(
        name,
        "docker",
        "exec drainer drain",
        "exec drainer resume",
        images="/var/lib/drainer/checkpoints /var/lib/docker/containers/*/checkpoints",
        configuration=ROUTE.format(route, pre_dump),
        durable=True,
    )


DRAINER = _drainer("drainer", "runtime")
AT_ONCE = _drainer("drainer, no pre-dump", "runtime", 0)
ENGINE = _drainer("drainer, engine route", "engine")
PODMAN = Way(
    "Podman",
    "podman",
    "podman --runtime runc container checkpoint --all",
    "podman --runtime runc container restore --all",
    images="/var/lib/containers/storage/overlay-containers/*/userdata/checkpoint",
)
CRIU = Way(
    "criu alone",
    "process",
    "for f in /srv/pids/*; do d=/srv/images/${f##*/}; mkdir -p $d;"
    " criu dump -t $(cat $f) -D $d -o log || exit; done",
    "for f in /srv/pids/*; do criu restore -d -D /srv/images/${f##*/} -o log || exit; done",
    after="rm -rf /srv/images",
    images="/srv/images",
)


def _dd(size: int) -> Way:
    """Write so many MiB from memory."""
    return Way(
        "dd with fsync",
        "process",
        "dd if=/dev/shm/bytes of=/srv/copy bs=1M conv=fsync",
        before=f"yes $(head -c 3000 /dev/urandom | base64 -w0) | head -c {size}M >/dev/shm/bytes",
        after="rm /dev/shm/bytes /srv/copy",
        images="/srv/copy",
    )


@dataclass(frozen=True)
class Case:
    """One set of programs, running side by side."""

    name: str
    programs: tuple[Program, ...]
    ways: tuple[Way, ...]
    rounds: int = 1
    once: tuple[Way, ...] = ()
    """Ways that take so long that the first round is all they get."""
    fine: bool = False
    """Whether its programs give signs of life often enough to tell how long one was frozen."""
    probes: tuple[str, ...] = ()
    """Arguments of the prober, where programs do not say themselves that they are alive."""


def small(count: int) -> tuple[Program, ...]:
    return tuple(
        Program(f"n{i}", "lab/busybox", f"busybox sh -c '{SMALL.format(f'n{i}')}'", FOLDERS)
        for i in range(count)
    )


def _holders(count: int, size: int, changed: int = 1) -> tuple[Program, ...]:
    command = "python3 /srv/bench/program.py m{} {} {}"
    return tuple(
        Program(f"m{i}", "lab/python", command.format(i, size, changed), FOLDERS)
        for i in range(count)
    )


_POPULATED = "docker exec redis redis-cli debug populate 500000 && docker exec redis redis-cli save"
SERVICES = (
    Program(
        "redis",
        "lab/redis",
        "redis-server --bind 0.0.0.0 --protected-mode no --enable-debug-command yes",
        "-p 6379:6379",
        before=f"until docker exec redis redis-cli ping; do sleep 1; done; {_POPULATED}",
    ),
    Program(
        "jvm",
        "lab/python",
        "/usr/lib/jvm/java-21-openjdk-amd64/bin/java -m jdk.httpserver -b 0.0.0.0 -d /srv",
        "-p 8001:8000 -v /usr/lib/jvm:/usr/lib/jvm:ro -v /etc/java-21-openjdk:/etc/java-21-openjdk",
    ),
    Program("python", "lab/python", "python3 -B /srv/bench/service.py", f"-p 8002:8000 {FOLDERS}"),
)

CASES = (
    Case("20 small", small(20), (LOOP, STOP, DRAINER, PODMAN, CRIU), 2),
    Case(
        "1 GiB, mostly clean",
        _holders(1, 1024),
        (LOOP, DRAINER, AT_ONCE, PODMAN, CRIU, _dd(1024)),
        2,
        once=(LOOP,),
        fine=True,
    ),
    Case("1 small", small(1), (LOOP, STOP, DRAINER, ENGINE, PODMAN, CRIU), 3),
    Case(
        "redis of 500,000 keys, a JVM, a Python service",
        SERVICES,
        (STOP, LOOP, DRAINER),
        probes=("redis:6379:redis", "jvm:8001:http", "python:8002:http"),
    ),
    Case("5 small", small(5), (LOOP, DRAINER, PODMAN, CRIU)),
    Case(
        "200 MiB, all changed all the time",
        _holders(1, 200, 200),
        (LOOP, DRAINER, AT_ONCE),
        fine=True,
    ),
    Case("10 of 100 MiB", _holders(10, 100), (DRAINER, PODMAN, CRIU, _dd(1000))),
)
