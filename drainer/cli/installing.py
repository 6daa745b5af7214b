"""What `drainer install` and `drainer uninstall` do."""

from dataclasses import replace

from drainer import login_message
from drainer.cli import output
from drainer.cli.wiring import Settings, require_root
from drainer.daemon_json import enable_experimental
from drainer.errors import ConfigInvalidError
from drainer.install import (
    PACKAGED,
    Action,
    Outcome,
    install,
    place,
    put_catalog,
    remove_catalog,
    uninstall,
)
from drainer.program import check_program, own_program
from drainer.store.lock import lock
from drainer.store.manifest_file import ManifestFile


def put_in_place(*, enable: bool, experimental: bool, as_json: bool) -> None:
    """Put the systemd units in place."""
    require_root("install")
    program = own_program()
    check_program(program)
    try:
        directory = place(program)
        units = install(program, directory, enable=enable)
        # A package brings its own catalog.
        catalog = () if directory == PACKAGED else (put_catalog(),)
        docker = enable_experimental() if experimental else Outcome()
    except OSError as error:
        raise _not_written(error) from error
    _show(
        Outcome(units.actions + catalog + docker.actions, docker.advice + units.advice),
        as_json=as_json,
    )


def take_away(settings: Settings, *, force: bool, as_json: bool) -> None:
    """Remove the systemd units."""
    state = settings.state()
    with lock(state, "uninstall"):
        settings.runtime().sweep()
        file = ManifestFile(state)
        pending = not force and file.exists and file.read().pending
        try:
            outcome = uninstall(pending=pending, force=force)
            actions = (*outcome.actions, *remove_catalog(), *_forget(settings))
            outcome = replace(outcome, actions=actions)
        except OSError as error:
            raise _not_written(error) from error
    _show(outcome, as_json=as_json)


def _forget(settings: Settings) -> tuple[Action, ...]:
    """Remove the guard, and what is for this boot only: the login's line, what was read ahead."""
    places = (
        login_message.withdraw(),
        settings.host().forget_reading_ahead(),
        settings.runtime().clear_guard(),
    )
    return tuple(Action("remove", place, changed=True) for place in places if place)


def _not_written(error: OSError) -> ConfigInvalidError:
    return ConfigInvalidError(
        f"{error.filename or 'a file'} cannot be changed: {error.strerror}",
        "look whether its file system is full or read-only",
    )


def _show(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        actions = [
            {"what": a.what, "target": a.target, "changed": a.changed} for a in outcome.actions
        ]
        output.show_json(actions=actions, advice=list(outcome.advice))
        return
    for action in outcome.actions:
        unchanged = "" if action.changed else " (was so already)"
        output.line(f"{action.what} {action.target}{unchanged}")
    for sentence in outcome.advice:
        output.line(sentence)
    if not outcome.actions:
        output.line("nothing to do")
