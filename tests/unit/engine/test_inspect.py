import copy
from collections.abc import Callable
from typing import Any

import pytest

from drainer.engine.inspect import (
    checkpoint_names,
    container_from,
    container_ids,
    endpoints,
    engine_facts,
    exec_ids,
    exec_is_running,
    names_no_runtime,
    network_names,
    new_id,
    volume_names,
)
from drainer.errors import EngineError
from drainer.model import EngineFacts, Mount, RestartPolicy
from drainer.networks import Address, Endpoint, Membership, Port

ID = "4f66ad9a0b2e6c6ee1d3a9a0cbf0f3f9e1e2a8a2f5a7a4f1b6f1a3f7c1d2e3f4"
OTHER = "b" * 64
EVERY = "0.0.0.0"  # noqa: S104 - nothing is bound

INSPECT: dict[str, Any] = {
    "Id": ID,
    "Created": "2026-03-01T08:00:00.123456789Z",
    "Path": "/usr/bin/server",
    "Args": ["--port", "80"],
    "State": {
        "Status": "running",
        "Running": True,
        "Paused": True,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 4711,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2026-03-01T08:00:01.5Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    },
    "Image": "sha256:" + "a" * 64,
    "Name": "/shop-web-1",
    "RestartCount": 3,
    "Driver": "overlay2",
    "MountLabel": "",
    "ExecIDs": ["e1" * 32, "e2" * 32],
    "HostConfig": {
        "Binds": None,
        "NetworkMode": "shop_default",
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
        "AutoRemove": False,
        "VolumesFrom": ["data:ro", "logs"],
        "CapAdd": None,
        "IpcMode": "private",
        "Links": ["/db:/shop-web-1/database", "/cache:/shop-web-1/cache"],
        "PidMode": f"container:{OTHER}",
        "Privileged": True,
        "SecurityOpt": ["no-new-privileges"],
        "Runtime": "runc",
        "CgroupParent": "shop.slice",
        "Devices": [
            {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}
        ],
        "DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}],
        "Init": True,
        "PortBindings": {
            "80/tcp": [
                {"HostIp": "", "HostPort": "8080"},
                {"HostIp": "", "HostPort": "0"},
                {"HostIp": "", "HostPort": "8000-8010"},
            ],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}, {"HostPort": ""}],
            "443/tcp": [{"HostIp": "", "HostPort": "443"}],
        },
    },
    "Mounts": [
        {
            "Type": "volume",
            "Name": "data",
            "Source": "/var/lib/docker/volumes/data/_data",
            "Destination": "/data",
            "Driver": "local",
            "Mode": "z",
            "RW": True,
            "Propagation": "",
        },
        {
            "Type": "bind",
            "Source": "/srv",
            "Destination": "/srv",
            "Mode": "",
            "RW": False,
            "Propagation": "rshared",
        },
    ],
    "Config": {
        "Hostname": "web",
        "Tty": True,
        "OpenStdin": False,
        "Image": "shop/web:1",
        "Labels": {"com.docker.compose.project": "shop"},
        "NetworkDisabled": True,
    },
    "NetworkSettings": {
        "Bridge": "",
        "Ports": {
            "80/tcp": [
                {"HostIp": EVERY, "HostPort": "8080"},
                {"HostIp": "::", "HostPort": "8080"},
                {"HostIp": EVERY, "HostPort": "32768"},
                {"HostIp": EVERY, "HostPort": "8003"},
            ],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
            "443/tcp": None,
        },
        "Networks": {
            "shop_front": {
                "IPAMConfig": {"IPv4Address": "172.20.0.9"},
                "Links": None,
                "Aliases": ["web"],
                "MacAddress": "02:42:ac:14:00:09",
                "NetworkID": "c" * 64,
                "IPAddress": "172.20.0.9",
                "GlobalIPv6Address": "",
            },
            "shop_default": {
                "IPAMConfig": None,
                "MacAddress": "02:42:ac:13:00:02",
                "IPAddress": "172.19.0.2",
                "GlobalIPv6Address": "fd00::2",
            },
        },
    },
}

BARE: dict[str, Any] = {
    "Id": ID,
    "Name": "/bare",
    "State": {"Status": "exited", "Running": False, "ExitCode": 137, "Error": "no such device"},
    "ExecIDs": None,
    "HostConfig": {
        "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
        "VolumesFrom": None,
        "Links": None,
        "SecurityOpt": None,
        "Devices": None,
        "DeviceRequests": None,
        "Init": None,
        "Runtime": "",
    },
    "Mounts": None,
    "Config": {"Labels": None, "Image": ""},
    "NetworkSettings": {"Networks": None},
}


