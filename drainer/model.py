"""The words of drainer as frozen types. Nothing here reads or writes anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from drainer.config.choices import DumpFallback, RestoreFallback, Tcp
from drainer.networks import Address, Membership, Port
from drainer.storage import NOT_KNOWN, Places


class Route(StrEnum):
    """How a checkpoint is made and restored."""

    ENGINE = "engine"
    """Docker's checkpoint API and `start --checkpoint`."""
    RUNTIME = "runtime"
    """runc, without Docker's checkpoints: see `drainer.runtime`."""


ROUTES = (Route.ENGINE, Route.RUNTIME)
"""Every route, the preferred one first."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Docker's restart policy: `no`, `always`, `unless-stopped` or `on-failure`."""

    name: str = "no"
    max_retries: int = 0
    """Only with `on-failure`; 0 means without limit."""

    @property
    def held(self) -> bool:
        """Whether this policy never makes Docker start the container by itself."""
        return self.name in {"", "no"}

    def starts_at_boot(self, exit_code: int, restart_count: int) -> bool:
        """Tell whether dockerd starts such a container at its own start.

        The container was running when the host went down, so it was not stopped by hand
        (moby daemon/container/container.go ShouldRestart, restartmanager.ShouldRestart).
        """
        if self.name in {"always", "unless-stopped"}:
            return True
        if self.name == "on-failure" and exit_code != 0:
            return self.max_retries == 0 or restart_count < self.max_retries
        return False


@dataclass(frozen=True, slots=True)
class Mount:
    """One entry of `Mounts` in docker inspect."""

    kind: str
    """`bind`, `volume`, `tmpfs`, ..."""
    source: str
    destination: str
    driver: str = ""
    name: str = ""
    """Of a volume."""
    propagation: str = ""
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Container:
    """A container as docker inspect describes it. Times are Docker's RFC 3339 strings."""

    id: str
    name: str
    image: str = ""
    started_at: str = ""
    finished_at: str = ""
    running: bool = True
    """Docker calls a paused or restarting container running too."""
    paused: bool = False
    restarting: bool = False
    dead: bool = False
    exit_code: int = 0
    restart_count: int = 0
    error: str = ""
    """Docker's own words about the last failed start."""
    pid: int = 0
    """Host pid of the first process; 0 when not running."""
    restart_policy: RestartPolicy = RestartPolicy()
    tty: bool = False
    auto_remove: bool = False
    init: bool = False
    """`--init`, or the daemon's default for it."""
    privileged: bool = False
    network_disabled: bool = False
    runtime: str = "runc"
    network_mode: str = "bridge"
    pid_mode: str = ""
    ipc_mode: str = "private"
    cgroup_parent: str = ""
    security_opt: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    """Host paths given with `--device`."""
    device_requests: bool = False
    """Whether devices were asked for by capability (`--gpus`)."""
    volumes_from: tuple[str, ...] = ()
    """Names or ids, without the `:ro` suffix."""
    links: tuple[str, ...] = ()
    """Names of the linked containers, without leading slash and alias."""
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    addresses: tuple[Address, ...] = ()
    networks: tuple[Membership, ...] = ()
    ports: tuple[Port, ...] = ()
    """What Docker has bound on the host for it while it runs, but for ports of Docker's choice."""
    exec_sessions: int = 0
    """Running `docker exec` sessions."""


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What /proc tells of one container's processes."""

    count: int = 0
    seccomp_mode: int = 0
    """The highest of `Seccomp:` in /proc/PID/status: 0 none, 1 strict, 2 filter."""
    expected_bytes: int = 0
    """What a checkpoint has to hold: memory that is anonymous, shared, swapped or in tmpfs, and
    deleted files."""
    tcp_established: int = 0
    """TCP sockets that are neither listening nor closed."""
    tcp_peers: tuple[str, ...] = ()
    """The addresses at their other ends."""
    unix_outside: tuple[str, ...] = ()
    """Connected unix stream sockets whose other end is outside of the container."""
    file_locks: int = 0
    traced: bool = False
    unsupported_files: tuple[str, ...] = ()
    """Open or mapped things CRIU cannot dump, such as `anon_inode:[io_uring]`."""
    devices: tuple[str, ...] = ()
    """Open or mapped device files beyond the ordinary ones."""
    nested_namespaces: tuple[str, ...] = ()
    """Kinds of namespace (`pid`, `net`, ...) in which some process differs from the first."""
    inner_mounts: tuple[str, ...] = ()
    """Mount points of kinds that CRIU cannot restore (`fuse`, `nfs`, `overlay`, ...)."""
    deleted_files: tuple[str, ...] = ()
    """Open deleted regular files larger than CRIU's ghost limit of 1 MiB."""
    largest_deleted: int = 0
    """Bytes on disk of the largest of them."""
    shm_outside: tuple[str, ...] = ()
    """Files in use in a /dev/shm that is not the container's own."""
    no_new_privileges: bool = False
    """Whether one of them was started with `no-new-privileges`."""
    linked_sources: tuple[str, ...] = ()
    """Sources of bind mounts whose last component is a symbolic link."""
    runtime: str = ""
    """How containerd's shim calls the container's runtime: a bare name, which it looks up in its
    PATH at each call, or a path; empty when the shim's bundle was not found."""
    runtime_root: str = ""
    """Where that runtime keeps the container's state: its `--root`."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What can be carried depends on this much of the host."""

    boot_id: str
    kernel: str
    architecture: str
    cgroup_version: int = 2
    cpu_features: tuple[str, ...] = ()
    """Names of the CPU's instruction sets, as in /proc/cpuinfo; empty when they are not known."""
    criu: str = ""
    """CRIU's version such as `4.1.1`; empty when there is none in containerd's PATH."""
    criu_package: str = ""
    """The version of Debian's package with which CRIU came; empty when it is none."""
    criu_problem: str = ""
    """The line with which `criu check` refused; empty when it passed."""
    criu_features: tuple[str, ...] = ()
    """Names that `criu check --feature` confirmed, of those that drainer asks about."""
    criu_options: tuple[str, ...] = ()
    """Option names in /etc/criu/runc.conf, which runc hands to CRIU."""
    failed_trials: tuple[str, ...] = ()
    """The routes that a `drainer doctor --live` has seen fail with these very versions."""
    runc: str = ""
    """The runc that containerd's shims find in their PATH; empty when there is none."""
    next_kernel: str = ""
    """The newest kernel that is installed, which the next boot most likely runs."""
    stand_in: str = ""
    """Where in that PATH a stand-in would be found before runc; empty when there is no place."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What Docker says of itself (`/info` and `/version`)."""

    version: str
    api_version: str = ""
    experimental: bool = True
    rootless: bool = False
    userns_remap: bool = False
    swarm: bool = False
    live_restore: bool = False
    default_runtime: str = "runc"
    runc_runtimes: tuple[str, ...] = ("runc", "io.containerd.runc.v2")
    """Names of the runtimes that are runc itself."""
    root_dir: str = "/var/lib/docker"
    containerd: str = ""
    runc: str = ""
    storage: str = ""
    cgroup_driver: str = ""
    daemon_id: str = ""
    """What Docker calls itself: another one where its data directory is another one."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wished for a container: by its labels, else by the configuration.

    Whether it is carried is said here by the configuration alone: rules judge that label.
    """

    carry: bool = True
    place: str = ""
    """Where it says whether to carry it: `file:line`, empty if nobody said anything."""
    priority: int = 0
    group: str = ""
    """With whom it is carried, or not at all; empty for on its own."""
    tcp: Tcp = Tcp.CLOSE
    """What becomes of its open TCP connections."""
    timeout: int = 0
    """Seconds for its checkpoint, and for its restore; 0: as for all."""
    pre_dump_mib: int = 128
    ghost_limit_mib: int = 1024
    """MiB up to which a deleted file that is still open is saved."""
    on_dump_failure: DumpFallback | None = None
    """None: as for all."""
    on_restore_failure: RestoreFallback | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """All that a rule of eligibility may look at."""

    container: Container
    processes: ProcessFacts
    host: HostFacts
    engine: EngineFacts
    providers: tuple["Provider", ...] = ()
    group_addresses: tuple[str, ...] = ()
    """Where connections lead that can be kept: to those of its group that keep theirs, too."""
    far_addresses: frozenset[str] = frozenset()
    """The other hosts with which it can keep its connections."""
    group_skipped: tuple[str, ...] = ()
    """Names of the others of its group that are skipped for reasons of their own."""
    changing_addresses: tuple[str, ...] = ()
    """The networks on which its address may be another one after the resume, each with why."""
    wish: Wish = Wish()
    no_room: Mapping[Route, str] = field(default_factory=dict)
    """The routes on which there is no room for its checkpoint, each with what there lacks."""


