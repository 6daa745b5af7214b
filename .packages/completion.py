"""Completions for bash, zsh and fish, made of the commands and options as they are declared.

They are lists: nothing of drainer is run while somebody types.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import typer

from drainer.cli.app import app


@dataclass(frozen=True)
class Option:
    """One option of a command."""

    name: str
    words: str
    values: tuple[str, ...] = ()
    flag: bool = False


@dataclass(frozen=True)
class Command:
    """One command: its words, what it does, its options."""

    path: tuple[str, ...]
    words: str
    options: tuple[Option, ...]


def commands() -> tuple[Command, ...]:
    """Return every command; the first one is drainer itself."""
    return tuple(_commands(typer.main.get_command(app), ()))


def _commands(command: object, path: tuple[str, ...]) -> Iterator[Command]:
    yield Command(path, _first_line(getattr(command, "help", "")), tuple(_options(command)))
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))


def _options(command: object) -> Iterator[Option]:
    for parameter in getattr(command, "params", ()):
        for name in (*parameter.opts, *parameter.secondary_opts):
            if name.startswith("--"):
                default = getattr(parameter, "default", None)
                values = tuple(map(str, type(default))) if isinstance(default, Enum) else ()
                words = _first_line(getattr(parameter, "help", ""))
                yield Option(name, words, values, bool(getattr(parameter, "is_flag", False)))
    yield Option("--help", "Show this message and exit.", flag=True)


def _first_line(text: str | None) -> str:
    return inspect.cleandoc(text or "").partition("\n")[0].rstrip(".")


def _words(command: Command, known: tuple[Command, ...]) -> list[str]:
    """Return what may follow a command: other commands, else options."""
    depth = len(command.path)
    return [
        c.path[-1] for c in known if len(c.path) == depth + 1 and c.path[:depth] == command.path
    ]


def bash() -> str:
    """Return the completion for bash."""
    known = commands()
    cases = []
    for command in known:
        words = [*_words(command, known), *(option.name for option in command.options)]
        cases.append(f'        "{" ".join(command.path)}") words="{" ".join(words)}" ;;')
    values = {o.name: o.values for c in known for o in c.options if o.values}
    choices = [f'        {name}) words="{" ".join(v)}" ;;' for name, v in sorted(values.items())]
    groups = sorted({c.path[0] for c in known if len(c.path) > 1})
    return "\n".join(
        [
            "# Completion of drainer for bash.",
            "_drainer() {",
            '    local word path="" words="" current=${COMP_WORDS[COMP_CWORD]}',
            "    local before=${COMP_WORDS[COMP_CWORD - 1]}",
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            "        case $path:$word in",
            f"        :{'|:'.join(_words(known[0], known))}) path=$word ;;",
            *(
                f"        {group}:{word}) path='{group} {word}' ;;"
                for group in groups
                for word in _words(Command((group,), "", ()), known)
            ),
            "        esac",
            "    done",
            "    case $path in",
            *cases,
            "    esac",
            "    case $before in",
            *choices,
            "    esac",
            '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
            "}",
            "complete -F _drainer drainer",
            "",
        ]
    )


def zsh() -> str:
    """Return the completion for zsh, which takes that of bash."""
    return "\n".join(
        [
            "#compdef drainer",
            "# Completion of drainer for zsh, by its emulation of bash's.",
            "autoload -U +X bashcompinit && bashcompinit",
            "source /usr/share/bash-completion/completions/drainer",
            "",
        ]
    )


def fish() -> str:
    """Return the completion for fish."""
    known = commands()
    lines = ["# Completion of drainer for fish.", "complete -c drainer -f"]
    for command in known:
        condition = _condition(command, known)
        for word in _words(command, known):
            inner = next(c for c in known if c.path == (*command.path, word))
            lines.append(f"complete -c drainer -n {condition} -a {word} -d {_quoted(inner.words)}")
        for option in command.options:
            values = f" -x -a {_quoted(' '.join(option.values))}" if option.values else ""
            needs = "" if option.flag or option.values else " -r"
            lines.append(
                f"complete -c drainer -n {condition} -l {option.name[2:]}{needs}{values}"
                f" -d {_quoted(option.words)}"
            )
    return "\n".join([*lines, ""])


def _condition(command: Command, known: tuple[Command, ...]) -> str:
    if not command.path:
        return "__fish_use_subcommand"
    seen = [f"__fish_seen_subcommand_from {word}" for word in command.path]
    inner = _words(command, known)
    if inner:
        seen.append(f"not __fish_seen_subcommand_from {' '.join(inner)}")
    return _quoted("; and ".join(seen))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
