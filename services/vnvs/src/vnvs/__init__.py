"""VN's request orchestrator.

Reads ``stream:request:ingest`` and each request's ``stream:task:updates:<id>``; writes task
documents, ``stream:task:dispatch``, the request's state, hydrated document, response or failure
report. Importing it, or any module of it, connects to nothing.
"""
