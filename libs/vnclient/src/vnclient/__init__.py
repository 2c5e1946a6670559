"""VN's Python client, the ``vn`` command and the embedded local stack.

    from vnclient import Client

Talks HTTP to vnapi only; the local stack starts the services as processes and imports none of them.
"""

from vnclient.answers import Accepted, Completed, Failure, GroupStatus, Readiness, Status
from vnclient.client import DEFAULT_URL, AsyncClient, Client
from vnclient.errors import (
    ApiError,
    LocalStackError,
    Problem,
    RequestExpired,
    RequestFailed,
    RequestNotFound,
    RequestRefused,
    ResultNotReady,
    ServerFailed,
    ServerUnreachable,
    UnexpectedAnswer,
    VnClientError,
    WaitTimedOut,
)

__all__ = [
    "DEFAULT_URL",
    "Accepted",
    "ApiError",
    "AsyncClient",
    "Client",
    "Completed",
    "Failure",
    "GroupStatus",
    "LocalStackError",
    "Problem",
    "Readiness",
    "RequestExpired",
    "RequestFailed",
    "RequestNotFound",
    "RequestRefused",
    "ResultNotReady",
    "ServerFailed",
    "ServerUnreachable",
    "Status",
    "UnexpectedAnswer",
    "VnClientError",
    "WaitTimedOut",
]
