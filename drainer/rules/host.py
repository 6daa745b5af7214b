"""Refusals: why nothing at all can be carried on a host."""

from drainer.model import EngineFacts, HostFacts, Route
from drainer.rules.rule import HostRule, refusal, shown, when
from drainer.rules.versions import criu_floor, suits
from drainer.versions import version_of, version_text

_ENGINE = (Route.ENGINE,)
_RUNTIME = (Route.RUNTIME,)


@refusal(
    "engine_not_experimental",
    "Docker's experimental mode is off, and Docker makes checkpoints only with it.",
    'Run `drainer install --experimental`, or set `"experimental": true` in '
    "/etc/docker/daemon.json and run `systemctl restart docker`, which restarts the containers "
    "too.",
    routes=_ENGINE,
)
def engine_not_experimental(_: HostFacts, engine: EngineFacts) -> str | None:
    """Moby daemon/server/router/experimental.go."""
    return when(case=not engine.experimental)


@refusal(
    "engine_rootless",
    "Docker runs without root (rootless mode), and CRIU, the program that saves and restores "
    "processes, needs root.",
    "Run the containers that are to be carried under a Docker daemon that runs as root.",
)
def engine_rootless(_: HostFacts, engine: EngineFacts) -> str | None:
    """CRIU needs CAP_SYS_ADMIN in the initial user namespace for a whole container."""
    return when(case=engine.rootless)


@refusal(
    "criu_missing",
    "CRIU, the program that saves and restores processes, was not found where containerd looks "
    "for programs.",
    "Install it (on Debian: `apt install criu`) into a directory of containerd's PATH such as "
    "/usr/sbin.",
)
def criu_missing(host: HostFacts, _: EngineFacts) -> str | None:
    """Runc runs `criu` by its bare name, with the PATH of containerd."""
    return when(case=not host.criu)


@refusal(
    "criu_too_old",
    "CRIU, the program that saves and restores processes, is too old for the running kernel: it "
    "would save containers and then fail to restore them.",
    "Install at least the CRIU version that `drainer plan` names, from a newer release of the "
    "distribution or from CRIU's own packages.",
)
def criu_too_old(host: HostFacts, _: EngineFacts) -> str | None:
    """See `criu_floor`."""
    if not host.criu or suits(host, host.kernel):
        return None
    needed = version_text(criu_floor(host.kernel))
    return f"CRIU {shown(host.criu)}, kernel {shown(host.kernel)} needs {needed}"


@refusal(
    "criu_check_failed",
    "CRIU, the program that saves and restores processes, finds that this kernel lacks something "
    "that it cannot do without.",
    "Run `criu check` as root and boot a kernel that has what it names, most often the build "
    "option CONFIG_CHECKPOINT_RESTORE.",
)
def criu_check_failed(host: HostFacts, _: EngineFacts) -> str | None:
    """CRIU criu/cr-check.c; without CRIU there was no check to fail."""
    return shown(host.criu_problem) if host.criu and host.criu_problem else None


@refusal(
    "engine_silent_cold_start",
    "This Docker with this containerd ignores a checkpoint: it starts the container from the "
    "beginning and reports success.",
    "Upgrade containerd to 1.5 or newer, or Docker to 23.0 or newer.",
    routes=_ENGINE,
)
def engine_silent_cold_start(_: HostFacts, engine: EngineFacts) -> str | None:
    """Docker 20.10 with containerd before 1.5; an unknown containerd is not held against it."""
    containerd = version_of(engine.containerd)
    if version_of(engine.version)[:2] != (20, 10) or not containerd or containerd >= (1, 5):
        return None
    return f"Docker {shown(engine.version)}, containerd {shown(engine.containerd)}"


@refusal(
    "engine_digest_bug",
    "This Docker version cannot find its own checkpoints again (content digest not found).",
    "Upgrade Docker to 25.0.4 or a newer one; 26.0.1 to 27.5.1 restore every kind of network.",
    routes=_ENGINE,
)
def engine_digest_bug(_: HostFacts, engine: EngineFacts) -> str | None:
    """Docker 25.0.0 to 25.0.3."""
    case = (25, 0, 0) <= version_of(engine.version) < (25, 0, 4)
    return shown(engine.version) if case else None


_TRIAL_ADVICE = (
    "Run `drainer doctor --live` to see why; this is forgotten as soon as a trial succeeds, or "
    "Docker, runc, CRIU or the kernel is another one."
)


@refusal(
    "engine_trial_failed",
    "The last `drainer doctor --live` could not carry its own container by Docker's checkpoints.",
    _TRIAL_ADVICE,
    routes=_ENGINE,
)
def engine_trial_failed(host: HostFacts, _: EngineFacts) -> str | None:
    """See `drainer.doctor.record`."""
    return when(case=Route.ENGINE in host.failed_trials)


@refusal(
    "runtime_trial_failed",
    "The last `drainer doctor --live` could not carry its own container by runc.",
    _TRIAL_ADVICE,
    routes=_RUNTIME,
)
def runtime_trial_failed(host: HostFacts, _: EngineFacts) -> str | None:
    """See `drainer.doctor.record`."""
    return when(case=Route.RUNTIME in host.failed_trials)


@refusal(
    "runc_missing",
    "The program runc, which starts containers for Docker, was not found where containerd looks "
    "for programs.",
    "See which runtimes Docker has with `docker info`, and install runc into a directory of "
    "containerd's PATH such as /usr/sbin.",
    routes=_RUNTIME,
)
def runc_missing(host: HostFacts, _: EngineFacts) -> str | None:
    """Shims run `runc` by its bare name, with the PATH of containerd (go-runc runc.go)."""
    return when(case=not host.runc)


@refusal(
    "stand_in_impossible",
    "While it restores, drainer puts a stand-in for runc before runc in containerd's PATH, and "
    "there is no directory for it.",
    "Create /usr/local/sbin on a writable file system that is not mounted with noexec, if it is "
    "missing, or move runc from the first directory of that PATH to a later one such as /usr/sbin.",
    routes=_RUNTIME,
)
def stand_in_impossible(host: HostFacts, _: EngineFacts) -> str | None:
    """See `drainer.runtime.stand_in`."""
    return shown(host.runc) if host.runc and not host.stand_in else None


RULES: tuple[HostRule, ...] = (
    engine_rootless,
    engine_not_experimental,
    criu_missing,
    criu_too_old,
    criu_check_failed,
    engine_silent_cold_start,
    engine_digest_bug,
    runc_missing,
    stand_in_impossible,
    engine_trial_failed,
    runtime_trial_failed,
)
"""All refusals, the most fundamental first."""
