"""Structured logs: one JSON object a line on standard error, one field list everywhere.

A line is an event name plus fields: ``log.info("task_retried", extra={"task": 3, "attempt": 2})``.
`bound` adds fields (request, group, task, attempt) to every line written below it, in this
asyncio task or thread only.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger


def logger(service: str, *, level: str | None = None) -> Logger:
    """Give the logger of a service; later calls with the same name share its configuration."""
    # With a level of its own, or it reads LOG_LEVEL by itself and raises on what is none.
    log = Logger(service=service, level="INFO", stream=sys.stderr, use_rfc3339=True, utc=True)
    if level is not None:
        log.setLevel(level)
    return log


@contextmanager
def bound(log: Logger, **fields: str | int) -> Iterator[None]:
    """Add fields to every line of this context, and take them away again."""
    outer = dict(log.thread_safe_get_current_keys())
    log.thread_safe_append_keys(**fields)
    try:
        yield
    finally:
        log.thread_safe_clear_keys()
        if outer:
            log.thread_safe_append_keys(**outer)
