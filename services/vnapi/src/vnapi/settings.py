"""The settings of vnapi; read once in `main`, passed down in pieces."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from vncore.settings import CommonSettings

LOCAL = "local"
"""`ApiSettings.request_orchestrator_arn`: vnvs services take the requests themselves."""


class ApiSettings(CommonSettings):
    """What vnapi can be told; the environment variable is the name in capitals."""

    http_host: str = "127.0.0.1"
    """Address to listen on; ``0.0.0.0`` for every interface, as containers need it."""

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Port to listen on; 0 takes a free one and logs it."""

    http_socket_fd: Annotated[int, Field(ge=0)] | None = None
    """An inherited descriptor of a bound TCP socket to listen on, in place of host and port."""

    payload_max_bytes: PositiveInt = 10 * 1024 * 1024
    """The largest document accepted, counted after decompression."""

    sync_wait_timeout_ms: PositiveInt = 120_000
    """How long a synchronous call waits before it answers 202; keep proxies' timeouts above it."""

    lifecycle_block_ms: PositiveInt = 1_000
    """How long one read of the lifecycle stream waits for events."""

    bodies_max_bytes: PositiveInt = 64 * 1024 * 1024
    """How many bytes of bodies over 64 KiB are in memory at once, from their reading to their
    submission; others wait, unread. At least one document of ``PAYLOAD_MAX_BYTES``."""

    body_timeout_ms: PositiveInt = 60_000
    """How long a whole body may take to arrive (408), and before that wait for room (503)."""

    header_timeout_ms: PositiveInt = 10_000
    """How long the request line and headers may take to arrive (408)."""

    header_max_bytes: PositiveInt = 64 * 1024
    """How large the request line and headers may be together (431)."""

    limit_concurrency: PositiveInt = 2_000
    """How many connections may be open at once (503)."""

    keep_alive_seconds: PositiveInt = 75
    """How long an idle connection stays open; above the idle timeout of the proxy in front."""

    shutdown_grace_seconds: PositiveInt = 10
    """How long running calls may take after SIGTERM; synchronous waits end at once with 202."""

    large_documents_at_once: PositiveInt = 2
    """How many documents over 1 MiB are parsed at once, and written to Redis at once; parsed, one
    takes some 20 times its size."""

    backlog_max_requests: PositiveInt = 10_000
    """From how many requests that have not ended on submissions are refused (503)."""

    backlog_max_tasks: PositiveInt = 200_000
    """From how many tasks that are queued or run on submissions are refused (503)."""

    redis_memory_max_percent: Annotated[int, Field(ge=1, le=100)] = 85
    """From which share of the server's ``maxmemory`` on submissions are refused (503)."""

    request_orchestrator_arn: str = LOCAL
    """``local``: vnvs services take requests from the stream; else the Lambda to invoke."""

    task_processor_arn: str = ""
    """The Lambda that runs tasks; empty: vnas services do, and readiness asks for them."""

    orchestrator_slots: PositiveInt = 16
    """How many invocations of the Lambda orchestrator may be under way at once."""

    orchestrator_silence_ms: PositiveInt = 60_000
    """How long an invoked orchestrator may leave its ingest entry alone before it is invoked
    again."""

    @property
    def orchestrators(self) -> Literal["local", "lambda"]:
        """Who runs requests."""
        return "local" if self.request_orchestrator_arn == LOCAL else "lambda"
