"""The whole house, as a user starts it: Valkey, vnapi, vnvs and vnas as processes."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from vnclient import AsyncClient, Client
from vnclient.local.stack import Stack, StackOptions
from vncore.connection import Connections

HERE = Path(__file__).parent
REQUESTS = HERE.parent.parent / "examples" / "requests"


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vn-e2e-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(data_dir: Path) -> Iterator[Stack]:
    """The stack with the test script; the end-to-end tests share it."""
    options = StackOptions(
        data_dir=data_dir, slots=4, script=HERE / "script.sh", file_root=REQUESTS
    )
    with Stack(options) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as vn:
        yield vn


@pytest.fixture
async def aclient(stack: Stack) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(stack.url) as vn:
        yield vn


@pytest.fixture
async def stack_redis(stack: Stack) -> AsyncIterator[Connections]:
    """Clients on the stack's server, to look and never to change."""
    async with Connections(stack.valkey.url, block_ms=500) as connections:
        yield connections
