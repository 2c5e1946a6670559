"""The settings that every service has, and how a service reads, checks and shows its own.

Each service derives one frozen class from `CommonSettings`, loads it once in its ``main`` and
passes values down. The environment variable of a field is its name in capitals.
"""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from pydantic import PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from vncore.errors import Misconfigured

REDACTED = "**********"


class CommonSettings(BaseSettings):
    """What vnapi, vnvs and vnas have in common."""

    model_config = SettingsConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        extra="ignore",
        hide_input_in_errors=True,
        env_ignore_empty=True,  # as Compose and Terraform hand on what is not set
    )

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379")
    """Queue, state and cache: ``redis://``, ``rediss://`` for TLS, or ``unix://`` for a socket."""

    redis_eviction: Literal["refuse", "warn"] = "refuse"
    """What to do with a server that evicts keys when its memory is full: not start, or warn."""

    durability: Literal["memory", "fsync"] = "memory"
    """What an accepted request survives: ``memory``: what the server itself does; ``fsync``: a
    power cut, and a server without ``appendfsync always`` is refused."""

    redis_key_prefix: str = ""
    """Put before every key; a hash tag such as ``{vn-0}`` makes one cell of a cluster."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe log line written."""

    default_block_ms: PositiveInt = 5_000
    """How long one blocking stream read waits, in milliseconds."""

    request_ttl_seconds: PositiveInt = 86_400
    """How long everything of a succeeded or cancelled request is kept after its end."""

    failed_ttl_seconds: PositiveInt = 604_800
    """How long everything of a failed or partial request is kept after its end."""

    task_wait_timeout_ms: PositiveInt = 10_000
    """How long a taken entry may stay silent before another consumer takes it over."""

    max_task_retries: PositiveInt = 3
    """How many attempts a task gets in all."""


def usable_cores() -> int:
    """Count the cores that this process may use: what a service runs at once by default."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One line of ``vn config``."""

    name: str  # the environment variable
    value: str  # secrets masked; empty means not set
    default: bool  # whether the value is the built-in one
    help: str


S = TypeVar("S", bound=CommonSettings)


def load(kind: type[S]) -> S:
    """Read a service's settings from the environment.

    Raises Misconfigured that names every wrong variable; no value is repeated, it may be a secret.
    """
    try:
        return kind()
    except ValidationError as err:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']).upper()}: {_words(fault['msg'])}"
            for fault in err.errors(include_input=False, include_url=False)
        )
        raise Misconfigured(wrong) from None


def _words(message: str) -> str:
    """Take away what pydantic puts before the words of our own validators."""
    return message.removeprefix("Value error, ")


def effective(settings: CommonSettings) -> list[EffectiveSetting]:
    """List a service's settings as they are in force, secrets masked."""
    return [
        EffectiveSetting(
            name=name.upper(),
            value=_shown(getattr(settings, name)),
            default=getattr(settings, name) == field.get_default(call_default_factory=True),
            help=" ".join((field.description or "").split()),
        )
        for name, field in type(settings).model_fields.items()
    ]


def printed(settings: CommonSettings, *, as_json: bool) -> str:
    """Write a service's settings in force for its ``config`` command, secrets masked.

    A line each, ``NAME=value`` with ``(set)`` behind what is not the default; or a JSON list.
    """
    lines = effective(settings)
    if as_json:
        return f"{json.dumps([asdict(line) for line in lines], indent=2)}\n"
    return "".join(
        f"{line.name}={line.value}{'' if line.default else '   (set)'}\n" for line in lines
    )


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return _without_password(value.get_secret_value())
    if value is None:
        return ""
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(str(part) for part in value)
    return str(value)


def _without_password(url: str) -> str:
    """Mask what stands between the scheme and the host, and the query, where keys may be."""
    scheme, found, rest = url.partition("://")
    if not found:
        return REDACTED
    location, _, query = rest.partition("?")
    credentials, at, host = location.rpartition("@")
    shown = f"{REDACTED}@{host}" if at and credentials else location
    return f"{scheme}://{shown}{f'?{REDACTED}' if query else ''}"
