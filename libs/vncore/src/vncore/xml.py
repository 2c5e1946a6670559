"""The one door for XML: bytes from anywhere become a tree, or a MalformedDocument with a place.

Request bodies, fetched documents, stored documents and script output all come in here; nobody else
calls lxml's parsers. What comes out has no DOCTYPE, no entities, and is bounded in size, nodes,
attributes and depth, so that the rest of the house may walk it without care. Every
limit refuses with a code, none cuts.

Parsing a large document takes a good part of a second and some 15 times its size in memory. lxml
releases the interpreter lock meanwhile: call `parse` and `serialise` in a thread, never on an
event loop.
"""

import codecs
import re
import threading
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from lxml import etree

from vncore.errors import MalformedDocument, Place


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """What a document may cost before it is refused; see `parse` for the codes."""

    max_bytes: int = 10 * 1024 * 1024  # as sent, in whatever encoding
    max_tags: int = 1_000_000  # of "<", and separately of "=": bounds elements and attributes
    max_namespaces: int = 1_000  # of "xmlns"
    max_attributes: int = 256  # of one element: lxml's attribute access is quadratic
    max_depth: int = 250  # the root counts as 1; below libxml2's own 256, so results can be wrapped


DEFAULT_LIMITS = XmlLimits()


def parse(
    body: bytes, *, limits: XmlLimits = DEFAULT_LIMITS, what: str = "document"
) -> etree._Element:
    """Parse a whole document and return its root; `what` names it in messages.

    Comments and processing instructions around the root hang on ``root.getroottree()``.

    Raises MalformedDocument, and nothing else, with

    - ``DOCUMENT_TOO_LARGE``: more than `limits.max_bytes` bytes;
    - ``XML_ENCODING``: an encoding off the list, or bytes that are not in it;
    - ``XML_DOCTYPE``: a document type declaration;
    - ``XML_TOO_COMPLEX``: over one of the other limits, or one of libxml2's own;
    - ``XML_MALFORMED``: anything else, with line and column.
    """
    if len(body) > limits.max_bytes:
        raise MalformedDocument(
            "DOCUMENT_TOO_LARGE",
            f"the {what} has {len(body)} bytes; the limit is {limits.max_bytes}",
        )
    utf8 = _as_utf8(body, what)
    _refuse_doctype(utf8, what)
    _refuse_many_nodes(utf8, limits, what)
    root = _tree(utf8, what)
    if root.getroottree().docinfo.internalDTD is not None:
        # Not reachable by any known input: the prolog was checked before. Kept as a second lock.
        raise MalformedDocument("XML_DOCTYPE", f"the {what} has a DOCTYPE")
    _refuse_shape(root, utf8, limits, what)
    return root


def serialise(node: etree._Element, *, declaration: bool = True) -> bytes:
    """Write an element and what is in it as UTF-8; the text after it is never written.

    With `declaration` the XML declaration comes first, and where `node` is the root of its
    document also the comments and processing instructions around it, each on a line of its own.
    """
    if not declaration:
        return _written(node)
    around_it = [node]
    if node.getparent() is None:
        before = reversed(list(node.itersiblings(preceding=True)))
        around_it = [*before, node, *node.itersiblings()]
    lines = (b'<?xml version="1.0" encoding="UTF-8"?>', *map(_written, around_it))
    return b"\n".join(lines)


def _written(node: etree._Element) -> bytes:
    return etree.tostring(node, encoding="UTF-8", xml_declaration=False, with_tail=False)


def is_deeper_than(root: etree._Element, levels: int) -> bool:
    """Tell whether there are more levels of elements than this; 1: `root` has children."""
    return bool(_compiled(f"boolean({_steps(levels)})")(root))


# --- encoding: decided here, never by libxml2, which also reads UTF-7, HZ and ISO-2022 -----------

_BOMS = (
    (codecs.BOM_UTF32_LE, None),  # before UTF-16: it starts with the same two bytes
    (codecs.BOM_UTF32_BE, None),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
}

