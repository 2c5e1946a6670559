"""Turn an ``href`` into one canonical absolute URI, or refuse it (VNML R3, SAFETY §2).

Text only: nothing here looks whether anything exists. Whether a bucket is allowed, and that no
symbolic link leads out of the root, is checked where the bytes are read.
"""

import re
from urllib.parse import unquote_to_bytes

from vncore.errors import HydrationFailed
from vnvs.hydration.placeholders import START

S3, FILE = "s3://", "file://"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LATE_SCHEME = re.compile(r".+?((?:s3|file)://.*)", re.DOTALL)


def canonical_uri(href: str, base: str | None, root: str | None) -> str:
    """Resolve `href` against `base`, the URI of the document or folder that it stands in.

    A file must lie below `root` (``file:///data/``); without one files are refused. The path of a
    file is percent-decoded once and holds no ``%`` then; the key of an object is as written.

    Raises HydrationFailed: HREF_EMPTY or HREF_FORBIDDEN, alike whether the target exists or not.
    """
    if not href.strip():
        raise HydrationFailed("HREF_EMPTY", "the href is empty", rule="R7")
    if _CONTROL.search(href) or "\\" in href:
        raise _forbidden("has a character that no reference may have")
    late = _LATE_SCHEME.fullmatch(href)
    if late and href.startswith((S3, FILE)):
        href = late[1]  # `rebased` put a folder before a placeholder that brought a whole URI
    if href.startswith(S3):
        return _object(href[len(S3) :])
    if href.startswith(FILE):
        return _file(href[len(FILE) :], root)
    if _SCHEME.match(href) or href.startswith("/"):
        raise _forbidden("is neither s3://bucket/key nor file:///path nor a relative path")
    if base is None:
        raise _forbidden("is relative, and no file root is set")
    folder = base[: base.rindex("/") + 1]
    if folder.startswith(S3):
        bucket, _, prefix = folder[len(S3) :].partition("/")
        return f"{S3}{bucket}/{_joined(prefix, href)}"
    return _file(folder[len(FILE) :] + href, root)


def rebased(href: str, base: str) -> str:
    """Make a relative href whose placeholders are not expanded yet independent of where it stands.

    ``rebased("x-${select(./@ccy)}.xml", "file:///d/a.xml")`` gives ``file:///d/x-${…}.xml``.
    """
    head = href.split(START, 1)[0]
    return href if _SCHEME.match(head) else base[: base.rindex("/") + 1] + href


def _object(rest: str) -> str:
    bucket, slash, key = rest.partition("/")
    if not slash or not key:
        raise _forbidden("has no key: s3://bucket/key")
    if not _BUCKET.fullmatch(bucket):
        raise _forbidden("has no bucket name that could be allowed")
    return f"{S3}{bucket}/{key}"


def _file(encoded: str, root: str | None) -> str:
    if root is None:
        raise _forbidden("is a file, and no file root is set")
    if not encoded.startswith("/"):
        raise _forbidden("names a host; write file:///path")
    try:
        path = unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError as err:
        raise _forbidden("is not percent-encoded UTF-8") from err
    if "%" in path or "\\" in path or _CONTROL.search(path):
        raise _forbidden("has a character that no path may have once it is decoded")
    uri = f"{FILE}/{_joined('', path.lstrip('/'))}"
    if not uri.startswith(root if root.endswith("/") else f"{root}/"):
        raise _forbidden("leads outside the file root")
    return uri


def _joined(folder: str, relative: str) -> str:
    """Walk from a folder (as it stands, with its last slash) by a relative path; never out."""
    steps = folder.split("/")[:-1]
    for step in relative.split("/"):
        if step == "..":
            if not steps:
                raise _forbidden("leads outside")
            steps.pop()
        elif step not in {"", "."}:
            steps.append(step)
    if not steps:
        raise _forbidden("names no document")
    return "/".join(steps)


def _forbidden(why: str) -> HydrationFailed:
    return HydrationFailed("HREF_FORBIDDEN", f"the href {why}", rule="R3")
