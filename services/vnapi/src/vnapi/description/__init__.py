"""What ``/openapi.json`` says of each call beyond the code: prose, real examples, the problems.

Read by `routes`, one mapping for each endpoint, and by `app`.
"""

from vnapi.description.by_id import CANCEL, HEALTH, READY, REDRIVE, RESULTS, STATUS
from vnapi.description.samples import example
from vnapi.description.submission import SUBMIT
from vnapi.description.whole import describe

__all__ = [
    "CANCEL",
    "HEALTH",
    "READY",
    "REDRIVE",
    "RESULTS",
    "STATUS",
    "SUBMIT",
    "describe",
    "example",
]
