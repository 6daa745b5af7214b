"""Install and remove drainer's systemd units. Nothing is printed: what was done is returned."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drainer.errors import ConfigInvalidError, HostIncapableError
from drainer.files import flush_directory, replace_file
from drainer.host.run import Runner, run
from drainer.text import printable
from drainer.units import CATALOG, DRAIN_UNIT, FILES, UNITS, is_ours, render, template

UNIT_DIRECTORY = Path("/usr/local/lib/systemd/system")
"""Local software's place. /etc/systemd/system is the administrator's, and wins over it."""

PACKAGED = Path("/usr/lib/systemd/system")
"""Where a package puts the units: they are there as long as it is."""

CATALOGS = Path("/usr/local/lib/systemd/catalog")
"""Where the journal looks for local software's explanations (systemd catalog.c)."""

_UPDATE_CATALOG = ("journalctl", "--update-catalog")
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Action:
    """One step of an installation."""

    what: str
    """A verb: `write`, `remove`, `reload`, `enable`, `disable`, `start`, `stop`, `back up`."""
    target: str
    """A path, or the name of a unit."""
    changed: bool
    """Whether it had to be done; otherwise everything was so already."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, in order, and what is left to the administrator, in sentences."""

    actions: tuple[Action, ...] = ()
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd and the disk say of one of drainer's units."""

    name: str
    loaded: bool
    """Whether systemd knows it, wherever its file is."""
    enabled: bool
    """Whether it takes part from the next boot on, or is there for another unit that wants it."""
    active: bool
    """For the drain unit: whether it takes part in the next shutdown already."""
    changed: bool
    """Whether somebody changed the file that drainer wrote."""


@dataclass(slots=True)
class _Systemctl:
    run: Runner
    actions: list[Action] = field(default_factory=list)

    def holds(self, question: str, unit: str) -> bool:
        return self.run(["systemctl", question, "--quiet", unit], _SECONDS).status == 0

    def do(self, verb: str, *units: str) -> None:
        result = self.run(["systemctl", verb, *units], _SECONDS)
        if result.status != 0:
            lines = (result.errors or result.output).strip().splitlines()
            problem = printable(lines[-1]) if lines else f"exit status {result.status}"
            raise HostIncapableError(
                f"systemctl {' '.join((verb, *units))}: {problem}",
                "systemd must run this host; put right what it complains about, and run it again",
            )


def place(program: Path, own: Path = UNIT_DIRECTORY, packaged: Path = PACKAGED) -> Path:
    """Return where the units for `program` are to be: where a package has put them, else `own`.

    Units in `own` would come before those of a package. Never raises.
    """
    try:
        complete = all(_read(packaged / unit) == render(unit, program) for unit in FILES)
        in_the_way = any((own / unit).exists() for unit in FILES)
    except OSError:
        return own
    return packaged if complete and not in_the_way else own


def plan_install(program: Path, unit_directory: Path = UNIT_DIRECTORY) -> tuple[Action, ...]:
    """Say which unit files an installation would write. Changes nothing.

    Raises `ConfigInvalidError` when a file in the way is not drainer's own, or was changed.
    """
    actions = []
    for unit in FILES:
        path = unit_directory / unit
        present = _read(path)
        if present is not None and not is_ours(present):
            raise _not_ours(path)
        actions.append(Action("write", str(path), present != render(unit, program)))
    return tuple(actions)


def install(
    program: Path,
    unit_directory: Path = UNIT_DIRECTORY,
    *,
    enable: bool = False,
    runner: Runner = run,
) -> Outcome:
    """Write the units for `program`; with `enable` let them take part from now on.

    `program` is to be checked before (`drainer.program.check_program`). What is as it should be
    is left alone. Raises `ConfigInvalidError` (see `plan_install`), `HostIncapableError` when
    systemd refuses, and `OSError`.
    """
    systemctl = _Systemctl(runner)
    actions = list(plan_install(program, unit_directory))
    unit_directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    for unit, action in zip(FILES, actions, strict=True):
        if action.changed:
            replace_file(unit_directory / unit, render(unit, program).encode())
    if any(action.changed for action in actions) or _needs_reload(systemctl):
        systemctl.do("daemon-reload")
        actions.append(Action("reload", "systemd", changed=True))
    if not enable:
        return Outcome(tuple(actions), _left_to_do(systemctl))
    for unit in UNITS:
        changed = not systemctl.holds("is-enabled", unit)
        if changed:
            systemctl.do("enable", unit)
        actions.append(Action("enable", unit, changed))
    # Its ExecStop= is what drains at shutdown, and systemd runs that of active units only.
    changed = not systemctl.holds("is-active", DRAIN_UNIT)
    if changed:
        systemctl.do("start", DRAIN_UNIT)
    actions.append(Action("start", DRAIN_UNIT, changed))
    return Outcome(tuple(actions))


