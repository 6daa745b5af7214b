"""A group of two."""

from drainer.labels import LABEL_GROUP
from drainer.model import PlanEntry
from tests.unit.world import World

PAIR = {LABEL_GROUP: "pair"}


def entries(world: World) -> dict[str, PlanEntry]:
    return {e.container.name: e for e in world.plan().entries}


def populate(world: World) -> None:
    world.add("left", "always", labels=PAIR)
    world.add("right", "unless-stopped", labels=PAIR)
