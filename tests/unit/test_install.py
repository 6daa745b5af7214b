from collections.abc import Sequence
from pathlib import Path

import pytest

from drainer.errors import ConfigInvalidError, HostIncapableError
from drainer.host.run import Result
from drainer.install import (
    Action,
    install,
    place,
    plan_install,
    put_catalog,
    remove_catalog,
    uninstall,
)
from drainer.units import (
    AHEAD_UNIT,
    CATALOG,
    DRAIN_UNIT,
    FILES,
    RESUME_UNIT,
    UNITS,
    is_ours,
    render,
    template,
)

PROGRAM = Path("/opt/drainer/bin/drainer")


class Systemctl:
    """systemctl, as far as an installation uses it."""

    def __init__(self) -> None:
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.reloads = self.catalogs = 0
        self.stale = False
        self.refuses = ""

    def __call__(self, arguments: Sequence[str], timeout: float) -> Result:
        assert timeout > 0
        program, verb, *rest = arguments
        if program == "journalctl":
            assert (verb, rest) == ("--update-catalog", [])
            self.catalogs += 1
            return Result(0)
        assert program == "systemctl"
        if verb == self.refuses:
            return Result(1, "", "some words\nFailed: \x1b[31mno\n")
        units = {word for word in rest if not word.startswith("--")}
        states = {"enable": self.enabled, "start": self.active}
        undo = {"disable": self.enabled, "stop": self.active}
        if verb in states:
            states[verb] |= units
        elif verb in undo:
            undo[verb] -= units
        elif verb == "daemon-reload":
            self.reloads += 1
        elif verb == "is-enabled":
            return Result(0 if units <= self.enabled else 1)
        elif verb == "is-active":
            return Result(0 if units <= self.active else 3)
        else:
            assert verb == "show"
            return Result(0, "no\n\nyes\n" if self.stale else "no\n\nno\n")
        return Result(0)


@pytest.fixture
def systemctl() -> Systemctl:
    return Systemctl()


@pytest.fixture
def units(tmp_path: Path) -> Path:
    return tmp_path / "lib" / "systemd" / "system"


def test_a_plan_changes_nothing(units: Path) -> None:
    expected = tuple(Action("write", str(units / unit), changed=True) for unit in FILES)
    assert plan_install(PROGRAM, units) == expected
    assert not units.exists()


def test_units_are_written_but_take_no_part_unasked(units: Path, systemctl: Systemctl) -> None:
    outcome = install(PROGRAM, units, runner=systemctl)
    for unit in FILES:
        path = units / unit
        assert is_ours(path.read_text())
        assert str(PROGRAM) in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o644
    assert len(list(units.iterdir())) == len(FILES)
    assert systemctl.reloads == 1
    assert not systemctl.enabled | systemctl.active
    assert any(f"enable {DRAIN_UNIT} {RESUME_UNIT}" in line for line in outcome.advice)
    assert any(f"start {DRAIN_UNIT}" in line for line in outcome.advice)


def test_enabling_also_starts_the_drain_unit_and_never_the_resume(
    units: Path, systemctl: Systemctl
) -> None:
    outcome = install(PROGRAM, units, enable=True, runner=systemctl)
    assert systemctl.enabled == set(UNITS)
    assert systemctl.active == {DRAIN_UNIT}
    assert outcome.advice == ()
    assert all(action.changed for action in outcome.actions)


def test_a_second_installation_changes_nothing(units: Path, systemctl: Systemctl) -> None:
    install(PROGRAM, units, enable=True, runner=systemctl)
    before = {path: path.stat().st_ino for path in units.iterdir()}
    outcome = install(PROGRAM, units, enable=True, runner=systemctl)
    assert not any(action.changed for action in outcome.actions)
    assert {path: path.stat().st_ino for path in units.iterdir()} == before
    assert systemctl.reloads == 1


def test_an_interrupted_installation_is_completed(units: Path, systemctl: Systemctl) -> None:
    systemctl.refuses = "daemon-reload"
    with pytest.raises(HostIncapableError, match=r"daemon-reload: Failed: \\x1b\[31mno"):
        install(PROGRAM, units, runner=systemctl)
    systemctl.refuses, systemctl.stale = "", True
    outcome = install(PROGRAM, units, runner=systemctl)
    assert systemctl.reloads == 1
    assert [action.what for action in outcome.actions if action.changed] == ["reload"]


