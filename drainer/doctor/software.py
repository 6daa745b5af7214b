"""Checks on the programs and the kernel: Docker, CRIU, runc."""

from drainer.doctor.check import Check, CheckVerdict, Context
from drainer.host.criu import FEATURES
from drainer.model import EngineFacts
from drainer.rules import host as rules
from drainer.rules.processes import seccomp_unsupported
from drainer.rules.versions import NEXT_KERNEL, criu_floor, is_mended, next_kernel_lack
from drainer.versions import version_text

DOCKER = "docker"
"""Id of the check whether Docker answers; stands in for a refusal where it does not."""
SILENT = "Docker does not answer, so that it is not known what runs and nothing can be carried."

NEXT_KERNEL_ADVICE = (
    "Install that CRIU before the reboot, from a newer release of the distribution or from CRIU's "
    "own packages, or boot the kernel that runs now."
)
_SILENT_ADVICE = "Start Docker with `systemctl start docker`; `journalctl -u docker` says why not."


def root(context: Context) -> Check:
    """Tell whether root here is root of the host; the command itself needs to be run by root."""
    if context.facts.surroundings.initial_user_namespace:
        meaning = "CRIU may save and restore every process of this host."
        return Check("root", CheckVerdict.OK, "root of the host", meaning)
    return Check(
        "root",
        CheckVerdict.PROBLEM,
        "root of a user namespace only",
        "CRIU, the program that saves and restores processes, needs root of the whole host.",
        "Run drainer on the host itself, not in a container or user namespace.",
    )


def docker(context: Context) -> Check:
    """Tell whether Docker answers, and whether its version can do what is asked of it."""
    engine = context.facts.engine
    if engine is None:
        advice = context.facts.engine_hint or _SILENT_ADVICE
        found = context.facts.engine_problem
        return Check(DOCKER, CheckVerdict.PROBLEM, found, SILENT, advice)
    return context.ruled(
        DOCKER,
        (rules.engine_rootless, rules.engine_silent_cold_start, rules.engine_digest_bug),
        ", ".join(f"{name} {version}" for name, version in _versions(engine) if version),
        "Docker answers, and nothing is known that speaks against this version as a whole.",
    )


def _versions(engine: EngineFacts) -> tuple[tuple[str, str], ...]:
    return (
        ("Docker", engine.version),
        ("API", engine.api_version),
        ("containerd", engine.containerd),
        ("storage", engine.storage),
    )


def experimental(context: Context) -> Check:
    """Tell whether Docker makes checkpoints."""
    return context.ruled(
        "experimental",
        (rules.engine_not_experimental,),
        "on" if context.engine.experimental else "off",
        "Docker makes checkpoints.",
    )


def criu(context: Context) -> Check:
    """Tell whether there is a CRIU that is new enough for the kernel."""
    host = context.facts.host
    if host.criu and is_mended(host.criu_package, host.kernel):
        needs = f"mended for it by the package {host.criu_package}"
    else:
        needs = f"which needs {version_text(criu_floor(host.kernel))}"
    return context.ruled(
        "criu",
        (rules.criu_missing, rules.criu_too_old),
        f"CRIU {host.criu}, kernel {host.kernel}, {needs}" if host.criu else "not found",
        "CRIU, the program that saves and restores processes, is new enough for this kernel.",
    )


def next_kernel(context: Context) -> Check:
    """Tell whether CRIU will do for the kernel that the next boot most likely runs."""
    host = context.facts.host
    lack = next_kernel_lack(host)
    if not lack:
        found = host.next_kernel or "not known"
        meaning = "CRIU will do for the newest kernel that is installed, too."
        return Check("next_kernel", CheckVerdict.OK, found, meaning)
    return Check("next_kernel", CheckVerdict.PROBLEM, lack, NEXT_KERNEL, NEXT_KERNEL_ADVICE)


def criu_check(context: Context) -> Check:
    """Tell what `criu check` said."""
    return context.ruled(
        "criu_check",
        (rules.criu_check_failed,),
        "`criu check` passed" if context.facts.host.criu else "no CRIU to ask",
        "The kernel has what CRIU cannot do without.",
    )


def criu_features(context: Context) -> Check:
    """Tell which of the kernel's features CRIU confirmed."""
    found = context.facts.host.criu_features
    missing = [name for name in FEATURES if name not in found]
    if not missing or not context.facts.host.criu:
        shown = ", ".join(found) or "no CRIU to ask"
        meaning = "Containers with Docker's default filter of system calls can be carried."
        return Check("criu_features", CheckVerdict.OK, shown, meaning)
    return Check(
        "criu_features",
        CheckVerdict.NOTE if context.can_carry else CheckVerdict.PROBLEM,
        f"missing: {', '.join(missing)}",
        "Containers with Docker's default filter of system calls (seccomp) will be skipped.",
        seccomp_unsupported.advice,
    )


def runc(context: Context) -> Check:
    """Tell which runc containerd's shims find."""
    host, version = context.facts.host, context.engine.runc
    return context.ruled(
        "runc",
        (rules.runc_missing,),
        ", ".join(filter(None, (host.runc, version and f"Docker says {version}"))) or "not found",
        "The program that starts containers for Docker is where it is looked for.",
    )


def stand_in(context: Context) -> Check:
    """Tell where a stand-in for runc goes, and whether one is there that should not be."""
    host, left = context.facts.host, context.facts.surroundings.left_over
    if left:
        return Check(
            "stand_in",
            CheckVerdict.NOTE,
            f"in place: {', '.join(left)}",
            "A drainer restores containers at this moment, or one that was killed has left this.",
            "If no drainer is at work, run `drainer resume`, which removes it.",
        )
    return context.ruled(
        "stand_in",
        (rules.stand_in_impossible,),
        host.stand_in or "no place",
        "While it restores, drainer can put a stand-in for runc there; now there is none.",
    )


def cgroup(context: Context) -> Check:
    """Name the control groups: a drain and its resume must meet the same version."""
    found = f"version {context.facts.host.cgroup_version}"
    driver = context.engine.cgroup_driver
    return Check(
        "cgroup",
        CheckVerdict.OK,
        f"{found}, driver {driver}" if driver else found,
        "Control groups of either version can be carried, if it is the same after the reboot.",
    )


def live_restore(context: Context) -> Check:
    """Tell what becomes of what is not carried."""
    if not context.engine.live_restore:
        meaning = "At a shutdown Docker stops what is not carried in order."
        return Check("live_restore", CheckVerdict.OK, "off", meaning)
    return Check(
        "live_restore",
        CheckVerdict.NOTE,
        "on",
        "At a shutdown Docker leaves containers running that are not carried, until they are "
        "killed with everything else.",
        "Nothing, if they bear that; otherwise take `live-restore` out of "
        "/etc/docker/daemon.json and run `systemctl restart docker`.",
    )


def swarm(context: Context) -> Check:
    """Tell whether there may be Swarm tasks."""
    if not context.engine.swarm:
        meaning = "No container is a task of Docker's Swarm."
        return Check("swarm", CheckVerdict.OK, "not active", meaning)
    return Check(
        "swarm",
        CheckVerdict.NOTE,
        "active",
        "Tasks of Docker's Swarm are skipped: Swarm replaces what is down by new ones.",
        "Run `docker node update --availability drain NODE` before a reboot, to let Swarm move "
        "them.",
    )
