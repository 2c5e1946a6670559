"""A request's referenced documents: each is fetched once, kept, and read from the copy ever after.

In come URIs from a hydration child; out go copies (VNML R4, DESIGN §9 "Fetched once, pinned").
Called through `pool`, made by `orchestrate` for each request. The copies are kept in the request's
``hydrated`` hash under their digest, with a manifest, so that later groups and a successor read the
same bytes.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from vncore.errors import HydrationFailed, Place
from vnvs.hydration import Fetched
from vnvs.sources import Sources

MANIFEST = "sources"
"""Field: JSON list of `Pin`, in the order in which they were fetched."""

_AT_ONCE = 8


def body_field(digest: str) -> str:
    """Name the field that holds a copy."""
    return f"source:{digest}"


@dataclass(frozen=True, slots=True)
class Pin:
    """One fetched document, without its bytes."""

    uri: str
    digest: str  # sha256:<hex>
    version: str | None  # S3: version id or ETag
    size: int  # bytes


class PinnedSources:
    """The documents of one request."""

    def __init__(
        self,
        sources: Sources,
        *,
        total_bytes: int,
        kept: Mapping[str, bytes],
        reload: Callable[[], Awaitable[Mapping[str, bytes]]],
    ) -> None:
        """Take what a predecessor kept, and a way to read it again; allow `total_bytes` in all."""
        self._sources = sources
        self._total_bytes = total_bytes
        self._reload = reload
        self._pins = {pin["uri"]: Pin(**pin) for pin in json.loads(kept.get(MANIFEST, b"[]"))}
        self._bodies: dict[str, bytes] = {}  # by digest; only what the pass at hand has used
        self._unsaved: list[Pin] = []

    @property
    def manifest(self) -> bytes:
        """What was fetched so far, as JSON."""
        return json.dumps([asdict(pin) for pin in self._pins.values()]).encode()

    async def fetch(self, uris: Sequence[str]) -> dict[str, Fetched | HydrationFailed]:
        """Give a copy of each document, or why there is none.

        Raises StoreUnavailable when a kept copy cannot be read again.
        """
        await self._read_again([self._pins[uri] for uri in uris if uri in self._pins])
        unknown = list(dict.fromkeys(uri for uri in uris if uri not in self._pins))
        failed: dict[str, HydrationFailed] = {}
        for at in range(0, len(unknown), _AT_ONCE):
            batch = unknown[at : at + _AT_ONCE]
            answers = await asyncio.gather(*(self._fetch_one(uri) for uri in batch))
            for uri, answer in zip(batch, answers, strict=True):
                kept = answer if isinstance(answer, HydrationFailed) else self._pin(answer)
                if kept is not None:
                    failed[uri] = kept
        return {uri: failed.get(uri) or self._copy(uri) for uri in uris}

    def unsaved(self) -> Iterator[dict[str, bytes]]:
        """Give the fields that are to be kept, in pieces; the last one is the manifest."""
        if not self._unsaved:
            return
        for digest in dict.fromkeys(pin.digest for pin in self._unsaved):
            yield {body_field(digest): self._bodies[digest]}
        yield {MANIFEST: self.manifest}

    def saved(self) -> None:
        """Let go of the copies: what `unsaved` gave is kept now."""
        self._unsaved.clear()
        self._bodies.clear()

    async def _fetch_one(self, uri: str) -> Fetched | HydrationFailed:
        if self._total() >= self._total_bytes:
            return self._too_much(uri)
        try:
            return await self._sources.fetch(uri)
        except HydrationFailed as err:
            return err

    def _pin(self, document: Fetched) -> HydrationFailed | None:
        if self._total() + len(document.body) > self._total_bytes:
            return self._too_much(document.uri)
        pin = Pin(document.uri, document.digest, document.version, len(document.body))
        self._pins[pin.uri] = pin
        self._bodies[pin.digest] = document.body
        self._unsaved.append(pin)
        return None

    async def _read_again(self, pins: Sequence[Pin]) -> None:
        missing = {pin.digest for pin in pins} - self._bodies.keys()
        if missing:
            kept = await self._reload()
            self._bodies |= {digest: kept[body_field(digest)] for digest in missing}

    def _copy(self, uri: str) -> Fetched:
        pin = self._pins[uri]
        return Fetched(
            uri=uri, body=self._bodies[pin.digest], digest=pin.digest, version=pin.version
        )

    def _total(self) -> int:
        return sum(pin.size for pin in self._pins.values())

    def _too_much(self, uri: str) -> HydrationFailed:
        return HydrationFailed(
            "HREF_LIMIT",
            f"the request's referenced documents have more than {self._total_bytes} bytes",
            rule="T4",
            place=Place(uri=uri),
        )