def test_another_program_path_is_an_update(units: Path, systemctl: Systemctl) -> None:
    install(PROGRAM, units, enable=True, runner=systemctl)
    outcome = install(Path("/opt/new/drainer"), units, enable=True, runner=systemctl)
    assert [a.what for a in outcome.actions if a.changed] == ["write"] * 5 + ["reload"]
    assert "/opt/new/drainer" in (units / RESUME_UNIT).read_text()


@pytest.mark.parametrize("change", ["Nice=5\n", "\xff"])
def test_a_changed_or_foreign_file_is_not_touched(
    units: Path, systemctl: Systemctl, change: str
) -> None:
    install(PROGRAM, units, runner=systemctl)
    path = units / RESUME_UNIT
    changed = path.read_bytes() + change.encode("latin-1")
    path.write_bytes(changed)
    for act in (
        lambda: plan_install(PROGRAM, units),
        lambda: install(PROGRAM, units, runner=systemctl),
        lambda: uninstall(units, runner=systemctl),
    ):
        with pytest.raises(ConfigInvalidError, match="changed since") as caught:
            act()
        assert "systemctl edit" in caught.value.hint
    assert path.read_bytes() == changed
    assert (units / DRAIN_UNIT).exists()


def test_uninstalling_leaves_nothing_behind(units: Path, systemctl: Systemctl) -> None:
    install(PROGRAM, units, enable=True, runner=systemctl)
    systemctl.active.add(AHEAD_UNIT)
    outcome = uninstall(units, runner=systemctl)
    assert list(units.iterdir()) == []
    assert not systemctl.enabled | systemctl.active
    assert systemctl.reloads == 2
    assert Action("stop", DRAIN_UNIT, changed=True) in outcome.actions
    assert uninstall(units, runner=systemctl).actions == ()


def test_uninstalling_waits_for_a_pending_resume(units: Path, systemctl: Systemctl) -> None:
    install(PROGRAM, units, enable=True, runner=systemctl)
    with pytest.raises(ConfigInvalidError, match="wait to be brought back"):
        uninstall(units, pending=True, runner=systemctl)
    assert len(list(units.iterdir())) == len(FILES)
    uninstall(units, pending=True, force=True, runner=systemctl)
    assert list(units.iterdir()) == []


def package(directory: Path, program: Path = PROGRAM) -> Path:
    directory.mkdir(parents=True)
    for unit in FILES:
        (directory / unit).write_text(render(unit, program))
    return directory


def test_the_units_of_a_package_are_taken_as_they_are(
    units: Path, systemctl: Systemctl, tmp_path: Path
) -> None:
    packaged = package(tmp_path / "packaged")
    assert place(PROGRAM, units, packaged) == packaged
    outcome = install(PROGRAM, packaged, enable=True, runner=systemctl)
    assert [a.what for a in outcome.actions if a.changed] == ["enable", "enable", "start"]
    assert not units.exists()


def test_units_of_another_program_are_not_taken(units: Path, tmp_path: Path) -> None:
    packaged = package(tmp_path / "packaged", Path("/opt/other"))
    assert place(PROGRAM, units, packaged) == units
    assert place(PROGRAM, units, tmp_path / "none") == units


def test_what_comes_before_a_package_is_kept_up(
    units: Path, systemctl: Systemctl, tmp_path: Path
) -> None:
    install(Path("/opt/old/drainer"), units, runner=systemctl)
    assert place(PROGRAM, units, package(tmp_path / "packaged")) == units


def test_the_files_of_a_package_stay(units: Path, systemctl: Systemctl, tmp_path: Path) -> None:
    packaged = package(tmp_path / "packaged")
    install(PROGRAM, packaged, enable=True, runner=systemctl)
    outcome = uninstall(units, packaged, runner=systemctl)
    assert [a.what for a in outcome.actions] == ["stop", "disable"] * 2 + ["stop"] * 3
    assert not systemctl.enabled | systemctl.active
    assert {path.name for path in packaged.iterdir()} == set(FILES)


def test_the_catalog_is_written_once_and_removed(systemctl: Systemctl, tmp_path: Path) -> None:
    directory = tmp_path / "lib" / "catalog"
    assert put_catalog(directory, systemctl).changed
    assert not put_catalog(directory, systemctl).changed
    assert (directory / CATALOG).read_text() == template(CATALOG)
    assert [a.what for a in remove_catalog(directory, systemctl)] == ["remove"]
    assert remove_catalog(directory, systemctl) == ()
    assert systemctl.catalogs == 2
    assert list(directory.iterdir()) == []
