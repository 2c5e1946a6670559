"""VN's Python client, the ``vn`` command and the embedded local stack.

    from vnclient import Client

Talks HTTP to vnapi only; the local stack starts the services as processes and imports none of them.
"""

from vnclient.answers import (
    Accepted,
    Completed,
    Failure,
    GroupStatus,
    Readiness,
    Redriven,
    Status,
)
from vnclient.async_client import AsyncClient
from vnclient.client import Client
from vnclient.errors import (
    AnswerCutOff,
    ApiError,
    LocalStackError,
    Problem,
    RequestExpired,
    RequestFailed,
    RequestNotFound,
    RequestNotRedrivable,
    RequestOver,
    RequestRefused,
    ResultNotReady,
    ServerFailed,
    ServerUnreachable,
    UnexpectedAnswer,
    VnClientError,
    WaitTimedOut,
)
from vnclient.wire import DEFAULT_URL

__all__ = [
    "DEFAULT_URL",
    "Accepted",
    "AnswerCutOff",
    "ApiError",
    "AsyncClient",
    "Client",
    "Completed",
    "Failure",
    "GroupStatus",
    "LocalStackError",
    "Problem",
    "Readiness",
    "Redriven",
    "RequestExpired",
    "RequestFailed",
    "RequestNotFound",
    "RequestNotRedrivable",
    "RequestOver",
    "RequestRefused",
    "ResultNotReady",
    "ServerFailed",
    "ServerUnreachable",
    "Status",
    "UnexpectedAnswer",
    "VnClientError",
    "WaitTimedOut",
]
