"""Run work on containers side by side, bounded, each after those it must wait for."""

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from itertools import count

ASK_AGAIN = 1.0
"""Seconds after which `admits` is asked again, if it has refused anything."""


def run_in_order(
    predecessors: Mapping[str, Iterable[str]],
    work: Callable[[str], None],
    parallel: int,
    urgency: Mapping[str, int] | None = None,
    admits: Callable[[str, Collection[str]], bool] = lambda _id, _under_way: True,
) -> None:
    """Call `work(id)` for each key of `predecessors`, at most `parallel` at once.

    An id starts when all its predecessors have returned; of those that could start, the one of the
    highest `urgency` does, else the one that could first, unless `admits` refuses it beside those
    under way; where there are none it is not asked. Predecessors that are no keys are ignored. The
    graph must have no cycle. The first exception of `work` is raised at the end, when everything
    else has run: one container never stops the others.
    """
    graph = TopologicalSorter(
        {key: [p for p in before if p in predecessors] for key, before in predecessors.items()}
    )
    graph.prepare()
    failures: list[BaseException] = []
    ready: list[tuple[int, int, str]] = []
    numbers = count()
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="drainer") as pool:
        pending: dict[Future[None], str] = {}
        while graph.is_active():
            ready += [
                (-(urgency or {}).get(key, 0), next(numbers), key) for key in graph.get_ready()
            ]
            for waiting in sorted(ready):
                if len(pending) >= parallel:
                    break
                key = waiting[-1]
                if not pending or admits(key, pending.values()):
                    ready.remove(waiting)
                    pending[pool.submit(work, key)] = key
            refused = ready and len(pending) < parallel
            patience = ASK_AGAIN if refused else None
            for future in wait(pending, patience, FIRST_COMPLETED).done:
                graph.done(pending.pop(future))
                failure = future.exception()
                if failure is not None:
                    failures.append(failure)
    if failures:
        raise failures[0]
