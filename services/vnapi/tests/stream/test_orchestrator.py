"""Requests that a Lambda function runs: invoked until terminal, through throttling and silence."""

import asyncio
import json
import os
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from vnapi.orchestrator import (
    InvocationRefused,
    InvocationThrottled,
    LambdaInvoker,
    MainOrchestrator,
)
from vncore.connection import Connections
from vncore.ids import new_request_id
from vncore.keys import ORCHESTRATORS, Keys
from vncore.logs import logger
from vncore.messages import IngestEntry
from vncore.requests import RequestStore, Submission
from vncore.serving import serve
from vncore.streams import Consumer, Delivery

DOCUMENT = b'<vnml><project><group name="g"/></project></vnml>'
LOG = logger("vnapi-test")


class Recorder:
    """An invoker that remembers, and refuses as it is told."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.invoked: list[tuple[str, dict[str, str]]] = []
        self.calls = 0
        self.happened = asyncio.Event()

    async def invoke(self, entry_id: str, fields: Mapping[str, str]) -> None:
        self.calls += 1
        if self.refusals:
            raise self.refusals.pop(0)
        self.invoked.append((entry_id, dict(fields)))
        self.happened.set()


@pytest.fixture
async def submitted(store: RequestStore) -> str:
    request_id = new_request_id()
    await store.submit(Submission(request_id, DOCUMENT, 1, received_at_ms=1_700_000_000_000))
    return request_id


@pytest.fixture
async def delivery(submitted: str, orchestrator: Any) -> Delivery:
    (delivery,) = await orchestrator.deliveries()
    return delivery


def main_orchestrator(
    connections: Connections, keys: Keys, store: RequestStore, invoker: Any
) -> MainOrchestrator:
    return MainOrchestrator(
        connections,
        keys,
        store,
        invoker,
        log=LOG,
        patience_seconds=0.5,
        first_wait_seconds=0.01,
    )


async def pending(connections: Connections, keys: Keys) -> int:
    return int((await connections.commands.xpending(keys.ingest, ORCHESTRATORS))["pending"])


async def test_an_invoked_request_stays_pending(
    connections: Connections, keys: Keys, store: RequestStore, delivery: Delivery, submitted: str
) -> None:
    invoker = Recorder()
    await main_orchestrator(connections, keys, store, invoker).handle(delivery)
    ((entry_id, fields),) = invoker.invoked
    assert entry_id == delivery.entry_id
    assert IngestEntry.from_fields(fields).request_id == submitted
    assert await pending(connections, keys) == 1


async def test_throttling_is_waited_out(
    connections: Connections, keys: Keys, store: RequestStore, delivery: Delivery
) -> None:
    invoker = Recorder(*[InvocationThrottled("slow down")] * 3)
    await main_orchestrator(connections, keys, store, invoker).handle(delivery)
    assert (invoker.calls, len(invoker.invoked)) == (4, 1)


@pytest.mark.parametrize(
    ("refusals", "calls"),
    [
        pytest.param([InvocationRefused("no such function")], 1, id="refused: not repeated"),
        pytest.param([InvocationThrottled("slow down")] * 99, None, id="throttled too long"),
    ],
)
async def test_a_request_that_cannot_be_handed_on_stays_pending(
    connections: Connections,
    keys: Keys,
    store: RequestStore,
    delivery: Delivery,
    refusals: list[Exception],
    calls: int | None,
) -> None:
    invoker = Recorder(*refusals)
    await main_orchestrator(connections, keys, store, invoker).handle(delivery)
    assert invoker.invoked == []
    assert calls is None or invoker.calls == calls
    assert await pending(connections, keys) == 1


@pytest.mark.parametrize("gone", [False, True], ids=["terminal", "expired"])
async def test_an_entry_whose_request_has_ended_is_taken_off(
    connections: Connections,
    keys: Keys,
    store: RequestStore,
    delivery: Delivery,
    submitted: str,
    gone: bool,
) -> None:
    if gone:
        await connections.commands.delete(keys.state(submitted))  # type: ignore[arg-type]
    else:
        await connections.commands.hset(keys.state(submitted), "status", "failed")  # type: ignore
    invoker = Recorder()
    await main_orchestrator(connections, keys, store, invoker).handle(delivery)
    assert invoker.calls == 0
    assert await pending(connections, keys) == 0
    assert await connections.commands.xlen(keys.ingest) == 0


async def test_an_entry_of_nonsense_is_taken_off(
    connections: Connections, keys: Keys, store: RequestStore, orchestrator: Any
) -> None:
    await connections.commands.xadd(keys.ingest, {"nonsense": "1"})
    (delivery,) = await orchestrator.deliveries()
    await main_orchestrator(connections, keys, store, Recorder()).handle(delivery)
    assert await connections.commands.xlen(keys.ingest) == 0


async def test_a_silent_orchestrator_is_invoked_again_until_the_request_has_ended(
    connections: Connections, keys: Keys, store: RequestStore, submitted: str
) -> None:
    invoker, stop = Recorder(), asyncio.Event()
    consumer = Consumer(connections, keys.ingest, ORCHESTRATORS, "vnapi-test", idle_ms=200)
    main = main_orchestrator(connections, keys, store, invoker)
    serving = asyncio.create_task(serve(consumer, main.handle, slots=4, stop=stop, log=LOG))
    async with asyncio.timeout(15):
        while len(invoker.invoked) < 3:
            invoker.happened.clear()
            await invoker.happened.wait()
        await connections.commands.hset(keys.state(submitted), "status", "succeeded")  # type: ignore
        while await connections.commands.xlen(keys.ingest):
            await asyncio.sleep(0.01)
    stop.set()
    await serving
    assert {entry_id for entry_id, _ in invoker.invoked} == {invoker.invoked[0][0]}


# --- the real API, as far as moto has it ---------------------------------------------------------


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The address of moto's server with functions that answer without running."""
    credentials = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in credentials}
    os.environ.update(credentials)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    address = f"http://127.0.0.1:{port}"
    post(f"{address}/moto-api/config", {"lambda": {"use_docker": False}})
    yield address
    server.stop()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def post(address: str, document: Any) -> None:
    body = json.dumps(document).encode()
    urllib.request.urlopen(
        urllib.request.Request(address, body, {"Content-Type": "application/json"}), timeout=10
    ).close()


