"""A desk on which documents are hydrated: files and objects to refer to, and short ways to ask."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date

import pytest
from lxml import etree
from straightforward import assemble, composed, place_results

from vncore import xml as vncore_xml
from vncore.errors import HydrationFailed, VnError
from vnvs.hydration import (
    CompleteGroup,
    Context,
    Fetched,
    GroupResults,
    HydratedDocument,
    HydratedGroup,
    HydrationLimits,
    ParsedDocument,
    TaskDocument,
    check,
    hydrate_document,
    hydrate_group,
)

ROOT = "file:///data/"


class Desk:
    """Hydrates, with `files` (names below file:///data/, or whole URIs) to fetch from."""

    def __init__(self) -> None:
        self.files: dict[str, str | bytes | HydrationFailed] = {}
        self.asked: list[list[str]] = []  # the URIs of each call of fetch
        self.limits = HydrationLimits()
        self.base_uri: str | None = ROOT
        self.sent: bytes | None = None

    def fetch(self, uris: Sequence[str]) -> Mapping[str, Fetched | HydrationFailed]:
        self.asked.append(list(uris))
        return {uri: self._copy(uri) for uri in uris}

    def _copy(self, uri: str) -> Fetched | HydrationFailed:
        body = self.files.get(uri, self.files.get(uri.removeprefix(ROOT)))
        if body is None:
            return HydrationFailed("HREF_UNAVAILABLE", f"{uri} cannot be read", rule="R7")
        if isinstance(body, HydrationFailed):
            return body
        body = body.encode() if isinstance(body, str) else body
        return Fetched(uri, body, "sha256:" + hashlib.sha256(body).hexdigest(), "v1")

    @property
    def context(self) -> Context:
        return Context(
            received=date(2026, 9, 17),
            base_uri=self.base_uri,
            limits=self.limits,
            sent=self.sent,
        )

    def document(self, xml: str | bytes) -> HydratedDocument:
        """The document pass on a whole document."""
        return hydrate_document(_bytes(xml), self.fetch, self.context)

    def project(self, content: str) -> str:
        """The content of the project after the document pass."""
        return inner(self.document(in_project(content)).xml, "project")

    def tasks(self, content: str, group: int = 0) -> list[TaskDocument]:
        """The tasks of a group of a project with this content, before any result."""
        document = in_project(content).encode()
        self.sent = document
        return list(self.tasks_of(self.document(document).xml, group))

    def tasks_of(
        self, document: bytes, group: int = 0, *, tolerant: bool = False
    ) -> tuple[TaskDocument, ...]:
        return hydrate_group(document, group, self.fetch, self.context, tolerant=tolerant)

    def valuations(self, content: str, group: int = 0) -> list[str]:
        """What is in each task's valuation, without our vndb."""
        return [valuation_of(task.xml) for task in self.tasks(content, group)]

    def valuation(self, shared: str, valuation: str) -> str:
        """What is in the one valuation, given shared data and what is asked for."""
        [only] = self.valuations(f"{shared}<group><valuation>{valuation}</valuation></group>")
        return only

    def opened(self, content: str, *results: Sequence[str]) -> "Opened":
        """The document, open, with what its first groups came to for who asks."""
        return Opened(self, self.document(in_project(content)).xml, results)

    def with_results(self, content: str, *results: Sequence[str]) -> bytes:
        """The document with the results of its first groups written into it."""
        document = self.document(in_project(content)).xml
        for index, written in enumerate(results):
            document = place_results(document, index, [one.encode() for one in written])
        return document

    def placed(self, content: str, *results: Sequence[str]) -> bytes:
        """The document after the results of its first groups were put in place in its tree."""
        opened = self.opened(content, *results)
        for index in range(len(results)):
            opened.parsed.place(index, opened.results(index))
        return vncore_xml.serialise(opened.parsed.root)

    def tasks_after(
        self, content: str, *results: Sequence[str], tolerant: bool = False
    ) -> tuple[TaskDocument, ...]:
        """The tasks of the group after those whose results are given.

        The same, or the same fault, whether results stand in the document or are asked for.
        """
        index = len(results)
        made = outcome(
            lambda: self.tasks_of(self.with_results(content, *results), index, tolerant=tolerant)
        )
        opened = self.opened(content, *results)
        same = outcome(lambda: opened.tasks(index, tolerant=tolerant).tasks)
        if isinstance(made, VnError):
            assert isinstance(same, VnError)
            assert same.report() == made.report()
            raise made
        assert not isinstance(same, VnError), same
        assert list(map(told, same)) == list(map(told, made))
        return made

    def response(self, content: str, *results: Sequence[str], failed: int = 0) -> bytes:
        """The response, put together; the same as written straightforwardly."""
        opened = self.opened(content, *results)
        expected = sum(map(len, results))
        complete = [opened.complete(index) for index in range(len(results))]
        pieces = opened.parsed.assemble(complete, expected=expected, failed=failed)
        made = composed(pieces, opened.written)
        plain = assemble(self.with_results(content, *results), expected=expected, failed=failed)
        assert vncore_xml.serialise(vncore_xml.parse(made)) == plain
        return made

    def faults(self, content: str) -> list[HydrationFailed]:
        """All faults of a project with this content."""
        return check(in_project(content).encode(), self.fetch, self.context)

    def fault(self, content: str) -> HydrationFailed:
        """The fault that ends hydrating a project with this content, in whichever pass."""
        with pytest.raises(HydrationFailed) as caught:
            self._hydrate_all(in_project(content).encode())
        return caught.value

    def _hydrate_all(self, document: bytes) -> None:
        hydrated = self.document(document)
        self.sent = document
        for group in hydrated.groups:
            self.tasks_of(hydrated.xml, group.index)


class Opened:
    """A parsed document, and what its first groups came to, for who asks."""

    def __init__(self, desk: Desk, document: bytes, results: Sequence[Sequence[str]]) -> None:
        self.desk = desk
        self.parsed = ParsedDocument.parse(document, desk.limits)
        self.written = [[one.encode() for one in of_one] for of_one in results]
        self.asked: list[int] = []
        self._counts = [self._counted(document, index) for index in range(len(results))]

    def _counted(self, document: bytes, index: int) -> Sequence[int]:
        for earlier in range(index):
            of_earlier = self.written[earlier]
            document = place_results(document, earlier, of_earlier, limits=self.desk.limits)
        parsed = ParsedDocument.parse(document, self.desk.limits)
        return parsed.hydrate_group(index, self.desk.fetch, self.desk.context, tolerant=True).counts

    def tasks(self, index: int, *, tolerant: bool = False) -> HydratedGroup:
        return self.parsed.hydrate_group(
            index,
            self.desk.fetch,
            self.desk.context,
            results=self.results,
            tolerant=tolerant,
        )

    def results(self, index: int) -> GroupResults:
        self.asked.append(index)
        return GroupResults(self.written[index], self._counts[index])

    def complete(self, index: int, failed: Mapping[int, bytes] | None = None) -> CompleteGroup:
        return CompleteGroup(len(self.written[index]), self._counts[index], failed or {})


def told(task: TaskDocument) -> tuple[object, ...]:
    """All that is to be known of a task, to compare: of its failure the report."""
    failure = task.failure.report() if task.failure else None
    return task.task_id, task.valuation_name, task.pieces, task.trace, failure


def outcome(function):
    """What a function gives, or the error that it raises."""
    try:
        return function()
    except VnError as err:
        return err


def _bytes(xml: str | bytes) -> bytes:
    return xml.encode() if isinstance(xml, str) else xml


def in_project(content: str) -> str:
    return f"<vnml><project>{content}</project></vnml>"


def inner(xml: bytes, path: str) -> str:
    """Write what is in an element of a document."""
    element = etree.fromstring(xml).find(path)
    assert element is not None
    whole = etree.tostring(element, encoding="unicode", with_tail=False)
    return whole[whole.index(">") + 1 : whole.rindex("</")] if not whole.endswith("/>") else ""


def valuation_of(task: bytes) -> str:
    text = inner(task, "project/group/valuation")
    assert '<vndb externalId="' in text
    return text[: text.rindex("<vndb ")]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def desk_of_nothing():
    """A fetch and a context for documents that refer to nothing."""
    desk = Desk()
    return desk.fetch, desk.context
