"""The main orchestrator: takes ingest entries and has a Lambda function run the requests.

Runs in vnapi when ``REQUEST_ORCHESTRATOR_ARN`` names a function; with ``local`` the vnvs services
consume the stream themselves. An entry is held in the pending list until its request is terminal:
the invoked orchestrator keeps it fresh (XCLAIM at a third of ``ORCHESTRATOR_SILENCE_MS`` or faster)
and takes it off at the end. One that fell silent comes back here and is invoked again.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from vncore.connection import Connections
from vncore.keys import ORCHESTRATORS, Keys
from vncore.messages import IngestEntry, MalformedEntry
from vncore.requests import RequestStore
from vncore.streams import Delivery, acknowledge


class InvocationThrottled(Exception):
    """The function was not invoked; the same call may succeed later."""


class InvocationRefused(Exception):
    """The function was not invoked, and repeating the call at once will not help."""


class Invoker(Protocol):
    """Has one request run, elsewhere, without waiting for its end."""

    async def invoke(self, entry_id: str, fields: Mapping[str, str]) -> None:
        """Start the orchestrator; it may run twice for one entry.

        Raises InvocationThrottled or InvocationRefused.
        """


class LambdaInvoker:
    """Invokes a Lambda function asynchronously; connects when first used."""

    def __init__(self, function: str, *, endpoint_url: str | None = None) -> None:
        """`function` is a name or ARN; region and credentials come from the environment."""
        self._function = function
        self._endpoint_url = endpoint_url
        self._client: Any = None

    async def invoke(self, entry_id: str, fields: Mapping[str, str]) -> None:
        """Queue one invocation with ``{"entryId": ..., "entry": {...}}``."""
        payload = json.dumps({"entryId": entry_id, "entry": dict(fields)}).encode()
        await asyncio.to_thread(self._invoke, payload)

    def _invoke(self, payload: bytes) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._connected().invoke(
                FunctionName=self._function, InvocationType="Event", Payload=payload
            )
        except ClientError as err:
            code = err.response.get("Error", {}).get("Code", "")
            status = err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _THROTTLING or status >= _SERVER_FAULT:
                raise InvocationThrottled(str(err)) from err
            raise InvocationRefused(str(err)) from err
        except BotoCoreError as err:  # no connection, a timeout, no credentials
            raise InvocationThrottled(str(err)) from err
        if answer["StatusCode"] != _QUEUED:
            raise InvocationRefused(f"Lambda answered {answer['StatusCode']}")

    def _connected(self) -> Any:
        if self._client is None:
            import boto3
            from botocore.config import Config

            # Retries are ours: botocore's would sleep in a thread that shutdown waits for.
            config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
            self._client = boto3.client("lambda", endpoint_url=self._endpoint_url, config=config)
        return self._client


_THROTTLING = frozenset(
    (
        "TooManyRequestsException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "EC2ThrottledException",
        "ResourceConflictException",  # the function is being updated
    )
)
_SERVER_FAULT = 500
_QUEUED = 202


class MainOrchestrator:
    """Handles deliveries of the ingest stream; `handle` is what `vncore.serving.serve` calls."""

    def __init__(
        self,
        connections: Connections,
        keys: Keys,
        store: RequestStore,
        invoker: Invoker,
        *,
        log: Logger,
        patience_seconds: float = 60.0,
        first_wait_seconds: float = 0.2,
    ) -> None:
        """Repeat a throttled invocation with growing pauses for `patience_seconds`."""
        self._redis = connections.commands
        self._keys = keys
        self._store = store
        self._invoker = invoker
        self._log = log
        self._patience_seconds = patience_seconds
        self._first_wait_seconds = first_wait_seconds

    async def handle(self, delivery: Delivery) -> None:
        """Have the request of an ingest entry run, or take the entry off when it has ended.

        What is left pending comes again after ``ORCHESTRATOR_SILENCE_MS``.
        """
        try:
            entry = IngestEntry.from_fields(delivery.fields)
        except MalformedEntry as err:
            self._log.error("ingest_entry_malformed", extra={"error": str(err)})
            await acknowledge(self._redis, self._keys.ingest, ORCHESTRATORS, [delivery.entry_id])
            return
        facts = {"request_id": entry.request_id, "deliveries": delivery.deliveries}
        status = await self._store.status(entry.request_id)
        if status is None or status.is_terminal:
            await acknowledge(self._redis, self._keys.ingest, ORCHESTRATORS, [delivery.entry_id])
            self._log.info("ingest_entry_settled", extra=facts)
            return
        try:
            await self._invoke(delivery)
        except (InvocationThrottled, InvocationRefused) as err:
            self._log.error("orchestrator_not_invoked", extra={**facts, "error": str(err)})
            return
        self._log.info("orchestrator_invoked", extra=facts)

    async def _invoke(self, delivery: Delivery) -> None:
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(InvocationThrottled),
            wait=wait_random_exponential(multiplier=self._first_wait_seconds, max=10),
            stop=stop_after_delay(self._patience_seconds),
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                await self._invoker.invoke(delivery.entry_id, delivery.fields)
