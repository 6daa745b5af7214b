"""What the configuration wishes for a container. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from drainer.config.choices import Mode
from drainer.config.load import CONTAINERS, Loaded
from drainer.config.model import ContainerRule
from drainer.labels import LABEL_PROJECT
from drainer.model import Container, Wish

_OTHERS = (
    *("priority", "group", "tcp", "timeout"),
    *("on_dump_failure", "on_restore_failure"),
)
"""The wishes that are called alike in a rule and here."""


def wishes(loaded: Loaded, containers: Collection[Container]) -> Mapping[str, Wish]:
    """Return what is wished for each container, by id."""
    return {container.id: wish(loaded, container) for container in containers}


def wish(loaded: Loaded, container: Container) -> Wish:
    """Take each wish from the first rule that fits and has it.

    Without one, the mode decides whether it is carried, and the rest is as for all.
    """
    config = loaded.config
    places = (loaded.origins.get((CONTAINERS, n), "") for n in range(len(config.containers)))
    fitting = [
        (rule, place)
        for rule, place in zip(config.containers, places, strict=True)
        if fits(rule, container)
    ]
    carry = next(((r.carry, p) for r, p in fitting if r.carry is not None), None)
    if carry is None:
        opt_in = config.mode is Mode.OPT_IN
        carry = (not opt_in, f"{loaded.origins.get(('mode',), '')}: mode: opt-in" if opt_in else "")
    others = {
        name: value
        for name in _OTHERS
        if (value := next((v for r, _ in fitting if (v := getattr(r, name)) is not None), None))
        is not None
    }
    for_all = Wish(
        carry=carry[0],
        place=carry[1],
        pre_dump_mib=config.drain.pre_dump_mib,
        ghost_limit_mib=config.drain.ghost_limit_mib,
    )
    return replace(for_all, **others)


def fits(rule: ContainerRule, container: Container) -> bool:
    """Tell whether all patterns of a rule fit. A rule without any fits every container."""
    return all(_answers(rule, container))


def _answers(rule: ContainerRule, container: Container) -> Iterator[bool]:
    if rule.name is not None:
        yield fnmatchcase(container.name, rule.name)
    if rule.image is not None:
        yield fnmatchcase(container.image, rule.image)
    if rule.project is not None:
        project = container.labels.get(LABEL_PROJECT)
        yield project is not None and fnmatchcase(project, rule.project)
    if rule.label is not None:
        key, given, pattern = rule.label.partition("=")
        value = container.labels.get(key)
        yield value is not None and (not given or fnmatchcase(value, pattern))
