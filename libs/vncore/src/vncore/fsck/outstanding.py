"""The outstanding entries of a stream: those that a consumer holds, or that one will be given.

An entry that was delivered and is pending with nobody is lost work, although it is still in the
stream: that is what ``XGROUP DELCONSUMER`` leaves behind. Read once, in order, page by page. Called
by `lost`, for dispatched tasks and for a request's reports.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from vncore.connection import translated
from vncore.entries import PAGE, Entry, number


class Outstanding:
    """Goes through a stream from its beginning; what it has passed it need not see again.

    Entries are only ever appended: what was not there when its id was passed never comes to be.
    """

    def __init__(self, stream: str, group: str) -> None:
        self.stream = stream
        self.group = group
        self.at_end = False  # whether the last page was the last one there was
        self._after = "-"

    async def page(self, redis: Redis) -> list[Entry]:
        """Read the next page."""
        async with redis.pipeline(transaction=True) as pipe:
            self.ask(pipe)
            with translated(f"read {self.stream}"):
                return self.hear(await cast("Any", pipe.execute(raise_on_error=False)))

    def ask(self, pipe: Any) -> None:
        """Add the three commands that read the next page; their answers go to `hear`."""
        pipe.xinfo_groups(self.stream)
        pipe.xrange(self.stream, min=self._after, count=PAGE)
        pipe.xpending_range(self.stream, self.group, min=self._after, max="+", count=PAGE)

    def hear(self, answers: Sequence[Any]) -> list[Entry]:
        """Give the outstanding entries of a page, and go on behind it."""
        groups, raw, pending = (empty_where_absent(answer) for answer in answers)
        found = [Entry.of(one) for one in raw]
        held = {row["message_id"].decode() for row in pending}
        delivered = last_delivered(groups, self.group)

        # Two pages over the same ids need not end at the same one: what lies behind the nearer
        # end is left for the next.
        ends = [number(found[-1].entry_id)] if len(found) == PAGE else []
        ends += [number(pending[-1]["message_id"].decode())] if len(pending) == PAGE else []
        self.at_end = not ends
        if not found and not ends:
            return []
        passed = min(ends) if ends else number(found[-1].entry_id)
        self._after = f"({passed[0]}-{passed[1]}"
        return [
            one
            for one in found
            if number(one.entry_id) <= passed
            and (one.entry_id in held or number(one.entry_id) > delivered)
        ]


def last_delivered(groups: Sequence[Mapping[str, Any]], group: str) -> tuple[int, int]:
    """Give the id up to which a group's entries were delivered; zero where there is no group.

    A group that is made later begins at the beginning (`streams.ensure_group`).
    """
    ids = [row["last-delivered-id"] for row in groups if row["name"].decode() == group]
    return number(ids[0].decode()) if ids else (0, 0)


def empty_where_absent(answer: Any) -> Any:
    """Take a missing stream or group for an empty one; raise any other error."""
    absent = isinstance(answer, ResponseError) and (
        "no such key" in str(answer) or "NOGROUP" in str(answer)
    )
    if absent:
        return []
    if isinstance(answer, Exception):
        raise answer
    return answer
