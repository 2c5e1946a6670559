"""Every key and consumer group name of VN, spelled here and nowhere else.

A key of a request is derived from its id, never read from a message. `prefix` stands before every
key; a hash tag such as ``{vn-0}`` pins all keys of one cell to one slot of a Redis Cluster.
"""

from dataclasses import dataclass

from vncore.ids import RequestId, TaskId, Tenant

ORCHESTRATORS = "orchestrator-main"
"""Group of `Keys.ingest`: who takes requests."""

WORKERS = "task-workers"
"""Group of `Keys.dispatch`: who takes tasks."""


def update_readers(request_id: RequestId) -> str:
    """Group of `Keys.updates`: the request's one live orchestrator."""
    return f"req::{request_id}"


def retry_field(task_id: TaskId) -> str:
    """Field of `Keys.group`: the task's recorded next attempt, ``<attempt>:<due ms>``."""
    return f"{RETRY}{task_id}"


def failure_field(task_id: TaskId) -> str:
    """Field of `Keys.group`: why the task has failed for good in this run, as JSON."""
    return f"{FAILURE}{task_id}"


def done_field(entry_id: str) -> str:
    """Field of `Keys.group`: which tasks of a dispatch entry are settled or moved, ``,3,4,``.

    There only while others of the entry are not.
    """
    return f"{DONE}{entry_id}"


RETRY, FAILURE, DONE = "retry:", "failure:", "done:"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one cell; see DESIGN §4 for the table."""

    prefix: str = ""

    # --- streams that live as long as the cell ------------------------------------------------
    @property
    def ingest(self) -> str:
        """Stream. Written by vnapi with the submission, read by orchestrators; length = backlog."""
        return f"{self.prefix}stream:request:ingest"

    @property
    def lifecycle(self) -> str:
        """Stream of events, trimmed. Written by every state change, read without a group."""
        return f"{self.prefix}stream:request:lifecycle"

    @property
    def dispatch(self) -> str:
        """Stream. Written by vnvs, read by task workers; length = backlog."""
        return f"{self.prefix}stream:task:dispatch"

    @property
    def index(self) -> str:
        """Sorted set: request id by time received (ms). Tells expired (410) from unknown (404)."""
        return f"{self.prefix}index:requests"

    # --- one request ----------------------------------------------------------------------------
    def updates(self, request_id: RequestId) -> str:
        """Stream: how attempts ended. Written by vnas, read by vnvs; deleted when terminal."""
        return f"{self.prefix}stream:task:updates:{request_id}"

    def state(self, request_id: RequestId) -> str:
        """Hash: status, run, groupCount, currentGroup, epoch, times. Expires once terminal."""
        return f"{self.prefix}state:request:{request_id}"

    def group(self, request_id: RequestId, group_index: int) -> str:
        """Hash: name, counts, status, recorded retries and failures. Expires likewise."""
        return f"{self.prefix}state:request:{request_id}:group:{group_index}"

    def xml(self, request_id: RequestId) -> str:
        """String: the document as it was sent."""
        return f"{self.prefix}cache:request:{request_id}:xml"

    def metadata(self, request_id: RequestId) -> str:
        """JSON: what came with the document (headers, size, trace)."""
        return f"{self.prefix}cache:request:{request_id}:metadata"

    def hydrated(self, request_id: RequestId) -> str:
        """Hash: the document after its own hydration, its groups and pinned sources."""
        return f"{self.prefix}cache:request:{request_id}:hydrated"

    def fragments(self, request_id: RequestId) -> str:
        """Hash: what task documents and results share, by digest; see `vncore.pieces`."""
        return f"{self.prefix}cache:request:{request_id}:fragments"

    def response(self, request_id: RequestId) -> str:
        """String: the assembled answer."""
        return f"{self.prefix}cache:request:{request_id}:response"

    def failure(self, request_id: RequestId) -> str:
        """JSON: the failure report."""
        return f"{self.prefix}cache:request:{request_id}:failure"

    def idempotency(self, tenant: Tenant, key_digest: str) -> str:
        """String: ``<requestId> <digest of what was sent>``. Expires with its request."""
        return f"{self.prefix}request:idempotency:{tenant}:{key_digest}"

    # --- one task -------------------------------------------------------------------------------
    def task_xml(self, request_id: RequestId, group_index: int, task_id: TaskId) -> str:
        """String: the task document that the script gets, in the form of `vncore.pieces`."""
        return f"{self.prefix}cache:task:{request_id}:{group_index}:{task_id}:xml"

    def task_traces(self, request_id: RequestId, group_index: int) -> str:
        """Hash: by task, where each value of its document came from, as JSON."""
        return f"{self.prefix}cache:task:{request_id}:{group_index}:traces"

    def task_result(self, request_id: RequestId, group_index: int, task_id: TaskId) -> str:
        """String: the first result, a ``valuation`` as `vncore.pieces`; never overwritten."""
        return f"{self.prefix}cache:task:{request_id}:{group_index}:{task_id}:result"