def put_catalog(directory: Path = CATALOGS, runner: Runner = run) -> Action:
    """Have `journalctl -x` explain what drainer writes to the journal. Raises `OSError`."""
    path = directory / CATALOG
    wanted = template(CATALOG)
    changed = _read(path) != wanted
    if changed:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace_file(path, wanted.encode())
        runner(_UPDATE_CATALOG, _SECONDS)
    return Action("write", str(path), changed)


def remove_catalog(directory: Path = CATALOGS, runner: Runner = run) -> tuple[Action, ...]:
    """Undo that. Raises `OSError`."""
    path = directory / CATALOG
    if _read(path) is None:
        return ()
    path.unlink()
    runner(_UPDATE_CATALOG, _SECONDS)
    return (Action("remove", str(path), changed=True),)


def uninstall(
    unit_directory: Path = UNIT_DIRECTORY,
    packaged: Path = PACKAGED,
    *,
    pending: bool = False,
    force: bool = False,
    runner: Runner = run,
) -> Outcome:
    """Stop, disable and remove the units that drainer wrote; those of a package stay as files.

    `pending` tells that a manifest waits for its resume; then, without `force`, this is refused.
    Stopping the drain unit runs its ExecStop=, which does nothing while the host is not going
    down. Raises `ConfigInvalidError` when refused, also for files that are not drainer's own or
    were changed; then nothing was removed.
    """
    if pending and not force:
        raise ConfigInvalidError(
            "containers still wait to be brought back",
            "run `drainer resume` first, or give them up with --force",
        )
    present = []
    for path in (unit_directory / unit for unit in FILES):
        content = _read(path)
        if content is not None:
            if not is_ours(content):
                raise _not_ours(path)
            present.append(path)
    systemctl = _Systemctl(runner)
    names = {path.name for path in present} | {u for u in FILES if (packaged / u).exists()}
    actions = _take_out(systemctl, [unit for unit in FILES if unit in names])
    for path in present:
        path.unlink()
        actions.append(Action("remove", str(path), changed=True))
    if present:
        flush_directory(unit_directory)
        systemctl.do("daemon-reload")
        actions.append(Action("reload", "systemd", changed=True))
    return Outcome(tuple(actions))


def _take_out(systemctl: _Systemctl, units: Sequence[str]) -> list[Action]:
    """Stop units, and disable those that were enabled."""
    actions = []
    for unit in units:
        steps = [("stop", "is-active")]
        if unit in UNITS:
            steps.append(("disable", "is-enabled"))
        for verb, question in steps:
            changed = systemctl.holds(question, unit)
            if changed:
                systemctl.do(verb, unit)
            actions.append(Action(verb, unit, changed))
    return actions


def unit_states(
    unit_directory: Path = UNIT_DIRECTORY, runner: Runner = run
) -> tuple[UnitState, ...]:
    """Look at the units, and change nothing. Never raises."""
    systemctl = _Systemctl(runner)
    return tuple(_state(systemctl, unit, unit_directory / unit) for unit in FILES)


def _state(systemctl: _Systemctl, unit: str, path: Path) -> UnitState:
    question = ["systemctl", "show", "--property=LoadState", "--value", unit]
    try:
        content = _read(path)
    except OSError:
        content = None
    return UnitState(
        unit,
        loaded=systemctl.run(question, _SECONDS).output.strip() == "loaded",
        enabled=systemctl.holds("is-enabled", unit),
        active=systemctl.holds("is-active", unit),
        changed=content is not None and not is_ours(content),
    )


def _needs_reload(systemctl: _Systemctl) -> bool:
    """Tell whether an earlier installation ended before systemd read its files."""
    question = ["systemctl", "show", "--property=NeedDaemonReload", "--value", *FILES]
    return "yes" in systemctl.run(question, _SECONDS).output.split()


def _left_to_do(systemctl: _Systemctl) -> tuple[str, ...]:
    units = [unit for unit in UNITS if not systemctl.holds("is-enabled", unit)]
    advice = []
    if units:
        advice.append(f"To take part in every reboot: systemctl enable {' '.join(units)}")
    if not systemctl.holds("is-active", DRAIN_UNIT):
        advice.append(f"To drain at the next reboot already: systemctl start {DRAIN_UNIT}")
    return tuple(advice)


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def _not_ours(path: Path) -> ConfigInvalidError:
    return ConfigInvalidError(
        f"{path} was not written by drainer, or was changed since",
        f"keep changes in a drop-in (systemctl edit {path.name}) and move this file away",
    )