def test_every_field_is_read() -> None:
    container = container_from(INSPECT, exec_sessions=2)
    assert (container.id, container.name, container.image) == (ID, "shop-web-1", "shop/web:1")
    assert container.started_at == "2026-03-01T08:00:01.5Z"
    assert container.finished_at == "0001-01-01T00:00:00Z"
    assert (container.running, container.paused, container.restarting) == (True, True, False)
    assert (container.pid, container.exit_code, container.restart_count) == (4711, 0, 3)
    assert container.restart_policy == RestartPolicy("on-failure", 5)
    assert container.tty
    assert container.init
    assert container.privileged
    assert container.network_disabled
    assert not container.auto_remove
    assert container.network_mode == "shop_default"
    assert container.pid_mode == f"container:{OTHER}"
    assert container.ipc_mode == "private"
    assert container.cgroup_parent == "shop.slice"
    assert container.security_opt == ("no-new-privileges",)
    assert container.devices == ("/dev/fuse",)
    assert container.device_requests
    assert container.labels == {"com.docker.compose.project": "shop"}
    assert container.exec_sessions == 2


def test_users_of_other_containers_name_them() -> None:
    container = container_from(INSPECT)
    assert container.volumes_from == ("data", "logs")
    assert container.links == ("db", "cache")


def test_mounts_and_addresses() -> None:
    container = container_from(INSPECT)
    assert container.mounts == (
        Mount("volume", "/var/lib/docker/volumes/data/_data", "/data", "local", "data"),
        Mount("bind", "/srv", "/srv", propagation="rshared", writable=False),
    )
    assert container.addresses == (
        Address("shop_default", "172.19.0.2", "fd00::2", "02:42:ac:13:00:02", fixed=False),
        Address("shop_front", "172.20.0.9", "", "02:42:ac:14:00:09", fixed=True),
    )


def test_only_ports_that_were_asked_for_and_are_bound_are_known() -> None:
    assert container_from(INSPECT).ports == (
        Port(53, "udp", "127.0.0.1"),
        Port(8080, "tcp", EVERY),
        Port(8080, "tcp", "::"),
    )


def test_what_there_is_for_containers() -> None:
    networks = [{"Id": "1", "Name": "bridge"}, {"Id": "2", "Name": "shop"}]
    assert network_names(networks) == {"1": "bridge", "2": "shop"}
    assert volume_names({"Volumes": [{"Name": "data"}], "Warnings": None}) == {"data"}
    assert (network_names(None), volume_names({"Volumes": None})) == ({}, frozenset())


def test_networks_are_known_by_what_they_were_asked_for() -> None:
    assert container_from(INSPECT).networks == (
        Membership("shop_default"),
        Membership("shop_front", "c" * 64, ("web",), "172.20.0.9"),
    )


def test_an_address_asked_for_in_ipv6_is_fixed() -> None:
    data = copy.deepcopy(INSPECT)
    data["NetworkSettings"]["Networks"] = {"n": {"IPAMConfig": {"IPv6Address": "fd00::9"}}}
    assert container_from(data).addresses == (Address("n", fixed=True),)


def test_what_is_allotted_on_a_network() -> None:
    data = {
        "Name": "n",
        "Containers": {
            "abc": {
                "Name": "web",
                "MacAddress": "02:42:0a:09:00:02",
                "IPv4Address": "10.9.0.2/24",
                "IPv6Address": "fd00:9::2/64",
            },
            "ep-1": {"Name": "new", "IPv4Address": "10.9.0.3/24", "IPv6Address": ""},
        },
    }
    assert endpoints(data) == {
        "abc": Endpoint("10.9.0.2", "fd00:9::2", "02:42:0a:09:00:02"),
        "ep-1": Endpoint("10.9.0.3"),
    }
    assert endpoints({"Containers": None}) == {}


def test_the_id_of_a_new_container() -> None:
    assert new_id({"Id": "abc", "Warnings": None}) == "abc"
    with pytest.raises(EngineError, match="no Id"):
        new_id({})


def test_null_and_absent_read_as_empty() -> None:
    container = container_from(BARE, default_runtime="crun")
    assert container.restart_policy == RestartPolicy("no", 0)
    assert container.runtime == "crun"
    assert (container.exit_code, container.error) == (137, "no such device")
    assert not container.running
    assert not container.init
    assert not container.mounts
    assert not container.addresses
    assert not container.links
    assert container.labels == {}
    assert exec_ids(BARE) == ()
    assert names_no_runtime(BARE)
    assert not names_no_runtime(INSPECT)


def test_an_id_is_enough() -> None:
    assert container_from({"Id": ID}).name == ID


