"""Docker's JSON as drainer's types. Pure: nothing is asked of anybody here.

Docker writes `null` for whatever is empty, and leaves out what a version does not know; both
read as empty. A value of a wrong type raises `EngineError` naming the field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import cast

from drainer.errors import EngineError
from drainer.model import Container, EngineFacts, Mount, RestartPolicy
from drainer.networks import Address, Endpoint, Membership, Pool, Port

_RUNC_TYPE = "io.containerd.runc.v2"


@dataclass(frozen=True, slots=True)
class _Table:
    """A JSON object, and where it stands in Docker's answer."""

    path: str
    values: Mapping[str, object]

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise _wrong(self._at(key), "a string", value)
        return value

    def number(self, key: str) -> int:
        value = self.values.get(key)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(self._at(key), "a whole number", value)
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise _wrong(self._at(key), "true or false", value)
        return value

    def table(self, key: str) -> "_Table":
        return _table(self._at(key), self.values.get(key))

    def tables(self, key: str) -> tuple["_Table", ...]:
        at = self._at(key)
        return tuple(_table(f"{at}[{i}]", v) for i, v in enumerate(self._list(key)))

    def texts(self, key: str) -> tuple[str, ...]:
        at = self._at(key)
        return tuple(_text(f"{at}[{i}]", v) for i, v in enumerate(self._list(key)))

    def children(self) -> tuple[tuple[str, "_Table"], ...]:
        """Read every value as an object, ordered by key."""
        return tuple((key, self.table(key)) for key in sorted(self.values))

    def strings(self) -> dict[str, str]:
        """Read every value as a string."""
        return {key: self.text(key) for key in self.values}

    def _list(self, key: str) -> list[object]:
        return _list(self._at(key), self.values.get(key))


def _wrong(path: str, expected: str, value: object) -> EngineError:
    shown = "null" if value is None else type(value).__name__
    return EngineError(
        f"Docker's answer cannot be used: {path or 'it'} should be {expected}, not {shown}"
    )


def _table(path: str, value: object) -> _Table:
    if value is None:
        return _Table(path, {})
    if not isinstance(value, dict):
        raise _wrong(path, "an object", value)
    return _Table(path, cast("dict[str, object]", value))


