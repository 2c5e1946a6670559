"""Who kills, stops and restarts the house while it works; drawn from the seed.

One blow at a time for each member. What was killed is started again after a short while, what was
stopped is let go; when `ravage` is cancelled everything is brought back before it returns.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random

from .house import House, Member

_SERVER = "valkey"
_DECK = {  # how often each blow is dealt before the cards are shuffled again
    "vnapi": {"kill": 3, "stop and kill": 1, "short stop": 1, "long stop": 1, "term": 1},
    "vnvs": {"kill": 4, "kill group": 1, "stop and kill": 1, "long stop": 2, "term": 1},
    "vnas": {
        "kill": 4,
        "kill group": 1,
        "stop and kill": 1,
        "short stop": 1,
        "long stop": 2,  # others take over what it holds
        "term": 1,
    },
    _SERVER: {"kill": 2, "short stop": 1, "term": 1},
}
_DRAIN_SECONDS = 15.0
_SECOND_SIGNAL = 0.3  # how often an operator loses patience


class Saboteur:
    """Deals blows to one house; `blows` counts them by kind and target."""

    def __init__(
        self, house: House, draw: Random, *, every_seconds: float, silence_seconds: float
    ) -> None:
        """`silence_seconds` is TASK_WAIT_TIMEOUT_MS of the house."""
        self.blows: Counter[tuple[str, str]] = Counter()
        self.fallen: list[str] = []  # members that ended though we had not ended them
        self._house = house
        self._draw = draw
        self._every_seconds = every_seconds
        self._silence_seconds = silence_seconds
        self._cards: list[tuple[str, str]] = []
        self._busy: set[str] = set()
        self._blows: set[asyncio.Task[None]] = set()
        self._log = (house.logs / "saboteur.log").open("a")

    @property
    def kills(self) -> int:
        """How often something was ended by SIGKILL."""
        return sum(count for (kind, _), count in self.blows.items() if "kill" in kind)

    async def ravage(self) -> None:
        """Deal blows until cancelled, then bring everything back."""
        try:
            while True:
                await asyncio.sleep(self._draw.expovariate(1 / self._every_seconds))
                self._look_for_fallen()
                self._strike()
        finally:
            await self._bring_back()

    def _strike(self) -> None:
        """Deal the next blow; one whose targets are all in trouble already has to wait."""
        if not self._cards:
            self._cards = [
                (service, kind)
                for service, kinds in _DECK.items()
                for kind, count in kinds.items()
                for _ in range(count)
            ]
            self._draw.shuffle(self._cards)
        service, kind = self._cards.pop()
        members = [m for m in self._house.members.values() if m.service == service]
        free = [member for member in members if member.name not in self._busy]
        if free:
            member = self._draw.choice(free)
            blow = partial(self._strike_member, kind, member)
            self._deal(kind, member.name, blow, partial(_restore, member))
        elif service == _SERVER and _SERVER not in self._busy:
            blow = partial(self._strike_server, kind)
            self._deal(kind, _SERVER, blow, self._restore_server)
        else:
            self._cards.insert(0, (service, kind))

    def _deal(
        self, kind: str, name: str, blow: Callable[[], Awaitable[None]], restore: Callable[[], None]
    ) -> None:
        """Deal a blow; whatever happens to it, its target is back afterwards."""
        self.blows[kind, name.partition("-")[0]] += 1
        self._say(f"{kind}: {name}")
        self._busy.add(name)

        async def deal() -> None:
            try:
                await blow()
            finally:
                restore()
                self._say(f"is back: {name}")
                self._busy.discard(name)

        task = asyncio.create_task(deal())
        self._blows.add(task)
        task.add_done_callback(self._blows.discard)

    async def _strike_member(self, kind: str, member: Member) -> None:
        draw, silence = self._draw, self._silence_seconds
        if kind == "term":
            await self._term(member)
        elif kind == "kill group":
            member.kill(whole_group=True)
        elif kind == "kill":
            member.kill()
        else:
            member.signal(signal.SIGSTOP)
            least, most = {"short stop": (0.1, 0.6), "long stop": (1.2, 2.5)}.get(kind, (0.1, 0.3))
            await asyncio.sleep(draw.uniform(least, most) * silence)
            if kind == "stop and kill":
                member.kill()
        if not member.alive:
            await asyncio.sleep(draw.choice((0.0, 0.3, 1.0, 2.5)))

    async def _term(self, member: Member) -> None:
        """Drain it; an operator may lose patience and signal twice."""
        member.signal(signal.SIGTERM)
        deadline = time.monotonic() + _DRAIN_SECONDS
        if self._draw.random() < _SECOND_SIGNAL:
            await asyncio.sleep(self._draw.uniform(0.05, 0.5))
            member.signal(signal.SIGTERM)
        try:
            while member.alive and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
        finally:
            if time.monotonic() >= deadline:
                self.fallen.append(f"{member.name} was there {_DRAIN_SECONDS:g} s after SIGTERM")
            member.stop(_DRAIN_SECONDS)
        # Before its handlers are there, a service ends by the signal itself.
        if member.status() not in {0, -signal.SIGTERM, -signal.SIGKILL}:
            self.fallen.append(f"{member.name} ended by SIGTERM with status {member.status()}")

    async def _strike_server(self, kind: str) -> None:
        valkey = self._house.valkey
        if kind == "short stop":
            os.kill(valkey.pid, signal.SIGSTOP)
            await asyncio.sleep(self._draw.uniform(0.2, 3.0))
            return
        if kind == "kill":
            valkey.kill()
        else:
            valkey.stop()
        await asyncio.sleep(self._draw.uniform(0.0, 1.5))

    def _restore_server(self) -> None:
        if self._house.valkey.alive:
            os.kill(self._house.valkey.pid, signal.SIGCONT)
        else:
            self._house.valkey.start()

    # --- before and after ---------------------------------------------------------------------
    def _look_for_fallen(self) -> None:
        for member in self._house.members.values():
            if member.name not in self._busy and not member.alive:
                self.fallen.append(
                    f"{member.name} ended by itself with status {member.status()}:"
                    f" {member.log_tail()[-300:]}"
                )
                member.start()

    async def _bring_back(self) -> None:
        blows = list(self._blows)
        for blow in blows:
            blow.cancel()
        for result in await asyncio.gather(*blows, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        self._look_for_fallen()
        self._say("all is quiet")
        self._log.close()

    def _say(self, what: str) -> None:
        self._log.write(f"{time.strftime('%H:%M:%S')} {what}\n")
        self._log.flush()


def _restore(member: Member) -> None:
    if member.alive:
        member.signal(signal.SIGCONT)
    else:
        member.start()
