"""An empty cell with the parts of an orchestrator on it."""

import pytest
from orchestration import House, InThread, Worker, tools

from vncore.connection import Connections
from vncore.keys import ORCHESTRATORS, Keys
from vncore.logs import logger
from vncore.streams import ensure_group


@pytest.fixture(autouse=True)
def log_every_line() -> None:
    logger("vnvs").setLevel("DEBUG")  # a line that cannot be written is a fault, too


@pytest.fixture
async def house(connections: Connections, keys: Keys) -> House:
    worker = Worker(connections, keys)
    await worker.join()
    await ensure_group(connections.commands, keys.ingest, ORCHESTRATORS)
    return House(connections, keys, tools(connections, keys, InThread()), worker)
