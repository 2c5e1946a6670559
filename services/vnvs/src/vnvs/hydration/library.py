"""The documents that a request refers to: each fetched once, parsed, searched (VNML R2, R4, R7).

Handed the `Fetch`; used by the passes. Everybody reads the same trees and changes none.
"""

from collections.abc import Iterable

from vncore import xml
from vncore.errors import HydrationFailed, MalformedDocument
from vnvs.hydration.directives import Directives
from vnvs.hydration.nodes import Element
from vnvs.hydration.shapes import Fetch, Fetched, HydrationLimits, Source
from vnvs.hydration.variables import Expander, declared

TagPath = tuple[str, ...]


def tag_path(element: Element) -> TagPath:
    """Give the tags from the root down to an element: its path for R2."""
    tags = [str(above.tag) for above in element.iterancestors()]
    return (*reversed(tags), str(element.tag))


class Referenced:
    """One fetched document as a tree, with its elements by tag, path, name and id."""

    def __init__(self, fetched: Fetched, root: Element) -> None:
        self.uri = fetched.uri
        self.digest = fetched.digest
        self.root = root
        self._directives: Directives | None = None
        self._by_tag: dict[str, list[Element]] | None = None
        self._by_path: dict[TagPath, list[Element]] = {}

    @property
    def directives(self) -> Directives:
        """What is left to do in the document."""
        if self._directives is None:
            self._directives = Directives(self.root)
        return self._directives

    def counterpart(self, local: Element, path: TagPath) -> Element:
        """Find the counterpart of an element that stands at `path` in its own document (R2).

        The only element at that path; else of that tag and name; else of that tag and id; else of
        that tag. Raises HydrationFailed (HREF_NO_COUNTERPART).
        """
        same_tag = self._tagged(path[-1])
        candidates = [("at the same path", self._at(path))]
        for attribute in ("name", "id"):
            value = local.get(attribute)
            if value is not None:
                named = [found for found in same_tag if found.get(attribute) == value]
                candidates.append((f"with {attribute} {value!r}", named))
        candidates.append(("of that tag", same_tag))
        for _, found in candidates:
            if len(found) == 1:
                return found[0]
        counts = ", ".join(f"{len(found)} {how}" for how, found in candidates)
        raise HydrationFailed(
            "HREF_NO_COUNTERPART",
            f"{self.uri} has no single counterpart of <{path[-1]}>: {counts}",
            rule="R2",
        )

    def _tagged(self, tag: str) -> list[Element]:
        if self._by_tag is None:
            self._by_tag = {}
            for element in self.root.iter("*"):
                self._by_tag.setdefault(str(element.tag), []).append(element)
        return self._by_tag.get(tag, [])

    def _at(self, path: TagPath) -> list[Element]:
        if path not in self._by_path:
            self._by_path[path] = [
                element for element in self._tagged(path[-1]) if tag_path(element) == path
            ]
        return self._by_path[path]


class Library:
    """The referenced documents of one pass; a URI is asked of `fetch` at most once."""

    def __init__(self, fetch: Fetch, variables: dict[str, str], limits: HydrationLimits) -> None:
        self._fetch = fetch
        self._variables = variables
        self._limits = limits
        self._documents: dict[str, Referenced | HydrationFailed] = {}
        self._bytes = 0
        self._uris: dict[Element, str] = {}
        self.sources: list[Source] = []

    def prefetch(self, uris: Iterable[str]) -> None:
        """Fetch the documents not here yet in one go; a failure is kept for whoever needs it."""
        missing = [uri for uri in dict.fromkeys(uris) if uri not in self._documents]
        room = max(0, self._limits.max_uris - len(self._documents))
        for uri in missing[room:]:
            self._documents[uri] = self._over(f"more than {self._limits.max_uris} documents")
        wanted = missing[:room]
        if not wanted:
            return
        answers = self._fetch(wanted)
        for uri in wanted:
            self._documents[uri] = self._admitted(uri, answers.get(uri))

    def get(self, uri: str) -> Referenced:
        """Give a document; raises HydrationFailed with the reason why it cannot be used (R7)."""
        if uri not in self._documents:
            self.prefetch([uri])
        document = self._documents[uri]
        if isinstance(document, HydrationFailed):
            raise HydrationFailed(document.code, document.message, rule=document.rule or "R7")
        return document

    def uri_of(self, root: Element) -> str | None:
        """Tell which document a root is of."""
        return self._uris.get(root)

    def _admitted(
        self, uri: str, answer: Fetched | HydrationFailed | None
    ) -> Referenced | HydrationFailed:
        if answer is None:
            return HydrationFailed("HREF_UNAVAILABLE", f"{uri} was not fetched", rule="R7")
        if isinstance(answer, HydrationFailed):
            return answer
        limits = self._limits
        if len(answer.body) > limits.max_fetch_bytes:
            return self._over(f"{uri} has more than {limits.max_fetch_bytes} bytes")
        self._bytes += len(answer.body)
        if self._bytes > limits.max_fetched_bytes:
            return self._over(f"all documents together have more than {limits.max_fetched_bytes}")
        try:
            root = xml.parse(
                answer.body,
                limits=xml.XmlLimits(max_bytes=limits.max_fetch_bytes),
                what=f"document {uri}",
            )
            # What the request declares wins over what the document itself declares: the nearer
            # document wins, as everywhere (R6).
            Expander({**declared(root, limits), **self._variables}, limits).expand_tree(root)
        except MalformedDocument as err:
            return HydrationFailed("HREF_MALFORMED", err.message, rule="R7")
        except HydrationFailed as err:
            return HydrationFailed(err.code, f"{uri}: {err.message}", rule=err.rule)
        self.sources.append(Source(uri, answer.digest, answer.version, len(answer.body)))
        self._uris[root] = uri
        return Referenced(answer, root)

    @staticmethod
    def _over(what: str) -> HydrationFailed:
        return HydrationFailed("HREF_LIMIT", f"too much is referenced: {what}", rule="T4")
