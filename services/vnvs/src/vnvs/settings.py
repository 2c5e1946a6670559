"""The orchestrator's settings: read once in `main`, passed down in pieces."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator
from pydantic_settings import NoDecode

from vncore.settings import CommonSettings, usable_cores
from vnvs.hydration import HydrationLimits

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # so an ARN is none
_DEFAULTS = HydrationLimits()


class VnvsSettings(CommonSettings):
    """What vnvs is told by its environment."""

    hydration_file_root: Path | None = None
    """Below which folder ``file://`` and relative hrefs may read; empty: they are refused."""

    hydration_s3_buckets: Annotated[tuple[str, ...], NoDecode] = ()
    """From which buckets ``s3://`` may read, separated by commas; empty: all are refused."""

    max_concurrent_requests: PositiveInt = 128
    """How many requests one process runs at once."""

    max_request_deliveries: PositiveInt = 10
    """How many orchestrators may take a request and not bring it to its end before it fails."""

    vnvs_slice_ms: NonNegativeInt = 100
    """How much work of short tasks one dispatch entry may carry, in milliseconds; 0: each task has
    an entry of its own."""

    vnvs_drain_ms: NonNegativeInt = 5_000
    """How long running requests may go on after SIGTERM, in milliseconds, before another
    orchestrator gets them; 0: at once."""

    hydration_processes: PositiveInt = Field(default_factory=usable_cores)
    """How many child processes hydrate at once. Default: the cores that this process may use."""

    hydration_timeout_ms: PositiveInt = 30_000
    """How long one pass of hydration may take, in milliseconds, fetching not counted."""

    hydration_memory_max_bytes: NonNegativeInt = 4 * 1024**3
    """Address space of one hydration process, in bytes; 0: no limit."""

    hydration_fetch_timeout_ms: PositiveInt = 10_000
    """How long fetching one document may take, in milliseconds."""

    hydration_fetch_max_bytes: PositiveInt = 10 * 1024**2
    """How large one fetched document may be, in bytes."""

    hydration_fetch_total_max_bytes: PositiveInt = 64 * 1024**2
    """How large all documents that one request fetches may be together, in bytes."""

    hydration_max_tasks: PositiveInt = _DEFAULTS.max_tasks
    """How many tasks one group may have."""

    hydration_max_nodes: PositiveInt = _DEFAULTS.max_nodes
    """How many elements and texts a hydrated document may have."""

    hydration_max_bytes: PositiveInt = _DEFAULTS.max_bytes
    """How large a hydrated document, and all task documents of a group together, may be."""

    hydration_max_passes: PositiveInt = _DEFAULTS.max_passes
    """How often references may bring in further references."""

    hydration_max_uris: PositiveInt = _DEFAULTS.max_uris
    """How many documents one request may refer to."""

    hydration_max_chain: PositiveInt = _DEFAULTS.max_chain
    """How many documents may include one another in a chain."""

    hydration_max_variables: NonNegativeInt = _DEFAULTS.max_variables
    """How many variables a document may declare."""

    hydration_max_attribute_bytes: PositiveInt = _DEFAULTS.max_attribute
    """How large an attribute may be after expansion, in bytes."""

    def hydration_limits(self) -> HydrationLimits:
        """Give what hydrating one request may cost."""
        return HydrationLimits(
            max_tasks=self.hydration_max_tasks,
            max_nodes=self.hydration_max_nodes,
            max_bytes=self.hydration_max_bytes,
            max_passes=self.hydration_max_passes,
            max_uris=self.hydration_max_uris,
            max_chain=self.hydration_max_chain,
            max_fetch_bytes=self.hydration_fetch_max_bytes,
            max_fetched_bytes=self.hydration_fetch_total_max_bytes,
            max_variables=self.hydration_max_variables,
            max_attribute=self.hydration_max_attribute_bytes,
        )

    @field_validator("hydration_s3_buckets", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(name.strip() for name in value.split(",") if name.strip())

    @field_validator("hydration_s3_buckets")
    @classmethod
    def _bucket_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in value if not _BUCKET.fullmatch(name)]
        if wrong:
            raise ValueError(f"no bucket names: {', '.join(wrong)}")
        return value

    @field_validator("hydration_file_root")
    @classmethod
    def _existing_folder(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        if not value.is_dir():
            raise ValueError("no such folder")
        return value.resolve() if ".." in value.parts else value.absolute()
