"""Names for the ids that travel through the house, kept apart by type.

Everybody uses them; nobody builds one from outside input without checking it first.
"""

import re
import uuid
from typing import NewType

from vncore.errors import InvalidRequest

RequestId = NewType("RequestId", str)
"""A UUID version 4 in its canonical lower-case form."""

TaskId = NewType("TaskId", int)
"""A task's number within its group; counts from 1 in document order (VNML K1)."""

Tenant = NewType("Tenant", str)
"""Whose request it is; ``default`` until authentication names another."""

DEFAULT_TENANT = Tenant("default")

_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_request_id() -> RequestId:
    """Make a request id that nobody can guess."""
    return RequestId(str(uuid.uuid4()))


def parse_request_id(text: str) -> RequestId:
    """Check an id from outside before it touches a key.

    Raises InvalidRequest (``REQUEST_ID_INVALID``) when it is not a canonical UUID.
    """
    if not _CANONICAL_UUID.fullmatch(text):
        raise InvalidRequest("REQUEST_ID_INVALID", "a request id is a UUID in lower case")
    return RequestId(text)
