"""Documents stored in pieces, so that what many of them share is stored once (ADR 0052).

A document is a sequence of pieces: bytes of its own, fragments that others have as well, named by
their digest, and, in a response, runs of task results. One that has only bytes of its own is stored
as it is; XML begins with ``<``. Any other is stored as a line of JSON and its own bytes in a row:

    [812,"9f86d081...",44]                                 812 bytes, a fragment, 44 bytes
    [120,{"group":0,"from":1,"to":100,"between":" "},15]   120 bytes, results 1 to 100, 15 bytes

Pure. Fragments are kept in `Keys.fragments` of their request and read through `fragments`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from vncore.ids import TaskId

_MARK = b"["  # no XML document begins so


@dataclass(frozen=True, slots=True)
class Fragment:
    """Bytes that several documents of a request have in common."""

    digest: str  # SHA-256 in hex
    body: bytes

    @classmethod
    def of(cls, body: bytes) -> "Fragment":
        """Make the fragment that these bytes are."""
        return cls(hashlib.sha256(body).hexdigest(), body)


@dataclass(frozen=True, slots=True)
class Shared:
    """Stands for a fragment."""

    digest: str


@dataclass(frozen=True, slots=True)
class Results:
    """Stands for the results of neighbouring tasks of a group, in task order."""

    group_index: int  # counts from 0
    first: TaskId
    last: TaskId
    between: bytes = b""  # written between two of them: white space


Piece = bytes | Shared | Results


class NotPieces(ValueError):
    """What was stored cannot be read, or a fragment that it names is not there."""


def packed(pieces: Iterable[Piece | Fragment]) -> bytes:
    """Give the form in which a document is stored."""
    entries: list[Any] = []
    own: list[bytes] = []
    for piece in pieces:
        match piece:
            case bytes():
                own.append(piece)
                if entries and isinstance(entries[-1], int):
                    entries[-1] += len(piece)
                else:
                    entries.append(len(piece))
            case Fragment(digest=digest) | Shared(digest=digest):
                entries.append(digest)
            case Results():
                entries.append(
                    {
                        "group": piece.group_index,
                        "from": piece.first,
                        "to": piece.last,
                        "between": piece.between.decode(),
                    }
                )
    if all(isinstance(entry, int) for entry in entries):
        return b"".join(own)
    head = json.dumps(entries, separators=(",", ":")).encode()
    return b"".join((head, b"\n", *own))


def is_whole(stored: bytes) -> bool:
    """Tell whether what is stored is the document itself."""
    return not stored.startswith(_MARK)


def unpacked(stored: bytes) -> Iterator[Piece]:
    """Give the pieces of a stored document; raises NotPieces."""
    if is_whole(stored):
        yield stored
        return
    head, line_end, _ = stored.partition(b"\n")
    at = len(head) + 1
    try:
        entries = json.loads(head) if line_end else None
        for entry in entries or _no_pieces("there is no line of pieces"):
            match entry:
                case int() if 0 <= entry <= len(stored) - at:
                    yield stored[at : at + entry]
                    at += entry
                case str():
                    yield Shared(entry)
                case {"group": int(group), "from": int(first), "to": int(last)}:
                    between = str(entry.get("between", "")).encode()
                    yield Results(group, TaskId(first), TaskId(last), between)
                case _:
                    _no_pieces(f"{str(entry)[:80]} is no piece")
    except json.JSONDecodeError as err:
        raise NotPieces(f"the line of pieces is no JSON: {err}") from err
    if at != len(stored):
        _no_pieces(f"{len(stored) - at} bytes belong to no piece")


def digests_in(stored: bytes) -> set[str]:
    """Name the fragments that a stored document has; raises NotPieces."""
    if is_whole(stored):
        return set()
    return {piece.digest for piece in unpacked(stored) if isinstance(piece, Shared)}


def composed(stored: bytes, fragments: Mapping[str, bytes]) -> bytes:
    """Put a stored document together.

    Raises NotPieces, also when one of its fragments is not given or it has results in it.
    """
    if is_whole(stored):
        return stored
    return b"".join(_bytes_of(piece, fragments) for piece in unpacked(stored))


def _bytes_of(piece: Piece, fragments: Mapping[str, bytes]) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, Results):
        _no_pieces("results are not part of this kind of document")
    body = fragments.get(piece.digest)
    return body if body is not None else _no_pieces(f"fragment {piece.digest[:16]} is gone")


def _no_pieces(why: str) -> NoReturn:
    raise NotPieces(why)