class Bond(StrEnum):
    """How one container uses another."""

    NETWORK = "network"
    PID = "pid"
    IPC = "ipc"
    VOLUMES = "volumes-from"
    LINK = "link"
    COMPOSE = "depends_on"


@dataclass(frozen=True, slots=True)
class Provider:
    """A container that another one uses, and whether it is eligible itself."""

    id: str
    name: str
    bond: Bond
    eligible: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that answered: its stable id, its sentence, its advice, and this case's detail."""

    id: str
    sentence: str
    advice: str
    detail: str = ""


class Verdict(StrEnum):
    """What a drain does with a container."""

    CARRY = "carry"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One running container in a plan."""

    container: Container
    verdict: Verdict
    reasons: tuple[Finding, ...] = ()
    """Why it is skipped; empty when it is carried."""
    notes: tuple[Finding, ...] = ()
    """What its owner should know though it is carried."""
    route: Route = Route.ENGINE
    route_reasons: tuple[Finding, ...] = ()
    """Why a preferred route would not carry it; empty when it is skipped or on the first one."""
    against: Mapping[Route, tuple[Finding, ...]] = field(default_factory=dict)
    """All that each route has against it."""
    runtime_root: str = ""
    """Where its runtime keeps its state (runc's `--root`); empty on the engine route."""
    criu_options: tuple[str, ...] = ()
    """CRIU's options for this container alone, as lines of its configuration file."""
    wave: int = 0
    """Drain order: 0 first. Resume takes the waves from the last to the first."""
    needs: tuple[str, ...] = ()
    """Ids of the containers that this one uses, among those of the plan."""
    pre_dump: bool = False
    """Whether most of its memory is saved before it is frozen."""
    expected_bytes: int = 0
    processes: int = 0
    """How many processes it has."""
    priority: int = 0
    """Its own by the label `drainer.priority`, or the highest of those who use it."""
    wish: Wish = Wish()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a drain would do now. `drainer plan` prints it and `drainer drain` executes it."""

    host: HostFacts
    engine: EngineFacts
    refusals: tuple[Finding, ...] = ()
    """Why nothing at all can be carried here; then every entry is skipped."""
    entries: tuple[PlanEntry, ...] = ()
    routes: tuple[Route, ...] = ROUTES
    """The routes that were considered, the preferred one first."""
    places: Places = NOT_KNOWN
    """Where checkpoints are written, as it was when the plan was made."""
    near_addresses: frozenset[str] = frozenset()
    """This host's own addresses, and those of its containers."""

    @property
    def carried(self) -> tuple[PlanEntry, ...]:
        """The entries that will be checkpointed."""
        return tuple(e for e in self.entries if e.verdict is Verdict.CARRY)
