"""VN's HTTP door.

Reads: HTTP requests; the request store; ``stream:request:lifecycle`` (one reader per process); how
much waits and how full the server is; with a Lambda orchestrator also ``stream:request:ingest``.
Writes, each in one atomic step: a submission (document, state, ingest entry, idempotency key and
event), a cancel, a redrive; nothing else.
"""
