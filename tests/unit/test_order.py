import random
import time
from itertools import pairwise, permutations

import pytest

from drainer.model import Bond, Container
from drainer.order import all_bonds, providers, waves

DB = Container(id="d" * 64, name="db")


def service(
    identity: str, name: str, depends_on: str = "", *, project: str = "p", one_off: str = "False"
) -> Container:
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": name,
        "com.docker.compose.depends_on": depends_on,
        "com.docker.compose.oneoff": one_off,
    }
    return Container(id=identity, name=f"{project}-{name}-{identity}", labels=labels)


@pytest.mark.parametrize(
    ("user", "bond"),
    [
        (Container("a", "web", network_mode="container:db"), Bond.NETWORK),
        (Container("a", "web", network_mode=f"container:{DB.id}"), Bond.NETWORK),
        (Container("a", "web", network_mode="container:dddddddddddd"), Bond.NETWORK),
        (Container("a", "web", pid_mode="container:db"), Bond.PID),
        (Container("a", "web", ipc_mode="container:/db"), Bond.IPC),
        (Container("a", "web", volumes_from=("db",)), Bond.VOLUMES),
        (Container("a", "web", links=("db",)), Bond.LINK),
    ],
)
def test_provider_is_found_by_each_kind_of_reference(user: Container, bond: Bond) -> None:
    assert providers(user, (user, DB)) == ((DB.id, bond),)


@pytest.mark.parametrize(
    "mode",
    ["", "host", "bridge", "db", "container:", "container:gone", "container:web", "containers:db"],
)
def test_other_modes_name_no_provider(mode: str) -> None:
    user = Container("a", "web", network_mode=mode)
    assert providers(user, (user, DB)) == ()


def test_a_prefix_of_two_ids_names_neither() -> None:
    user = Container("a", "web", links=("dd",))
    assert providers(user, (user, DB, Container("dde", "other"))) == ()


def test_a_name_wins_over_a_prefix() -> None:
    user = Container("a", "web", links=("dd",))
    assert providers(user, (user, DB, Container("e", "dd"))) == (("e", Bond.LINK),)


def test_strongest_bond_comes_first_and_each_kind_once() -> None:
    user = Container("a", "web", network_mode="container:db", links=("db", "db", DB.id))
    assert providers(user, (user, DB)) == ((DB.id, Bond.NETWORK), (DB.id, Bond.LINK))


@pytest.mark.parametrize(
    "label",
    [
        "db:service_started:false,cache:service_healthy:true",
        "db,cache",
        " db : x ,cache,,cache:service_started:true,gone:service_started:false",
    ],
)
def test_compose_label_names_all_replicas(label: str) -> None:
    web = service("a", "web", label)
    others = (service("c2", "db"), service("c1", "db"), service("c3", "cache"))
    found = providers(web, (web, *others))
    assert found == (("c1", Bond.COMPOSE), ("c2", Bond.COMPOSE), ("c3", Bond.COMPOSE))


def test_compose_label_stays_within_its_project() -> None:
    web = service("a", "web", "db:service_started:false")
    assert providers(web, (web, service("b", "db", project="other"))) == ()


def test_compose_label_without_a_project_names_nothing() -> None:
    web = service("a", "web", "db:service_started:false", project="")
    assert providers(web, (web, service("b", "db", project=""))) == ()


def test_one_off_containers_are_no_replicas() -> None:
    web = service("a", "web", "db:service_started:false")
    assert providers(web, (web, service("b", "db", one_off="True"))) == ()


def test_independent_containers_are_all_in_wave_0() -> None:
    assert waves({"a": (), "b": ()}) == {"a": 0, "b": 0}


def test_providers_come_after_all_their_users() -> None:
    bonds = {
        "web": (("app", Bond.COMPOSE),),
        "app": (("db", Bond.NETWORK),),
        "cron": (("db", Bond.LINK),),
        "db": (),
    }
    assert waves(bonds) == {"web": 0, "app": 1, "cron": 0, "db": 2}


def test_providers_outside_of_the_set_do_not_matter() -> None:
    assert waves({"a": (("gone", Bond.NETWORK), ("a", Bond.LINK))}) == {"a": 0}


def test_no_containers_make_no_waves() -> None:
    assert waves({}) == {}


BONDS = (Bond.NETWORK, Bond.PID, Bond.IPC, Bond.VOLUMES, Bond.LINK, Bond.COMPOSE)


@pytest.mark.parametrize(("strong", "weak"), list(pairwise(BONDS)))
def test_a_cycle_is_broken_at_its_weakest_bond(strong: Bond, weak: Bond) -> None:
    assert waves({"a": (("b", strong),), "b": (("a", weak),)}) == {"a": 0, "b": 1}
    assert waves({"a": (("b", weak),), "b": (("a", strong),)}) == {"a": 1, "b": 0}


@pytest.mark.parametrize("bond", BONDS)
def test_a_cycle_of_equal_bonds_is_broken(bond: Bond) -> None:
    assert waves({"a": (("b", bond),), "b": (("a", bond),)}) == {"a": 0, "b": 0}


def test_bonds_outside_of_the_cycle_are_kept() -> None:
    bonds = {
        "user": (("a", Bond.COMPOSE),),
        "a": (("b", Bond.COMPOSE),),
        "b": (("a", Bond.COMPOSE), ("db", Bond.COMPOSE)),
        "db": (),
    }
    assert waves(bonds) == {"user": 0, "a": 1, "b": 0, "db": 1}


def test_two_bonds_between_the_same_two_count_as_the_stronger() -> None:
    bonds = {"a": (("b", Bond.COMPOSE), ("b", Bond.NETWORK)), "b": (("a", Bond.LINK),)}
    assert waves(bonds) == {"a": 0, "b": 1}


def test_waves_do_not_depend_on_the_order_of_the_input() -> None:
    bonds = {
        "a": (("b", Bond.COMPOSE),),
        "b": (("c", Bond.LINK),),
        "c": (("a", Bond.COMPOSE), ("d", Bond.LINK)),
        "d": (("b", Bond.COMPOSE),),
    }
    results = {tuple(sorted(waves(dict(order)).items())) for order in permutations(bonds.items())}
    assert len(results) == 1


def test_random_graphs_keep_every_bond_that_is_in_no_cycle() -> None:
    generator = random.Random(7)  # noqa: S311 - reproducible, not secret
    for _ in range(200):
        names = [str(number) for number in range(generator.randrange(1, 12))]
        bonds = {
            name: tuple(
                (generator.choice(names), generator.choice(BONDS))
                for _ in range(generator.randrange(4))
            )
            for name in names
        }
        wave_of = waves(bonds)
        assert sorted(wave_of) == sorted(names)
        reach = {name: reachable(bonds, name) for name in names}
        for user, uses in bonds.items():
            for provider, _bond in uses:
                if user not in reach[provider]:
                    assert wave_of[user] < wave_of[provider]


def reachable(bonds: dict[str, tuple[tuple[str, Bond], ...]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(provider for provider, _ in bonds[node])
    return found


def test_hundreds_of_containers_in_one_knot_and_long_chains_take_no_time() -> None:
    replicas = [service(f"a{n}", "a", "b") for n in range(150)]
    replicas += [service(f"b{n}", "b", "a") for n in range(150)]
    chain = {str(n): ((str(n + 1), Bond.NETWORK),) for n in range(5000)} | {"5000": ()}
    begin = time.monotonic()
    assert set(waves(all_bonds(replicas)).values()) == {0}
    assert waves(chain)["5000"] == 5000
    assert time.monotonic() - begin < 20
