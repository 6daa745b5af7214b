"""Skip reasons from a container's labels, life cycle and basic settings (docker inspect)."""

from drainer.labels import LABEL_ENABLE
from drainer.model import Route, Subject
from drainer.rules.rule import Rule, shown, skip, when

_YES = frozenset({"true", "yes", "1", "on"})
_NO = frozenset({"false", "no", "0", "off"})
_PLACE = 200
"""Characters of a place in a file, at most."""
_SWARM_LABEL = "com.docker.swarm.task.id"


def _enable(subject: Subject) -> str | None:
    return subject.container.labels.get(LABEL_ENABLE)


@skip(
    "opted_out",
    f"Its label `{LABEL_ENABLE}` says that it is not to be carried.",
    f"If it should be carried, create it again without that label or with `{LABEL_ENABLE}=true`.",
)
def opted_out(subject: Subject) -> str | None:
    """Owners come before everything else."""
    value = _enable(subject)
    return when(case=value is not None and value.strip().lower() in _NO)


@skip(
    "label_invalid",
    f"Its label `{LABEL_ENABLE}` is neither true nor false, so its owner's wish is unknown.",
    f"Create it again with `{LABEL_ENABLE}=true`, with `{LABEL_ENABLE}=false`, or without the "
    "label.",
)
def label_invalid(subject: Subject) -> str | None:
    """When in doubt, nothing is done to a container."""
    value = _enable(subject)
    if value is None or value.strip().lower() in _YES | _NO:
        return None
    return f'"{shown(value)}"'


@skip(
    "not_selected",
    "The configuration of drainer leaves it out.",
    "If it should be carried, change that line, or create it again with the label "
    f"`{LABEL_ENABLE}=true`.",
)
def not_selected(subject: Subject) -> str | None:
    """Ask the label first: its owner knows it better than a rule for many."""
    labelled = (_enable(subject) or "").strip().lower() in _YES
    return None if subject.wish.carry or labelled else shown(subject.wish.place, _PLACE)


@skip(
    "not_running",
    "It is not running, so there is nothing to save.",
    "Start it with `docker start NAME` if it should run.",
)
def not_running(subject: Subject) -> str | None:
    """See `Container.running`; it may have ended since the containers were listed."""
    return when(case=not subject.container.running)


@skip(
    "restarting",
    "It has crashed and waits for Docker to start it again, so there are no processes to save.",
    "Find out why with `docker logs NAME`; it can be carried as soon as it stays up.",
)
def restarting(subject: Subject) -> str | None:
    """Docker calls it running, but there is no task."""
    return when(case=subject.container.restarting)


@skip(
    "dead",
    "Docker has marked it as dead: it failed to remove it.",
    "Remove it with `docker rm --force NAME`.",
)
def dead(subject: Subject) -> str | None:
    """Docker can neither checkpoint nor start it (moby daemon/start.go validateState)."""
    return when(case=subject.container.dead)


@skip(
    "swarm_task",
    "It is a task of a Swarm service, and Swarm replaces it as soon as it goes down.",
    "Leave it to Swarm, or run it with `docker run` or Compose instead of as a service.",
)
def swarm_task(subject: Subject) -> str | None:
    """Swarm's agent owns it; drainer would work against it."""
    return when(case=_SWARM_LABEL in subject.container.labels)


@skip(
    "auto_remove",
    "It was started with `--rm`, so Docker deletes it, and its checkpoint with it, when it goes "
    "down.",
    "Create it again without `--rm`.",
)
def auto_remove(subject: Subject) -> str | None:
    """Moby daemon/monitor.go autoRemove."""
    return when(case=subject.container.auto_remove)


@skip(
    "runtime_unsupported",
    "It runs under another runtime than runc, the only one whose checkpoints can be relied on.",
    "Create it again with `--runtime runc`, if it does not need that runtime.",
)
def runtime_unsupported(subject: Subject) -> str | None:
    """Checkpoints of runsc, kata, crun, sysbox and nvidia behave differently or do not exist."""
    runtime = subject.container.runtime or subject.engine.default_runtime
    return None if runtime in subject.engine.runc_runtimes else shown(runtime)


@skip(
    "tty",
    "It has a terminal (`-t`), which Docker does not support in checkpoints.",
    "Create it again without `-t` (in Compose: without `tty: true`).",
)
def tty(subject: Subject) -> str | None:
    """Whoever is attached to the terminal would lose it in any case."""
    return when(case=subject.container.tty)


@skip(
    "init_process",
    "It was started with `--init`, and a container with Docker's init process can be saved but "
    "not restored by Docker.",
    "Create it again without `--init` (in Compose: without `init: true`), with an init program "
    'in the image if it needs one, and look for `"init": true` in /etc/docker/daemon.json.',
    routes=(Route.ENGINE,),
)
def init_process(subject: Subject) -> str | None:
    """CRIU cannot mount the docker-init binary back (`mnt-v2: Unable to statfs`)."""
    return when(case=subject.container.init)


@skip(
    "runtime_fixed",
    "Docker starts its runtime by a path instead of by the name `runc`, so that nothing can stand "
    "in for it.",
    "Let Docker find runc by its name (no `path`, or `runc`, for its runtime in "
    "/etc/docker/daemon.json), restart Docker, and create the container again.",
    routes=(Route.RUNTIME,),
)
def runtime_fixed(subject: Subject) -> str | None:
    """Only a bare name is looked up by the shim (go-runc command_linux.go)."""
    runtime = subject.processes.runtime
    return shown(runtime) if runtime and runtime != "runc" else None


@skip(
    "runtime_unseen",
    "What containerd keeps about its runtime was not found, so runc cannot be asked to save it.",
    "Run `drainer plan` again as root; if it stays like this, look whether containerd keeps its "
    "state somewhere else than below /run/containerd.",
    routes=(Route.RUNTIME,),
)
def runtime_unseen(subject: Subject) -> str | None:
    """See `ProcessFacts.runtime`; what is down has no shim."""
    up = subject.container.running and not subject.container.restarting
    return when(case=up and not subject.processes.runtime)


RULES: tuple[Rule, ...] = (
    opted_out,
    label_invalid,
    not_selected,
    not_running,
    dead,
    restarting,
    swarm_task,
    auto_remove,
    runtime_unsupported,
    runtime_unseen,
    runtime_fixed,
    tty,
    init_process,
)
"""The most fundamental first."""