def _list(path: str, value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(path, "a list", value)
    return cast("list[object]", value)


def _text(path: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(path, "a string", value)
    return value


def container_from(
    data: object, *, default_runtime: str = "runc", exec_sessions: int = 0
) -> Container:
    """Read the answer of `GET /containers/ID/json`.

    `exec_sessions` is not in that answer: see `exec_ids`.
    """
    top = _table("", data)
    identity = top.text("Id")
    if not identity:
        raise EngineError("Docker's answer cannot be used: the container has no Id")
    state, config, host = top.table("State"), top.table("Config"), top.table("HostConfig")
    policy = host.table("RestartPolicy")
    settings = top.table("NetworkSettings")
    networks = settings.table("Networks").children()
    return Container(
        id=identity,
        name=top.text("Name").removeprefix("/") or identity,
        image=config.text("Image") or top.text("Image"),
        started_at=state.text("StartedAt"),
        finished_at=state.text("FinishedAt"),
        running=state.flag("Running"),
        paused=state.flag("Paused"),
        restarting=state.flag("Restarting"),
        dead=state.flag("Dead"),
        exit_code=state.number("ExitCode"),
        restart_count=top.number("RestartCount"),
        error=state.text("Error"),
        pid=state.number("Pid"),
        restart_policy=RestartPolicy(
            policy.text("Name") or "no", policy.number("MaximumRetryCount")
        ),
        tty=config.flag("Tty"),
        auto_remove=host.flag("AutoRemove"),
        init=host.flag("Init"),
        privileged=host.flag("Privileged"),
        network_disabled=config.flag("NetworkDisabled"),
        runtime=host.text("Runtime") or default_runtime,
        network_mode=host.text("NetworkMode"),
        pid_mode=host.text("PidMode"),
        ipc_mode=host.text("IpcMode"),
        cgroup_parent=host.text("CgroupParent"),
        security_opt=host.texts("SecurityOpt"),
        devices=tuple(device.text("PathOnHost") for device in host.tables("Devices")),
        device_requests=bool(host.tables("DeviceRequests")),
        volumes_from=tuple(entry.partition(":")[0] for entry in host.texts("VolumesFrom")),
        links=tuple(_linked(entry) for entry in host.texts("Links")),
        labels=config.table("Labels").strings(),
        mounts=tuple(_mount(mount) for mount in top.tables("Mounts")),
        addresses=tuple(_address(name, end) for name, end in networks),
        networks=tuple(_membership(name, end) for name, end in networks),
        ports=_ports(settings.table("Ports"), host.table("PortBindings")),
        exec_sessions=exec_sessions,
    )


def _linked(entry: str) -> str:
    """Return `db` for `/db:/web/alias`."""
    return entry.partition(":")[0].removeprefix("/")


def _mount(mount: _Table) -> Mount:
    return Mount(
        kind=mount.text("Type"),
        source=mount.text("Source"),
        destination=mount.text("Destination"),
        driver=mount.text("Driver"),
        name=mount.text("Name"),
        propagation=mount.text("Propagation"),
        writable=mount.values.get("RW") is None or mount.flag("RW"),
    )


def _address(network: str, endpoint: _Table) -> Address:
    asked = endpoint.table("IPAMConfig")
    return Address(
        network=network,
        ipv4=endpoint.text("IPAddress"),
        ipv6=endpoint.text("GlobalIPv6Address"),
        mac=endpoint.text("MacAddress"),
        fixed=bool(asked.text("IPv4Address") or asked.text("IPv6Address")),
    )


def _membership(network: str, endpoint: _Table) -> Membership:
    asked = endpoint.table("IPAMConfig")
    return Membership(
        network=network,
        id=endpoint.text("NetworkID"),
        aliases=endpoint.texts("Aliases"),
        ipv4=asked.text("IPv4Address"),
        ipv6=asked.text("IPv6Address"),
    )


def _ports(bound: _Table, asked: _Table) -> tuple[Port, ...]:
    """Read what Docker has bound, such as `80/tcp`, where that number was asked for.

    Where none, `0` or a range was asked for, Docker chooses another one at the next start.
    """
    return tuple(
        Port(int(number), inside.partition("/")[2] or "tcp", binding.text("HostIp"))
        for inside in sorted(bound.values)
        for binding in bound.tables(inside)
        if (number := binding.text("HostPort")).isdecimal() and int(number)
        if number in {wish.text("HostPort") for wish in asked.tables(inside)}
    )


def names_no_runtime(data: object) -> bool:
    """Tell whether a container leaves its runtime to the daemon's default."""
    return not _table("", data).table("HostConfig").text("Runtime")


def exec_ids(data: object) -> tuple[str, ...]:
    """Return the ids of a container's `docker exec` sessions, ended ones too."""
    return _table("", data).texts("ExecIDs")


def exec_is_running(data: object) -> bool:
    """Read the answer of `GET /exec/ID/json`."""
    return _table("", data).flag("Running")


def container_ids(data: object) -> tuple[str, ...]:
    """Read the answer of `GET /containers/json`, or of `GET /images/json`."""
    return tuple(_table(f"[{i}]", v).text("Id") for i, v in enumerate(_list("", data)))


def new_id(data: object) -> str:
    """Read the answer of `POST /containers/create`."""
    identity = _table("", data).text("Id")
    if not identity:
        raise EngineError("Docker's answer cannot be used: the new container has no Id")
    return identity


def endpoints(data: object) -> dict[str, Endpoint]:
    """Read the answer of `GET /networks/NAME`: what is allotted, by container id.

    What is allotted to no container yet is named `ep-ID` (moby daemon/network.go
    buildContainerAttachments).
    """
    return {
        name: Endpoint(
            ipv4=end.text("IPv4Address").partition("/")[0],
            ipv6=end.text("IPv6Address").partition("/")[0],
            mac=end.text("MacAddress"),
        )
        for name, end in _table("", data).table("Containers").children()
    }


def network_names(data: object) -> dict[str, str]:
    """Read the answer of `GET /networks`: the names, by id."""
    found = (_table(f"[{i}]", v) for i, v in enumerate(_list("", data)))
    return {network.text("Id"): network.text("Name") for network in found}


def volume_names(data: object) -> frozenset[str]:
    """Read the answer of `GET /volumes`."""
    return frozenset(volume.text("Name") for volume in _table("", data).tables("Volumes"))


def pools(data: object) -> tuple[Pool, ...]:
    """Read the answer of `GET /networks/NAME`: from where its addresses are chosen."""
    return tuple(
        Pool(
            subnet=part.text("Subnet"),
            part=part.text("IPRange"),
            reserved=tuple(
                text
                for text in (
                    part.text("Gateway"),
                    *part.table("AuxiliaryAddresses").strings().values(),
                )
                if text
            ),
        )
        for part in _table("", data).table("IPAM").tables("Config")
    )


def checkpoint_names(data: object) -> tuple[str, ...]:
    """Read the answer of `GET /containers/ID/checkpoints`, which is `null` without any."""
    return tuple(_table(f"[{i}]", v).text("Name") for i, v in enumerate(_list("", data)))


def engine_facts(info: object, version: object) -> EngineFacts:
    """Read the answers of `GET /info` and `GET /version`."""
    about, release = _table("info", info), _table("version", version)
    components = {part.text("Name"): part.text("Version") for part in release.tables("Components")}
    security = {option for entry in about.texts("SecurityOptions") for option in entry.split(",")}
    return EngineFacts(
        version=release.text("Version") or about.text("ServerVersion"),
        api_version=release.text("ApiVersion"),
        experimental=about.flag("ExperimentalBuild") or release.flag("Experimental"),
        rootless="name=rootless" in security,
        userns_remap="name=userns" in security,
        swarm=about.table("Swarm").text("LocalNodeState") == "active",
        live_restore=about.flag("LiveRestoreEnabled"),
        default_runtime=about.text("DefaultRuntime") or "runc",
        runc_runtimes=tuple(
            name for name, runtime in about.table("Runtimes").children() if _is_runc(runtime)
        ),
        root_dir=about.text("DockerRootDir") or "/var/lib/docker",
        containerd=components.get("containerd", ""),
        runc=components.get("runc", ""),
        storage=about.text("Driver"),
        cgroup_driver=about.text("CgroupDriver"),
        daemon_id=about.text("ID"),
    )


def _is_runc(runtime: _Table) -> bool:
    """Tell whether an entry of `Runtimes` is runc itself (moby api/types/system/runtime.go).

    Arguments can change what runc does, and a shim of runc's type can be given another binary.
    """
    if runtime.texts("runtimeArgs"):
        return False
    binary = runtime.text("path") or runtime.table("options").text("BinaryName")
    if binary:
        return PurePosixPath(binary).name == "runc"
    return runtime.text("runtimeType") == _RUNC_TYPE
