from drainer import room
from drainer.model import ROUTES, Route
from drainer.room import Demand, allot, checkpoint_bytes, demand, side_by_side, uses
from drainer.storage import NOT_KNOWN, FileSystem, Places

MIB = 1 << 20
GIB = 1 << 30


def disk(free: int, identity: str = "8:1", path: str = "/", **fields: object) -> FileSystem:
    """Return a file system on which exactly `free` bytes may be taken."""
    kept = room.BYTES_KEPT
    return FileSystem(identity, path, free + kept, **fields)  # type: ignore[arg-type]


def everywhere(system: FileSystem, memory: int | None = None) -> Places:
    return Places(system, system, system, system, memory)


def with_tmp(root: FileSystem, tmp: FileSystem, memory: int | None = None) -> Places:
    return Places(root, root, tmp, root, memory)


def on(route: Route, size: int, places: Places) -> dict[Route, Demand]:
    return {route: demand(route, size, 1, places)}


ONE = checkpoint_bytes(10 * MIB)


def fitting(places: Places, count: int, *routes: Route) -> dict[str, dict[Route, str]]:
    wishes = [
        (str(n), {r: demand(r, 10 * MIB, 1, places) for r in routes or ROUTES})
        for n in range(count)
    ]
    return allot(wishes, places)


def test_a_checkpoint_is_larger_than_its_memory() -> None:
    assert checkpoint_bytes(0) == room.FIXED
    assert checkpoint_bytes(GIB) > GIB + room.FIXED


def test_where_nothing_is_known_everything_fits() -> None:
    assert fitting(NOT_KNOWN, 50) == {}
    wanted = [demand(Route.ENGINE, GIB, 1, NOT_KNOWN)] * 3
    assert side_by_side(wanted, NOT_KNOWN) == 3


def test_the_runtime_route_takes_one_copy_and_the_engine_route_three() -> None:
    assert fitting(everywhere(disk(ONE)), 1, Route.RUNTIME) == {}
    assert set(fitting(everywhere(disk(ONE - 1)), 1, Route.RUNTIME)) == {"0"}
    assert fitting(everywhere(disk(3 * ONE)), 1, Route.ENGINE) == {}
    assert set(fitting(everywhere(disk(3 * ONE - 1)), 1, Route.ENGINE)) == {"0"}


def test_what_is_passing_is_taken_in_turns() -> None:
    places = everywhere(disk(5 * ONE))
    assert fitting(places, 3, Route.ENGINE) == {}
    assert set(fitting(places, 4, Route.ENGINE)) == {"3"}
    wanted = [demand(Route.ENGINE, 10 * MIB, 1, places)] * 3
    assert side_by_side(wanted, places) == 1
    assert side_by_side(wanted, everywhere(disk(7 * ONE))) == 2
    assert side_by_side(wanted, everywhere(disk(9 * ONE))) == 3


def test_where_the_engine_route_has_no_room_the_runtime_route_is_taken() -> None:
    places = with_tmp(disk(10 * ONE), disk(ONE - 1, "0:30", "/tmp"))
    refused = fitting(places, 2)
    assert [list(routes) for routes in refused.values()] == [[Route.ENGINE], [Route.ENGINE]]
    assert refused["0"][Route.ENGINE] == "/tmp: 14.2 MiB needed, 14.2 MiB available"


def test_the_first_wishes_are_granted_first_and_a_smaller_one_may_still_fit() -> None:
    places = everywhere(disk(ONE + room.FIXED))
    wishes = [(n, on(Route.RUNTIME, s * MIB, places)) for n, s in (("a", 10), ("b", 10), ("c", 0))]
    assert set(allot(wishes, places)) == {"b"}
    assert allot(reversed(wishes), places).keys() == {"a"}


def test_a_temporary_directory_in_memory_takes_memory() -> None:
    tmp = disk(GIB, "0:30", "/tmp", in_memory=True)
    enough = with_tmp(disk(GIB), tmp, memory=ONE + room.MEMORY_KEPT)
    assert fitting(enough, 3, Route.ENGINE) == {}
    short = with_tmp(disk(GIB), tmp, memory=ONE + room.MEMORY_KEPT - 1)
    refused = fitting(short, 1, Route.ENGINE)
    assert refused["0"][Route.ENGINE] == "14.2 MiB of memory needed, 14.2 MiB available"
    assert fitting(short, 1, Route.RUNTIME) == {}


def test_files_run_out_too() -> None:
    few = room.FILES + room.FILES_OF_A_PROCESS + room.INODES_KEPT
    assert fitting(everywhere(disk(GIB, inodes=few)), 1, Route.RUNTIME) == {}
    refused = fitting(everywhere(disk(GIB, inodes=few - 1)), 1, Route.RUNTIME)
    assert refused["0"][Route.RUNTIME] == "/: 76 new files needed, 75 possible"


def test_a_little_of_every_disk_is_kept_free_however_large_it_is() -> None:
    assert fitting(everywhere(FileSystem("8:1", "/", 900_000_000)), 1) == {}
    nearly_full = FileSystem("8:1", "/", room.BYTES_KEPT + ONE - 1)
    assert set(fitting(everywhere(nearly_full), 1, Route.RUNTIME)) == {"0"}


def test_where_only_memory_limits_memory_alone_counts() -> None:
    tmp = FileSystem("0:30", "/tmp", in_memory=True)
    places = with_tmp(disk(GIB), tmp, memory=ONE + room.MEMORY_KEPT)
    assert fitting(places, 1, Route.ENGINE) == {}
    places = with_tmp(disk(GIB), tmp, memory=ONE + room.MEMORY_KEPT - 1)
    assert set(fitting(places, 1, Route.ENGINE)) == {"0"}


def test_what_is_available_is_what_others_leave() -> None:
    places = everywhere(disk(ONE + ONE // 2))
    assert fitting(places, 2, Route.RUNTIME)["1"][Route.RUNTIME] == (
        "/: 14.2 MiB needed, 7.1 MiB available"
    )


def test_a_full_disk_has_nothing_rather_than_less() -> None:
    refused = fitting(everywhere(FileSystem("8:1", "/\n", 5)), 1, Route.RUNTIME)
    assert refused["0"][Route.RUNTIME] == "/\\n: 14.2 MiB needed, 0 B available"


def test_uses_are_told_for_each_file_system() -> None:
    tmp = disk(GIB, "0:30", "/tmp", in_memory=True)
    places = with_tmp(disk(GIB), tmp, memory=GIB)
    wanted = [
        demand(r, s * MIB, 1, places) for r, s in ((ROUTES[0], 10), (ROUTES[0], 1), (ROUTES[1], 1))
    ]
    one = checkpoint_bytes(MIB)
    found = {use.path: use for use in uses(wanted, places)}
    assert set(found) == {"/", "/tmp", "memory"}
    assert (found["/"].lasting, found["/"].passing) == (ONE + 2 * one, ONE)
    assert (found["/tmp"].lasting, found["/tmp"].passing) == (0, ONE)
    assert (found["memory"].passing, found["memory"].free) == (ONE, GIB)
    assert uses([], places) == ()
