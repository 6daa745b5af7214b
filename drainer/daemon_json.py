"""Switch Docker's experimental mode on in its configuration file, keeping all else in it."""

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drainer.errors import ConfigInvalidError
from drainer.files import replace_file
from drainer.host.procfs import Proc
from drainer.host.run import MISSING, Runner, run
from drainer.install import Action, Outcome
from drainer.text import printable

PATH = Path("/etc/docker/daemon.json")
BACKUP_SUFFIX = ".before-drainer"

_SECONDS = 30.0
_CORRECT = "correct it first; `dockerd --validate` tells whether Docker accepts it"
_RESTART = (
    "Docker has to be restarted for it: systemctl restart docker. Unless `live-restore` is on,"
    " that stops every container; those with a restart policy are started anew."
)
_FLAG = (
    "dockerd was started with the flag --experimental; together with the same key in the file"
    " it would not start, so the file was left as it is."
)


def enable_experimental(
    path: Path = PATH, proc: Proc | None = None, runner: Runner = run
) -> Outcome:
    """Set `"experimental": true`. Docker itself is not restarted.

    The file's first state is kept beside it. The new one is shown to `dockerd --validate` before
    it takes effect, where dockerd is found and knows that. Raises `ConfigInvalidError` when the
    file is a link, is no JSON object, or Docker refuses the new one; `OSError`.
    """
    if _given_as_flag(proc or Proc()):
        return Outcome((Action("write", str(path), changed=False),), (_FLAG,))
    before = _read(path)
    text = before or ""
    settings = _parse(path, text)
    if settings.get("experimental") is True:
        return Outcome((Action("write", str(path), changed=False),))
    settings["experimental"] = True
    after = json.dumps(settings, indent=_indent(text), ensure_ascii=False) + "\n"
    actions = []
    mode, owner = 0o644, (0, 0)
    if before is None:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    else:
        found = path.stat()
        mode, owner = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
        backup = path.with_name(path.name + BACKUP_SUFFIX)
        changed = not os.path.lexists(backup)
        if changed:
            replace_file(backup, before.encode(), mode, owner)
        actions.append(Action("back up", str(backup), changed))
    replace_file(path, after.encode(), mode, owner, check=_validation(path, runner))
    actions.append(Action("write", str(path), changed=True))
    return Outcome(tuple(actions), (_RESTART,))


def _read(path: Path) -> str | None:
    if path.is_symlink():
        raise ConfigInvalidError(
            f"{path} is a symbolic link", 'set "experimental": true in its target by hand'
        )
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigInvalidError(f"{path}: not UTF-8, at byte {error.start}", _CORRECT) from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigInvalidError(f"{path}: line {error.lineno}: {error.msg}", _CORRECT) from error
    if not isinstance(settings, dict):
        raise ConfigInvalidError(f"{path}: line 1: not a JSON object", _CORRECT)
    return settings


def _indent(text: str) -> str:
    """Return the indentation in use."""
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return found[1] if found else "  "


def _validation(path: Path, runner: Runner) -> Callable[[Path], None]:
    def validate(candidate: Path) -> None:
        command = ["dockerd", "--validate", "--config-file", str(candidate)]
        result = runner(command, _SECONDS)
        answer = f"{result.output}\n{result.errors}".strip()
        # Docker before 23.0 has no such flag.
        if result.status in {0, MISSING} or "unknown flag" in answer:
            return
        lines = answer.replace(str(candidate), str(path)).splitlines() or ["it does not say why"]
        problem = printable(lines[-1])
        raise ConfigInvalidError(f"Docker refuses its new configuration: {problem}", _CORRECT)

    return validate


def _given_as_flag(proc: Proc) -> bool:
    """Tell whether a dockerd runs that got experimental mode by its command line."""
    return any(
        {"--experimental", "--experimental=true"} & set(proc.text(pid, "cmdline").split("\0"))
        for pid, process in proc.processes().items()
        if process.name == "dockerd"
    )
