"""One storm, in order: start a house, let clients and saboteur loose, wait for calm, look, judge.

report = run(StormOptions(seed=7, minutes=1.0), tell=print)
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from .aftermath import end, fsck, look, raise_faults
from .door import Door, features_of
from .evidence import Evidence
from .house import House, HouseOptions
from .judge import judge
from .mix import plan_of
from .outsider import Outsider
from .plan import Features, limited
from .report import Report
from .saboteur import Saboteur
from .script import ScriptFolder
from .watcher import Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class StormOptions:
    """How long, how wild."""

    seed: int
    minutes: float
    requests_per_second: float = 5.0
    most_at_once: int = 60  # requests under way; further ones wait at the client
    blow_every_seconds: float = 2.0
    wait_timeout_ms: int = 3_000  # TASK_WAIT_TIMEOUT_MS of the house
    calm_seconds: float = 180.0  # after the storm: for everything to end
    vnapi: int = 2
    vnvs: int = 2
    vnas: int = 2
    slots: int = 6  # VNAS_SLOTS


def run(options: StormOptions, tell: Callable[[str], None]) -> Report:
    """Run a storm; from the main thread.

    The folder is removed afterwards, unless something was found: then `Report.folder` names it.
    """
    folder = Path(tempfile.mkdtemp(prefix="vn-chaos-"))
    scripts = ScriptFolder(folder / "scripts")
    house = House(folder, _house_options(options, scripts))
    report = Report(seed=options.seed, minutes=options.minutes)
    try:
        with house:
            evidence = asyncio.run(_Storm(options, house, scripts, report, tell).pass_over())
        evidence.survivors = house.survivors()
        evidence.trace = scripts.trace()
        report.take(evidence, judge(evidence))
    except BaseException:
        tell(f"broken off; what there is is in {folder}")
        raise
    if report.is_clean:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        report.folder = folder
        (folder / "report.txt").write_text(report.told())
    return report


def _house_options(options: StormOptions, scripts: ScriptFolder) -> HouseOptions:
    return HouseOptions(
        script=scripts.script,
        warm_script=scripts.warm_script,
        vnapi=options.vnapi,
        vnvs=options.vnvs,
        vnas=options.vnas,
        settings={
            "TASK_WAIT_TIMEOUT_MS": str(options.wait_timeout_ms),
            "VNAS_SLOTS": str(options.slots),
            "VNAS_DRAIN_MS": "3000",
            "VNVS_DRAIN_MS": "1000",
            # Also tasks that are not short share entries: these are put off, and left half done.
            "VNVS_SLICE_MS": "2000",
            "HYDRATION_PROCESSES": "1",
            "SYNC_WAIT_TIMEOUT_MS": "20000",
            "SHUTDOWN_GRACE_SECONDS": "2",
        },
    )


class _Storm:
    """The part of a storm that needs a house."""

    def __init__(
        self,
        options: StormOptions,
        house: House,
        scripts: ScriptFolder,
        report: Report,
        tell: Callable[[str], None],
    ) -> None:
        self._options = options
        self._house = house
        self._scripts = scripts
        self._report = report
        self._tell = tell
        self._outsiders: list[Outsider] = []
        self._at_work: set[asyncio.Task[None]] = set()
        self._watcher = Watcher(house.valkey.url)
        self._saboteur = Saboteur(
            house,
            Random(f"{options.seed}:saboteur"),
            every_seconds=options.blow_every_seconds,
            silence_seconds=options.wait_timeout_ms / 1000,
        )

    async def pass_over(self) -> Evidence:
        """Let it pass over the house; gives what was seen."""
        door = Door(self._house.urls, Random(f"{self._options.seed}:door"))
        following = asyncio.create_task(self._watcher.follow())
        telling = asyncio.create_task(self._tell_now_and_then())
        try:
            features = await features_of(door)
            self._report.missing = features.missing()
            await self._rage(door, features)
            began = time.monotonic()
            await self._calm_down()
            self._report.calm_seconds = time.monotonic() - began
            self._report.blows, self._report.kills = self._saboteur.blows, self._saboteur.kills
            evidence = await look(
                self._outsiders, door, self._watcher, patience_seconds=self._options.calm_seconds
            )
            evidence.fallen = self._saboteur.fallen
            self._report.fsck = await fsck(self._house.valkey.url)
            return evidence
        finally:
            await end([following, telling, *self._at_work])
            await door.aclose()
            await self._watcher.aclose()

    async def _rage(self, door: Door, features: Features) -> None:
        """Send requests while the saboteur is at work; he has brought all back at the end."""
        options = self._options
        ravaging = asyncio.create_task(self._saboteur.ravage())
        draw = Random(f"{options.seed}:arrivals")
        room = asyncio.Semaphore(options.most_at_once)
        deadline = time.monotonic() + options.minutes * 60
        number = 0
        try:
            while time.monotonic() < deadline and not ravaging.done():
                await asyncio.sleep(draw.expovariate(options.requests_per_second))
                await room.acquire()
                number += 1
                outsider = Outsider(
                    limited(plan_of(options.seed, number), features),
                    door,
                    Random(f"{options.seed}:client:{number}"),
                    ended=self._watcher.ended,
                    snapshot=self._watcher.snapshot,
                    mend=self._scripts.mend,
                )
                self._outsiders.append(outsider)
                task = asyncio.create_task(outsider.run())
                self._at_work.add(task)
                task.add_done_callback(lambda _: room.release())
        finally:
            ravaging.cancel()
            await asyncio.gather(ravaging, return_exceptions=True)
        if not ravaging.cancelled():
            ravaging.result()

    async def _calm_down(self) -> None:
        """Wait until each client has seen the end of its request."""
        _, waiting = await asyncio.wait(self._at_work, timeout=self._options.calm_seconds)
        await end(list(waiting))
        raise_faults(self._at_work)
        self._at_work.clear()

    async def _tell_now_and_then(self) -> None:
        began = time.monotonic()
        while True:
            records = [outsider.record for outsider in self._outsiders]
            accepted = sum(record.accepted for record in records)
            ended = sum(record.seconds is not None for record in records)
            self._tell(
                f"{time.monotonic() - began:6.0f} s  {accepted} accepted, {ended} ended,"
                f" {len(records) - ended} under way  {self._saboteur.kills} kills"
            )
            await asyncio.sleep(1.0)
