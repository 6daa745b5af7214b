"""For each rule, cases in which it answers and near ones in which it does not."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from drainer.config.choices import Tcp
from drainer.model import (
    Bond,
    Container,
    EngineFacts,
    HostFacts,
    Mount,
    ProcessFacts,
    Provider,
    Route,
    Subject,
    Wish,
)

HOST = HostFacts(
    boot_id="b",
    kernel="6.12.57+deb13-amd64",
    architecture="x86_64",
    criu="4.1.1",
    criu_features=("seccomp_filters", "seccomp_suspend"),
    runc="/usr/sbin/runc",
    stand_in="/usr/local/sbin/runc",
)
ENGINE = EngineFacts(version="26.1.5+dfsg1", containerd="1.7.24", cgroup_driver="systemd")
CONTAINER = Container(id="a" * 64, name="web", pid=100)
PROCESSES = ProcessFacts(
    count=1,
    seccomp_mode=2,
    expected_bytes=4096,
    runtime="runc",
    runtime_root="/run/docker/runtime-runc/moby",
)

Facts = dict[str, Any]


@dataclass(frozen=True)
class Given:
    """What differs from an ordinary container on an ordinary host."""

    container: Facts = field(default_factory=dict)
    processes: Facts = field(default_factory=dict)
    host: Facts = field(default_factory=dict)
    engine: Facts = field(default_factory=dict)
    providers: tuple[Provider, ...] = ()
    group_addresses: tuple[str, ...] = ()
    far_addresses: frozenset[str] = frozenset()
    group_skipped: tuple[str, ...] = ()
    changing_addresses: tuple[str, ...] = ()
    wish: Wish = field(default_factory=Wish)
    no_room: dict[Route, str] = field(default_factory=dict)

    def subject(self) -> Subject:
        return Subject(
            replace(CONTAINER, **self.container),
            replace(PROCESSES, **self.processes),
            replace(HOST, **self.host),
            replace(ENGINE, **self.engine),
            self.providers,
            self.group_addresses,
            self.far_addresses,
            self.group_skipped,
            self.changing_addresses,
            self.wish,
            self.no_room,
        )


def on(**facts: object) -> Given:
    """Given an ordinary container on a host that differs in these facts."""
    return Given(host=dict(facts))


def under(**facts: object) -> Given:
    """Given an ordinary container under a Docker that differs in these facts."""
    return Given(engine=dict(facts))


def with_(**facts: object) -> Given:
    """Given a container that differs in these settings."""
    return Given(container=dict(facts))


def doing(*options: str, **facts: object) -> Given:
    """Given processes that differ in these facts, and these CRIU options."""
    return Given(processes=dict(facts), host={"criu_options": options})


def _unwilling(tcp: Tcp, *options: str, tcp_established: int = 1) -> Given:
    given = doing(*options, tcp_established=tcp_established)
    return replace(given, wish=Wish(tcp=tcp))


def _keeping(*peers: str, **fields: object) -> Given:
    facts: Facts = {"tcp_established": 1, "tcp_peers": peers}
    return Given(processes=facts, wish=Wish(tcp=Tcp.KEEP), **fields)  # type: ignore[arg-type]


def labelled(value: str) -> Given:
    return with_(labels={"drainer.enable": value})


def bound(source: str, propagation: str = "rprivate", *, kind: str = "bind") -> Given:
    return with_(mounts=(Mount(kind, source, "/mnt", propagation=propagation),))


def _propagated(mode: str, *options: str) -> Given:
    return replace(bound("/srv", mode), host={"criu_options": options})


def _network(version: str, mode: str, *, disabled: bool = False) -> Given:
    return Given(
        container={"network_mode": mode, "network_disabled": disabled}, engine={"version": version}
    )


def _using(bond: Bond, *, eligible: bool) -> Given:
    return Given(providers=(Provider("b" * 64, "db", bond, eligible),))


def _changing(*sentences: str, mode: str = "bridge") -> Given:
    return Given(container={"network_mode": mode}, changing_addresses=sentences)


def _worth(value: str) -> Given:
    return with_(labels={"drainer.priority": value})


def _left_out(label: str | None = None) -> Given:
    labels = {} if label is None else {"drainer.enable": label}
    return Given({"labels": labels}, wish=Wish(carry=False, place="/etc/drainer/config.yaml:3"))


def _full(route: Route) -> Given:
    return Given(no_room={route: "/: 1.0 GiB needed, 3 B available"})


def _slice(parent: str, driver: str = "systemd") -> Given:
    return Given(container={"cgroup_parent": parent}, engine={"cgroup_driver": driver})


def _each(make: Callable[[str], Given], *values: str) -> list[Given]:
    return [make(value) for value in values]


@dataclass(frozen=True)
class Cases:
    """`fires` must make the rule answer, `silent` must not."""

    fires: list[Given]
    silent: list[Given]


HOST_CASES = {
    "engine_not_experimental": Cases([under(experimental=False)], [under(experimental=True)]),
    "runc_missing": Cases([on(runc="", stand_in=""), on(runc="")], [Given()]),
    "stand_in_impossible": Cases([on(stand_in="")], [Given(), on(runc="", stand_in="")]),
    "engine_trial_failed": Cases(
        [on(failed_trials=("engine",))], [Given(), on(failed_trials=("runtime",))]
    ),
    "runtime_trial_failed": Cases(
        [on(failed_trials=("engine", "runtime"))], [Given(), on(failed_trials=("engine",))]
    ),
    "engine_rootless": Cases([under(rootless=True)], [under(rootless=False)]),
    "criu_missing": Cases([on(criu="")], [on(criu="4.1.1")]),
    "criu_too_old": Cases(
        [
            on(criu="3.17.1", kernel="6.1.0-40-amd64"),
            on(criu="4.1"),
            on(criu="unreadable"),
            on(criu="3.17.1", criu_package="3.17.1-2+deb12u1", kernel="6.1.0-56-amd64"),
            on(criu="3.17.1", criu_package="3.17.1-2+deb12u2", kernel="6.12.1-bpo12-amd64"),
            on(criu="4.1.1", kernel="6.16.0"),
            on(criu="4.2", kernel="7.1.3"),
        ],
        [
            on(criu=""),
            on(criu="3.17.1", criu_package="3.17.1-2+deb12u2", kernel="6.1.0-56-amd64"),
            on(criu="4.1.1", kernel="6.15.9"),
            on(criu="4.2", kernel="7.0.1"),
            on(criu="4.2.1", kernel="7.2.0-1-cloud-amd64"),
            on(criu="4.10"),
        ],
    ),
    "criu_check_failed": Cases(
        [on(criu_problem="Does not look good.")], [on(criu="", criu_problem="no such file")]
    ),
    "engine_silent_cold_start": Cases(
        [under(version="20.10.24+dfsg1", containerd="1.4.13~ds1")],
        [
            under(version="20.10.24+dfsg1", containerd="1.6.20"),
            under(version="20.10.24+dfsg1", containerd=""),
            under(version="23.0.1", containerd="1.4.13"),
        ],
    ),
    "engine_digest_bug": Cases(
        [under(version="25.0.0"), under(version="25.0.3")],
        [under(version="25.0.4"), under(version="24.0.9"), under(version="")],
    ),
}

SKIP_CASES = {
    "opted_out": Cases(
        _each(labelled, "false", "no", "0", "off", " False "),
        [*_each(labelled, "true", "maybe", ""), with_(labels={"other": "false"})],
    ),
    "label_invalid": Cases(
        _each(labelled, "", "maybe", "2", "fal se"),
        [*_each(labelled, "true", "YES", "1", "on", "false"), Given()],
    ),
    "not_selected": Cases(
        [_left_out(), _left_out("false")],
        [_left_out("true"), Given()],
    ),
    "not_running": Cases([with_(running=False)], [Given()]),
    "dead": Cases([with_(dead=True)], [Given()]),
    "restarting": Cases([with_(restarting=True)], [with_(restart_count=3)]),
    "swarm_task": Cases(
        [with_(labels={"com.docker.swarm.task.id": "x"})],
        [with_(labels={"com.docker.swarm.task.name": "x"}), under(swarm=True)],
    ),
    "auto_remove": Cases([with_(auto_remove=True)], [Given()]),
    "runtime_unsupported": Cases(
        [
            with_(runtime="kata"),
            with_(runtime="nvidia"),
            Given(container={"runtime": ""}, engine={"default_runtime": "crun"}),
        ],
        [
            with_(runtime="io.containerd.runc.v2"),
            with_(runtime=""),
            Given(container={"runtime": "own"}, engine={"runc_runtimes": ("runc", "own")}),
        ],
    ),
    "tty": Cases([with_(tty=True)], [Given()]),
    "no_new_privileges_lost": Cases(
        [Given(processes={"no_new_privileges": True}, host={"criu": "3.17.1"})],
        [doing(no_new_privileges=True), on(criu="3.17.1")],
    ),
    "bind_source_link": Cases([doing(linked_sources=("/etc/localtime",))], [Given()]),
    "init_process": Cases([with_(init=True)], [Given()]),
    "runtime_unseen": Cases([doing(runtime="")], [Given(), with_(running=False)]),
    "runtime_fixed": Cases(
        [doing(runtime="/usr/local/bin/runc"), doing(runtime="docker-runc")],
        [Given(), doing(runtime="")],
    ),
    "pid_host": Cases(
        [with_(pid_mode="host")], [with_(pid_mode="private"), with_(ipc_mode="host")]
    ),
    "pid_container": Cases(
        [with_(pid_mode="container:db")], [with_(pid_mode=""), with_(network_mode="container:db")]
    ),
    "netns_restore_broken": Cases(
        [
            _network("28.0.0", "bridge"),
            _network("28.5.2", "none"),
            _network("29.7.2", "project_default"),
            _network("26.0.0", "bridge"),
        ],
        [
            _network("26.0.1", "bridge"),
            _network("27.5.1", "bridge"),
            _network("28.5.2", "host"),
            _network("28.5.2", "container:db"),
            _network("28.5.2", "bridge", disabled=True),
        ],
    ),
    "device_gpu": Cases(
        [
            with_(device_requests=True),
            with_(devices=("/dev/nvidia0",)),
            with_(devices=("/dev/dri",)),
            with_(devices=("/dev/dri/renderD128",)),
        ],
        [with_(devices=("/dev/snd",))],
    ),
    "device_other": Cases(
        [with_(devices=("/dev/snd",)), with_(devices=("/dev/null", "/dev/ttyUSB0"))],
        [with_(devices=("/dev/null", "/dev/urandom")), with_(devices=("/dev/kfd",))],
    ),
    "mount_propagation": Cases(
        [_propagated(mode) for mode in ("shared", "rshared", "slave", "rslave")],
        [
            _propagated("rprivate"),
            _propagated(""),
            _propagated("rslave", "enable-external-masters"),
        ],
    ),
    "bind_source_volatile": Cases(
        _each(
            bound,
            "/run/app",
            "/run",
            "/tmp/x",
            "//tmp/x",
            "/dev/shm/x",
            "/var/run/app.sock",
            "/var/lock/x",
            "/srv/../tmp/x",
            "/run/docker.sock.d",
        ),
        [
            *_each(
                bound,
                "/",
                "/srv",
                "/tmpfiles",
                "/var/tmp/x",
                "/runner",
                "/dev/log",
                "/run/docker.sock",
                "/var/run/docker.sock",
                "/run/containerd/containerd.sock",
                "/run/dbus/system_bus_socket",
                "/run/systemd/journal/socket",
            ),
            bound("/tmp/x", kind="volume"),
        ],
    ),
    "processes_unseen": Cases(
        [doing(count=0)],
        [
            Given(),
            Given(container={"restarting": True}, processes={"count": 0}),
            Given(container={"running": False}, processes={"count": 0}),
        ],
    ),
    "seccomp_unsupported": Cases(
        [
            on(criu_features=()),
            on(criu_features=("seccomp_filters",)),
            on(criu_features=("seccomp_suspend",)),
            Given(processes={"seccomp_mode": 1}, host={"criu_features": ("seccomp_filters",)}),
        ],
        [
            Given(),
            Given(processes={"seccomp_mode": 0}, host={"criu_features": ()}),
            Given(processes={"seccomp_mode": 1}, host={"criu_features": ("seccomp_suspend",)}),
        ],
    ),
    "traced": Cases([doing(traced=True)], [Given()]),
    "unsupported_files": Cases([doing(unsupported_files=("anon_inode:[io_uring]",))], [Given()]),
    "device_open": Cases([doing(devices=("/dev/snd/timer",))], [with_(devices=("/dev/snd",))]),
    "nested_namespaces": Cases(
        [doing(nested_namespaces=("net",)), doing(nested_namespaces=("mnt", "pid"))],
        [doing(nested_namespaces=("mnt",)), Given()],
    ),
    "inner_mounts": Cases([doing(inner_mounts=("/mnt/fuse",))], [Given()]),
    "unix_external_stream": Cases(
        [doing(unix_outside=("/run/docker.sock",)), doing("ext-unix-sk", unix_outside=("x",))],
        [Given()],
    ),
    "shm_external": Cases([doing(shm_outside=("/dev/shm/x",))], [with_(ipc_mode="shareable")]),
    "tcp_not_wanted": Cases(
        [_unwilling(Tcp.SKIP, tcp_established=1), _unwilling(Tcp.SKIP, "tcp-close")],
        [
            _unwilling(Tcp.CLOSE),
            _unwilling(Tcp.SKIP, tcp_established=0),
            _unwilling(Tcp.SKIP, "tcp-established"),
        ],
    ),
    "tcp_not_kept": Cases(
        [
            _keeping("10.0.0.3"),
            _keeping("10.0.0.3", "10.0.0.2", group_addresses=("10.0.0.2",)),
            replace(_keeping(), host={"criu_options": ("tcp-close",)}),
            _keeping(changing_addresses=("front: x",)),
            _keeping("127.0.0.1"),
            _keeping("192.0.2.9", "192.0.2.8", far_addresses=frozenset({"192.0.2.9"})),
        ],
        [
            _keeping("10.0.0.3", "127.0.0.1", group_addresses=("10.0.0.3", "127.0.0.1")),
            replace(_keeping("10.0.0.3"), processes={"tcp_peers": ("10.0.0.3",)}),
            replace(_keeping("10.0.0.3"), wish=Wish()),
            _keeping("192.0.2.9", far_addresses=frozenset({"192.0.2.9"})),
        ],
    ),
    "tcp_established": Cases(
        [
            doing(tcp_established=1),
            doing("file-locks", tcp_established=1),
            replace(doing("tcp-established", tcp_established=1), wish=Wish(tcp=Tcp.KEEP)),
        ],
        [
            doing("tcp-close", tcp_established=1),
            doing("tcp-established", tcp_established=1),
            Given(),
        ],
    ),
    "file_locks": Cases(
        [doing(file_locks=2), doing("tcp-close", file_locks=2)],
        [doing("file-locks", file_locks=2), Given()],
    ),
    "ghost_file_large": Cases(
        [doing(deleted_files=("/tmp/x (deleted)",))],
        [doing("ghost-limit", deleted_files=("/tmp/x (deleted)",)), Given()],
    ),
    "ghost_file_over_limit": Cases(
        [
            doing(largest_deleted=(1 << 30) + 1),
            Given(processes={"largest_deleted": 2 << 20}, wish=Wish(ghost_limit_mib=1)),
        ],
        [doing(largest_deleted=1 << 30), doing("ghost-limit", largest_deleted=1 << 40)],
    ),
    "provider_skipped": Cases(
        [_using(bond, eligible=False) for bond in (Bond.NETWORK, Bond.PID, Bond.IPC, Bond.LINK)],
        [
            _using(Bond.NETWORK, eligible=True),
            _using(Bond.VOLUMES, eligible=False),
            _using(Bond.COMPOSE, eligible=False),
        ],
    ),
    "no_room_engine": Cases([_full(Route.ENGINE)], [_full(Route.RUNTIME), Given()]),
    "no_room_runtime": Cases([_full(Route.RUNTIME)], [_full(Route.ENGINE), Given()]),
    "group_incomplete": Cases([Given(group_skipped=("db",), wish=Wish(group="g"))], [Given()]),
}

NOTE_CASES = {
    "exec_sessions": Cases([with_(exec_sessions=1)], [Given()]),
    "cgroup_parent_slice": Cases(
        [_slice("own.slice")],
        [_slice(""), _slice("system.slice"), _slice("/own", driver="cgroupfs")],
    ),
    "tcp_connections": Cases([doing("tcp-close", tcp_established=1)], [doing("tcp-close")]),
    "tcp_kept": Cases(
        [_keeping("192.0.2.9", far_addresses=frozenset({"192.0.2.9"}))],
        [
            Given(),
            _keeping("10.0.0.3", group_addresses=("10.0.0.3",)),
            replace(_keeping("9.9.9.9", far_addresses=frozenset({"9.9.9.9"})), wish=Wish()),
        ],
    ),
    "address_changes": Cases(
        [_changing("bridge: for some reason")],
        [Given(), _changing("bridge: for some reason", mode="container:db")],
    ),
    "net_host": Cases([with_(network_mode="host")], [Given()]),
    "paused_by_owner": Cases([with_(paused=True)], [Given()]),
    "priority_invalid": Cases(
        [_worth(v) for v in ("", "high", "1.5", "1001", "-1001", "1e3", "٣", "0x1", "9" * 5000)],
        [Given(), *(_worth(v) for v in ("0", "-1000", "1000", "+7", " 12 ", "007"))],
    ),
    "label_ignored": Cases(
        [
            with_(labels={label: value})
            for label, value in (
                ("drainer.enabled", "true"),
                ("drainer.", ""),
                ("drainer.tcp", "keep open"),
                ("drainer.timeout", "0"),
                ("drainer.on-restore-failure", "stop"),
            )
        ],
        [
            with_(labels={label: value})
            for label, value in (
                ("drainerx", "1"),
                ("drainer.enable", "perhaps"),
                ("drainer.priority", "high"),
                ("drainer.tcp", " skip"),
                ("drainer.timeout", "86400"),
            )
        ],
    ),
    "nested_mounts": Cases(
        [doing(nested_namespaces=("mnt",))], [doing(nested_namespaces=("net",))]
    ),
    "userns_remap": Cases([under(userns_remap=True)], [Given()]),
}