def _set(*path: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_set("Id", to=None), "Id"),
        (_set("Id", to=7), "Id should be a string, not int"),
        (_set("State", to=[]), "State should be an object"),
        (_set("State", "Pid", to="4711"), "State.Pid should be a whole number, not str"),
        (_set("State", "Pid", to=True), "State.Pid"),
        (_set("State", "Running", to="true"), "State.Running should be true or false"),
        (_set("HostConfig", "Links", to="/db:/web/db"), "HostConfig.Links should be a list"),
        (_set("HostConfig", "Links", to=[None]), r"HostConfig.Links\[0\] should be a string"),
        (_set("HostConfig", "Devices", to=["/dev/x"]), r"HostConfig.Devices\[0\]"),
        (_set("Config", "Labels", to={"a": 1}), "Config.Labels.a should be a string"),
        (_set("NetworkSettings", "Networks", "shop_front", to=1), "Networks.shop_front"),
    ],
)
def test_a_wrong_type_is_named(change: Callable[[dict[str, Any]], None], where: str) -> None:
    data = copy.deepcopy(INSPECT)
    change(data)
    with pytest.raises(EngineError, match=where):
        container_from(data)


@pytest.mark.parametrize("data", [[], "text", 5, None])
def test_what_is_no_object_is_no_container(data: object) -> None:
    with pytest.raises(EngineError, match="Docker's answer cannot be used"):
        container_from(data)


def test_lists() -> None:
    assert container_ids([{"Id": "a"}, {"Id": "b"}]) == ("a", "b")
    assert container_ids(None) == ()
    assert checkpoint_names(None) == ()
    assert checkpoint_names([{"Name": "one"}]) == ("one",)
    with pytest.raises(EngineError, match="should be a list"):
        checkpoint_names({"Name": "one"})


def test_exec_sessions() -> None:
    assert exec_ids(INSPECT) == ("e1" * 32, "e2" * 32)
    assert exec_is_running({"Running": True})
    assert not exec_is_running({"Running": False, "ExitCode": 0})


INFO: dict[str, Any] = {
    "ID": "x",
    "ServerVersion": "26.1.5+dfsg1",
    "Driver": "overlay2",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "ExperimentalBuild": True,
    "LiveRestoreEnabled": True,
    "DockerRootDir": "/srv/docker",
    "DefaultRuntime": "runc",
    "Runtimes": {
        "io.containerd.runc.v2": {"path": "runc"},
        "runc": {"path": "runc", "status": {"org.opencontainers.runtime-spec.features": "{}"}},
        "other-runc": {"path": "/opt/bin/runc"},
        "wrapped": {"path": "runc", "runtimeArgs": ["--debug"]},
        "crun": {"path": "/usr/bin/crun"},
        "shim": {"runtimeType": "io.containerd.runc.v2"},
        "shim-crun": {
            "runtimeType": "io.containerd.runc.v2",
            "options": {"BinaryName": "/usr/bin/crun"},
        },
        "gvisor": {"runtimeType": "io.containerd.runsc.v1"},
    },
    "Swarm": {"NodeID": "", "LocalNodeState": "active"},
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
}
VERSION: dict[str, Any] = {
    "Version": "26.1.5+dfsg1",
    "ApiVersion": "1.45",
    "Components": [
        {"Name": "Engine", "Version": "26.1.5+dfsg1", "Details": {"Experimental": "true"}},
        {"Name": "containerd", "Version": "1.7.24~ds1", "Details": {"GitCommit": ""}},
        {"Name": "runc", "Version": "1.1.15+ds1", "Details": None},
    ],
    "Experimental": True,
}


def test_facts_of_a_daemon() -> None:
    assert engine_facts(INFO, VERSION) == EngineFacts(
        version="26.1.5+dfsg1",
        api_version="1.45",
        experimental=True,
        rootless=False,
        userns_remap=False,
        swarm=True,
        live_restore=True,
        default_runtime="runc",
        runc_runtimes=("io.containerd.runc.v2", "other-runc", "runc", "shim"),
        root_dir="/srv/docker",
        containerd="1.7.24~ds1",
        runc="1.1.15+ds1",
        storage="overlay2",
        daemon_id="x",
        cgroup_driver="systemd",
    )


def test_facts_of_another_daemon() -> None:
    info = {
        **INFO,
        "ExperimentalBuild": False,
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=userns"],
        "Swarm": {"LocalNodeState": "inactive"},
    }
    facts = engine_facts(info, {**VERSION, "Experimental": False})
    assert facts.rootless
    assert facts.userns_remap
    assert not facts.swarm
    assert not facts.experimental


def test_facts_of_a_daemon_that_tells_nothing() -> None:
    facts = engine_facts({"SecurityOptions": None, "Runtimes": None}, {"Components": None})
    assert (facts.version, facts.containerd, facts.runc) == ("", "", "")
    assert facts.runc_runtimes == ()
    assert not facts.experimental
    with pytest.raises(EngineError, match=r"info\.Swarm should be an object"):
        engine_facts({"Swarm": "active"}, {})
