"""Keep the dynamic addresses of containers that a resume starts, by holding those that are lower.

Whatever goes wrong here costs an address and never a container: no error leaves this module.
"""

import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from drainer.addresses import (
    MOST_PLACEHOLDERS,
    dealt,
    holders,
    missing,
    next_free,
    number,
    wanted,
)
from drainer.engine.base import Engine
from drainer.errors import DrainerError, EngineError
from drainer.labels import PLACEHOLDER_PREFIX
from drainer.manifest import Entry
from drainer.networks import Address, Endpoint, Pool
from drainer.turns import Turns

START_TIMEOUT = 120.0
PARALLEL = 4
"""Placeholders that are started or removed at once."""

_Failure = (DrainerError, OSError)


class AddressKeeper:
    """Holds addresses with placeholders, and frees each when its owner is started.

    `lay_out(id)` is called before a placeholder is started, so that the stand-in for runc knows
    it; doing it twice is harmless. `take_back(id)` is called when the placeholder is gone. Both
    may raise `DrainerError` or `OSError`. `stop` tells that there is no time to start more.

    `prepare` and `finish` are called once each, from one thread; `turn` from many.
    """

    def __init__(
        self,
        engine: Engine,
        lay_out: Callable[[str], None],
        take_back: Callable[[str], None],
        entries: Collection[Entry],
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Note what is wanted. Nothing is asked of Docker yet."""
        self._engine = engine
        self._lay_out = lay_out
        self._take_back = take_back
        self._stop = stop
        self._images = tuple(dict.fromkeys(e.image for e in entries))
        owners = [e.addresses for e in entries]
        networks = sorted({a.network for e in entries for a in e.addresses})
        self._wanted = {n: w for n in networks if (w := wanted(n, owners))}
        self._made: dict[str, dict[str, Endpoint]] = {n: {} for n in self._wanted}
        """What each placeholder holds, by network and id; guarded by the network's turn."""
        self._pools: dict[str, tuple[Pool, ...]] = {}
        self._turns = Turns(engine, self._wanted)
        self._failures: list[str] = []
        self._lock = threading.Lock()

    @property
    def failures(self) -> tuple[str, ...]:
        """Sentences about what went wrong."""
        with self._lock:
            return tuple(self._failures)

    def prepare(self) -> None:
        """Remove what an earlier run left, and look at the networks that there are."""
        self._remove_all(self._found())
        for network in self._there():
            try:
                self._pools[network] = self._engine.pools(network)
            except _Failure as error:
                self._fail(f"the network {network} is not known: {_words(error)}")
            self._tell_taken(network)

    def _there(self) -> Iterator[str]:
        """Return what is there of the networks: one that is gone lets nothing start."""
        if not self._wanted:
            return
        try:
            names = set(self._engine.networks().values())
        except _Failure as error:
            self._fail(f"the networks are not known: {_words(error)}")
            return
        yield from (network for network in self._wanted if network in names)

    @contextmanager
    def turn(self, entry: Entry) -> Iterator[None]:
        """Start one container in this block: its addresses are the next ones to be allotted.

        Where they would not be, placeholders take those that come before them; where containers
        are started in the order of their addresses and nobody has gone, there are none.
        Others wait for its networks until Docker has allotted them, at the latest until the end of
        the block. What is not allotted by then is held again, so the block may be repeated.
        """
        mine = [a for a in entry.addresses if a.network in self._wanted]
        freed: dict[str, frozenset[str]] = {}
        try:
            with self._turns.of({a.network for a in mine}) as turn:
                freed = {a.network: self._make_next(a) for a in mine}
                turn.until_allotted(entry.id)
                try:
                    yield
                finally:
                    # Before anybody else can have it.
                    for network in turn.keep():
                        self._hold_again(network, freed.pop(network))
        finally:
            for network, texts in freed.items():
                if self._left(network, texts):
                    with self._turns.of([network]):
                        self._hold_again(network, texts)

    def finish(self) -> None:
        """Remove every placeholder, also those of an earlier run."""
        made = [identity for held in self._made.values() for identity in held]
        self._remove_all(tuple(dict.fromkeys((*made, *self._found()))))

    def _make_next(self, address: Address) -> frozenset[str]:
        """Let an address be the next one to be allotted; return all that this gives away."""
        chosen = dealt(address)
        if chosen and not self._is_next(address.network, chosen):
            # Whoever cannot have its own address must not be given another one's.
            lost = self._strangers(address.network).intersection(chosen)
            self._fill(address.network, self._wanted[address.network] if lost else chosen)
        return self._free(address)

    def _strangers(self, network: str) -> set[str]:
        """Return the addresses that others than placeholders have."""
        try:
            found = self._look(network)
        except _Failure:
            return set()
        made = self._made[network]
        return _texts({identity: end for identity, end in found.items() if identity not in made})

    def _is_next(self, network: str, chosen: Collection[str]) -> bool:
        """Tell whether Docker would choose these addresses if a container started now."""
        try:
            taken = _texts(self._look(network))
        except _Failure:
            return False
        pools = self._pools.get(network, ())
        versions = {found.version: text for text in chosen if (found := number(text))}
        return all(next_free(pools, v, taken) == text for v, text in versions.items())

    def _fill(self, network: str, wanted_now: Collection[str]) -> None:
        """Start placeholders until each of these addresses is held by somebody."""
        made, new = self._made[network], set[str]()
        try:
            while count := self._missing(network, wanted_now, new):
                count = min(count, MOST_PLACEHOLDERS - len(made))
                if self._stop() or not count:
                    why = "no time was left" if count else f"{MOST_PLACEHOLDERS} are not enough"
                    self._fail(f"not every address on {network} could be held: {why}")
                    return
                started = self._start_several(network, count)
                new |= started
                made.update(dict.fromkeys(started, Endpoint()))
                if len(started) < count or not started & self._look(network).keys():
                    return
        except _Failure as error:
            self._fail(f"the addresses on {network} could not be held: {_words(error)}")

    def _missing(self, network: str, texts: Collection[str], new: Collection[str]) -> int:
        """Look at a network; return how many placeholders more it needs."""
        found = self._look(network)
        ours = {identity: end for identity, end in found.items() if identity in new}
        return missing(texts, _texts(found), _texts(ours))

    def _look(self, network: str) -> Mapping[str, Endpoint]:
        """Look at a network, and note what the placeholders hold."""
        found = self._engine.network(network)
        made = self._made[network]
        made.update((identity, end) for identity, end in found.items() if identity in made)
        return found

    def _start_several(self, network: str, count: int) -> set[str]:
        """Start placeholders and return their ids.

        One at a time when IPv6 is dealt out, too: side by side, Docker may give one of them the
        lower IPv4 address and another one the lower IPv6 address.
        """
        parallel = 1 if any(":" in text for text in self._wanted[network]) else PARALLEL
        with ThreadPoolExecutor(parallel, thread_name_prefix="placeholder") as pool:
            return set(pool.map(self._start, [network] * count)) - {""}

    def _start(self, network: str) -> str:
        """Start one placeholder and return its id; empty when it does not run."""
        identity = ""
        try:
            identity = self._create(network)
            self._lay_out(identity)
            self._engine.start(identity, START_TIMEOUT)
        except _Failure as error:
            self._fail(f"an address on {network} could not be held: {_words(error)}")
            if identity:
                self._remove(identity)
            return ""
        return identity

    def _create(self, network: str) -> str:
        """Create a placeholder from the first image that is there: none of them is run."""
        name = f"{PLACEHOLDER_PREFIX}{secrets.token_hex(6)}"
        for image in self._images[:-1]:
            try:
                return self._engine.create_placeholder(image, network, name)
            except EngineError as error:
                if "no such image" not in error.message.lower():
                    raise
        return self._engine.create_placeholder(self._images[-1], network, name)

    def _free(self, address: Address) -> frozenset[str]:
        """Remove the placeholders that hold an address; return all that this gives away."""
        made = self._made[address.network]
        going = {identity: made.pop(identity) for identity in holders(address, made)}
        self._remove_all(tuple(going))
        return frozenset(_texts(going))

    def _hold_again(self, network: str, freed: Collection[str]) -> None:
        """Hold again what was freed for a container and is not allotted to it."""
        left = self._left(network, freed)
        if left:
            self._fill(network, left)

    def _left(self, network: str, freed: Collection[str]) -> set[str]:
        """Return what of these addresses nobody has."""
        if not freed:
            return set()
        try:
            return set(freed) - _texts(self._engine.network(network))
        except _Failure as error:
            self._fail(f"what is allotted on {network} is not known: {_words(error)}")
            return set()

    def _tell_taken(self, network: str) -> None:
        """Say which wanted addresses strangers have."""
        try:
            found = self._engine.network(network)
        except _Failure:
            return
        for identity, end in found.items():
            own = {end.ipv4, end.ipv6} & self._wanted[network]
            if own and identity not in self._made[network]:
                shown = ", ".join(sorted(own))
                self._fail(f"{shown} on {network} is taken by container {identity[:12]}")

    def _found(self) -> tuple[str, ...]:
        try:
            return self._engine.placeholders()
        except _Failure as error:
            self._fail(f"placeholders of an earlier run cannot be looked for: {_words(error)}")
            return ()

    def _remove_all(self, identities: Collection[str]) -> None:
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="placeholder") as pool:
            for _ in pool.map(self._remove, identities):
                pass

    def _remove(self, identity: str) -> None:
        """Remove a placeholder; until it is gone, only the stand-in can end it."""
        try:
            self._lay_out(identity)
            self._engine.remove(identity)
            self._take_back(identity)
        except _Failure as error:
            self._fail(f"placeholder {identity[:12]} was not removed: {_words(error)}")

    def _fail(self, sentence: str) -> None:
        with self._lock:
            self._failures.append(sentence)


def _texts(found: Mapping[str, Endpoint]) -> set[str]:
    return {text for end in found.values() for text in (end.ipv4, end.ipv6) if text}


def _words(error: Exception) -> str:
    return str(error).partition("\n")[0]