_DECLARATION = re.compile(
    rb"""<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:'1\.[0-9]+'|"1\.[0-9]+")
    (?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(['"])(?P<encoding>[A-Za-z][A-Za-z0-9._-]*)\1)?
    (?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:'(?:yes|no)'|"(?:yes|no)"))?
    [ \t\r\n]*\?>""",
    re.VERBOSE,
)
_DECLARATION_START = re.compile(rb"<\?xml[ \t\r\n]")


def _as_utf8(body: bytes, what: str) -> bytes:
    """Decode strictly by BOM, else declaration, else as UTF-8; give UTF-8 without BOM."""
    codec, skip = _codec_of(body, what)
    if codec == "utf-8" and body.isascii():  # most are: nothing to decode, nothing to copy
        return body[skip:]
    try:
        text = body[skip:].decode(codec)
    except UnicodeDecodeError as err:
        before = err.object[: err.start].decode(codec, errors="replace")
        line, column = _position(before)
        raise MalformedDocument(
            "XML_ENCODING",
            f"the {what} is not {codec.upper()} at line {line}, column {column}: {err.reason}",
            place=Place(line=line, column=column),
        ) from err
    return body[skip:] if codec == "utf-8" else text.encode("utf-8")


def _codec_of(body: bytes, what: str) -> tuple[str, int]:
    """Name the Python codec and the number of bytes of the BOM before the text."""
    for bom, codec in _BOMS:
        if body.startswith(bom):
            if codec is None:
                raise MalformedDocument("XML_ENCODING", f"the {what} is in UTF-32; send UTF-8")
            return codec, len(bom)
    if body.startswith((b"<\0", b"\0<")):
        raise MalformedDocument("XML_ENCODING", f"the {what} is in UTF-16 or UTF-32 without a BOM")
    if not _DECLARATION_START.match(body):
        return "utf-8", 0
    declaration = _DECLARATION.match(body)
    if declaration is None:
        # libxml2 may forgive what we did not understand and take an encoding from it.
        _malformed(f"the {what}'s XML declaration is not well-formed", 1, 1)
    declared = (declaration["encoding"] or b"utf-8").decode("ascii")
    codec = _CODECS.get(declared.lower())
    if codec is None:
        reason = "needs a BOM" if declared.lower().startswith("utf-16") else "is not accepted"
        raise MalformedDocument(
            "XML_ENCODING",
            f"the {what}'s encoding {declared} {reason}",
            place=Place(line=1, column=1 + declaration.start("encoding")),
        )
    return codec, 0


# --- before the tree: what cannot be refused cheaply once it stands ------------------------------

_PROLOG = re.compile(
    rb"(?:[ \t\r\n]++|<\?[^?]*+.*?\?>|<!--[^-]*+.*?-->)*+",
    re.DOTALL,
)


def _refuse_doctype(utf8: bytes, what: str) -> None:
    """Refuse unless the root element's tag follows the white space, comments and instructions.

    A search of the whole body would refuse honest CDATA; a list of things to refuse would miss one.
    """
    matched = _PROLOG.match(utf8)
    end = matched.end() if matched else 0
    rest = utf8[end : end + 9]
    if rest[:1] == b"<" and rest[1:2] not in {b"!", b"?", b""}:
        return
    line, column = _position(utf8[:end].decode("utf-8", errors="replace"))
    if rest.upper() == b"<!DOCTYPE":
        raise MalformedDocument(
            "XML_DOCTYPE",
            f"the {what} has a DOCTYPE at line {line}, column {column}",
            place=Place(line=line, column=column),
        )
    found = "nothing" if not rest else "an unfinished or misplaced construct"
    _malformed(f"the {what} has {found} where its root element should start", line, column)


def _refuse_many_nodes(utf8: bytes, limits: XmlLimits, what: str) -> None:
    """Refuse by counting bytes: 10 MB of ``<b/>`` would be half a gigabyte as a tree."""
    for token, most, name in (
        (b"<", limits.max_tags, "tags"),
        (b"=", limits.max_tags, "attributes"),
        (b"xmlns", limits.max_namespaces, "namespace declarations"),
    ):
        if len(utf8) <= most * len(token):
            continue  # too short for so many
        found = utf8.count(token)
        if found > most:
            raise MalformedDocument(
                "XML_TOO_COMPLEX",
                f'the {what} has too many {name}: {found} times "{token.decode()}";'
                f" the limit is {most}",
            )


