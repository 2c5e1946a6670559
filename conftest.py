"""Fixtures of the whole house: the real server that every stream test runs on."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from vnclient.local.valkey import ValkeyServer
from vncore.connection import Connections
from vncore.keys import Keys

BLOCK_MS = 500

# A law is tried on as many examples as a run of minutes allows; HYPOTHESIS_PROFILE=thorough looks
# harder. No deadline for one example: a loaded machine is not a fault.
hypothesis.settings.register_profile("quick", max_examples=60, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=2_000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def server() -> Iterator[ValkeyServer]:
    """A real server for the whole run (one for each xdist worker); VN_TEST_REDIS names another."""
    executable = os.environ.get("VN_TEST_REDIS")
    if executable and not shutil.which(executable):
        pytest.skip(f"{executable} is not installed")
    # A short path of its own: a unix socket's path may have about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="vn-test-"))
    try:
        with ValkeyServer(folder, executable=executable) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def connections(server: ValkeyServer) -> AsyncIterator[Connections]:
    """Clients on an empty server."""
    async with Connections(server.url, block_ms=BLOCK_MS) as clients:
        await clients.commands.flushall()
        yield clients


@pytest.fixture
def redis_url(server: ValkeyServer, connections: Connections) -> str:
    """The address of the (emptied) server, for services started as processes."""
    return server.url


@pytest.fixture
def keys() -> Keys:
    """The keys without a prefix."""
    return Keys()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell by kind how far the engine is from published numbers, as its reference test noted it.

    Here and not beside the test: with xdist only the conftest at the top is read where the summary
    is written; the numbers come in the reports of the workers.
    """
    errors: dict[str, list[float]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, noted in report.user_properties:
                    if name == "published":
                        errors.setdefault(noted[0], []).append(noted[1])
    if errors:
        terminalreporter.section("published numbers: worst relative error by kind")
        for kind, found in sorted(errors.items()):
            terminalreporter.line(f"{kind:<22} {len(found):>4} numbers  {max(found):.1e}")
