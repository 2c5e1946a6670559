"""VN's HTTP door.

Reads: HTTP requests; the request store; ``stream:request:lifecycle`` (one reader per process); with
a Lambda orchestrator also ``stream:request:ingest``.
Writes: documents with their state, ingest entry and event (one atomic step); nothing else.
"""
