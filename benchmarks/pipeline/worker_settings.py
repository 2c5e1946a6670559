"""What clients and workers of the queues agree on; apart, so that workers need import no more."""

WORKERS = 2
"""Worker processes of each contestant."""

URL_VARIABLE = "VN_BENCH_REDIS_URL"
"""Tells the workers of the queues where their server is."""
