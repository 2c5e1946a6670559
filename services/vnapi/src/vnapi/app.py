"""The application, built from given parts; importing this module connects to nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

from aws_lambda_powertools import Logger
from fastapi import FastAPI

from vnapi import description, problems
from vnapi.correlation import Correlation
from vnapi.routes import Door, router

Background = Callable[[], Coroutine[Any, Any, None]]
"""Runs as long as the application does and ends by being cancelled."""


def build_app(door: Door, log: Logger, background: Sequence[Background] = ()) -> FastAPI:
    """Build the application; `background` starts and ends with it."""
    installed = version("vnapi")
    app = FastAPI(
        title="VN",
        version=installed,
        redirect_slashes=False,
        lifespan=_lifespan(background),
    )
    app.include_router(router(door))
    problems.install(app)
    description.describe(app, installed)
    app.add_middleware(Correlation, log=log)
    return app


def _lifespan(
    background: Sequence[Background],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = [asyncio.create_task(work()) for work in background]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    return lifespan