@pytest.fixture
async def function(aws: str) -> AsyncIterator[str]:
    iam = boto3.client("iam", endpoint_url=aws)
    role = iam.create_role(RoleName="vnvs", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    lambdas = boto3.client("lambda", endpoint_url=aws)
    made = lambdas.create_function(
        FunctionName="vnvs",
        Runtime="python3.12",
        Role=role,
        Handler="vnvs.handler.handle",
        Code={"ZipFile": b"PK\x05\x06" + bytes(18)},
    )
    yield made["FunctionArn"]
    lambdas.delete_function(FunctionName="vnvs")
    iam.delete_role(RoleName="vnvs")


async def test_a_function_is_invoked_asynchronously(
    aws: str,
    function: str,
    connections: Connections,
    keys: Keys,
    store: RequestStore,
    delivery: Delivery,
) -> None:
    invoker = LambdaInvoker(function, endpoint_url=aws)
    sent: list[dict[str, Any]] = []
    client = invoker._connected()
    client.meta.events.register(
        "before-call.lambda.Invoke", lambda params, **_: sent.append(params)
    )
    await main_orchestrator(connections, keys, store, invoker).handle(delivery)
    (call,) = sent
    assert call["headers"]["X-Amz-Invocation-Type"] == "Event"
    payload = json.loads(call["body"])
    assert payload == {"entryId": delivery.entry_id, "entry": dict(delivery.fields)}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        pytest.param(429, "TooManyRequestsException", InvocationThrottled, id="throttled"),
        pytest.param(500, "ServiceException", InvocationThrottled, id="their fault"),
        pytest.param(404, "ResourceNotFoundException", InvocationRefused, id="no such function"),
        pytest.param(403, "AccessDeniedException", InvocationRefused, id="denied"),
        pytest.param(413, "RequestTooLargeException", InvocationRefused, id="too large"),
    ],
)
async def test_what_lambda_answers_decides_whether_to_try_again(
    aws: str, function: str, status: int, code: str, expected: type[Exception]
) -> None:
    from botocore.awsrequest import AWSResponse

    invoker = LambdaInvoker(function, endpoint_url=aws)

    class Raw:
        def stream(self, **_: Any) -> Iterator[bytes]:
            yield b'{"Message": "no"}'

    def refuse(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, status, {"x-amzn-ErrorType": code}, Raw())

    invoker._connected().meta.events.register("before-send.lambda.Invoke", refuse)
    with pytest.raises(expected):
        await invoker.invoke("1-1", {})


async def test_an_address_where_nobody_listens_is_tried_again_later(aws: str) -> None:
    with pytest.raises(InvocationThrottled):
        await LambdaInvoker("vnvs", endpoint_url="http://127.0.0.1:9").invoke("1-1", {})