# --- the tree ------------------------------------------------------------------------------------

_OWN_LIMITS = (110, 114)  # libxml2's XML_ERR_NAME_TOO_LONG and XML_ERR_RESOURCE_LIMIT
_POSITION_SUFFIX = re.compile(r"\s*, line \d+, column \d+\Z")


def _tree(utf8: bytes, what: str) -> etree._Element:
    parser = _parser()
    try:
        return etree.fromstring(utf8, parser)
    except etree.XMLSyntaxError as err:
        line, column = err.position
        place = Place(line=line or None, column=column or None)
        if getattr(err, "code", None) in _OWN_LIMITS:
            raise MalformedDocument(
                "XML_TOO_COMPLEX",
                f"the {what} exceeds a limit of the parser at line {line}, column {column}:"
                " depth 256, 10,000,000 bytes of one text or attribute, 50,000 of one name",
                place=place,
            ) from err
        reason = _POSITION_SUFFIX.sub("", err.msg or "not well-formed").strip()
        raise MalformedDocument(
            "XML_MALFORMED",
            f"the {what} is not well-formed at line {line}, column {column}: {reason}",
            place=place,
        ) from err


def _parser() -> etree.XMLParser:
    """Give this thread's parser, for one document after the other.

    One shared by threads would make them queue for it; a new one for each document costs as much as
    a small document.
    """
    parser: etree.XMLParser | None = getattr(_of_thread, "parser", None)
    if parser is None:
        parser = _of_thread.parser = etree.XMLParser(
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            attribute_defaults=False,
            huge_tree=False,
            recover=False,
            collect_ids=False,
        )
    return parser


def _refuse_shape(root: etree._Element, utf8: bytes, limits: XmlLimits, what: str) -> None:
    """Refuse elements with too many attributes and branches with too many levels.

    By XPath, which needs neither the interpreter lock nor an object per element; and only where
    there are so many tags and equals signs that it could be.
    """
    for token, most, least_bytes, name in (
        (b"=", limits.max_attributes, len(b' a=""'), "attributes"),
        (b"<", limits.max_depth, len(b"<a></a>"), "levels of elements"),
    ):
        if len(utf8) <= most * least_bytes or utf8.count(token) <= most:
            continue
        expression = f"//@*[{most + 1}]/.." if token == b"=" else _steps(most)
        if _compiled(f"boolean({expression})")(root):
            culprit = _elements(_compiled(f"({expression})[1]"), root)[0]
            line = cast("int", culprit.sourceline)  # always known after parsing
            raise MalformedDocument(
                "XML_TOO_COMPLEX",
                f"the {what} has more than {most} {name} at line {line}",
                place=Place(line=line),
            )


def _steps(levels: int) -> str:
    """Spell the path to the elements `levels` below; takes time in proportion to the nodes."""
    return "/".join("*" * levels) if levels else "self::*"


_of_thread = threading.local()


def _compiled(expression: str) -> etree.XPath:
    """Compile an expression, once for each thread: one shared would make threads queue for it."""
    known: dict[str, etree.XPath] = _of_thread.__dict__.setdefault("xpaths", {})
    if expression not in known:
        known[expression] = etree.XPath(expression)
    return known[expression]


def _elements(path: etree.XPath, top: etree._Element) -> list[etree._Element]:
    # Any: the stubs do not know that a path of element names gives elements and nothing else.
    found: Any = path(top)
    return list(found)


def _position(before: str) -> tuple[int, int]:
    """Tell line and column, both from 1, of what follows this text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _malformed(message: str, line: int, column: int) -> NoReturn:
    raise MalformedDocument(
        "XML_MALFORMED",
        f"{message} (line {line}, column {column})",
        place=Place(line=line, column=column),
    )
