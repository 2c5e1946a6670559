"""A document that stays open: results only where somebody looks, a response that names them."""

from dataclasses import replace

import pytest
import straightforward
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vncore import xml
from vncore.errors import HydrationFailed
from vncore.pieces import Results, packed, unpacked
from vnvs.hydration import CompleteGroup, GroupResults, HydrationLimits, ParsedDocument, kept

law = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

SHARED = (
    '<market name="USD"><rate>5</rate><group><valuation/></group></market><settings><s/></settings>'
    '<portfolio><i name="a"><rate>1</rate></i></portfolio>'
)
FIRST = '<group name="one"><valuation/></group>'
LATER = f'{SHARED}{FIRST}<group name="two">{{}}</group><group name="three"><valuation/></group>'


def in_project(content: str) -> str:
    return f"<vnml><project>{content}</project></vnml>"


ONE = "<valuation><rate>9</rate></valuation>"


def asked(desk, valuation: str) -> list[int]:
    """Which groups' results the second group's pass asks for."""
    content = LATER.format(valuation)
    opened = desk.opened(content, [ONE])
    opened.tasks(1)
    return opened.asked


@pytest.mark.parametrize(
    "directive",
    [
        "/vnml/project/market",
        "/vnml/project/market[@name='USD']/rate",
        "/vnml/project/market[rate='5']/@name",
        "/vnml/project/market//rate",
        "/vnml/project/market/group",
        "/vnml/*/market",
        "/vnml/project/*[@name='USD']",
        "/vnml/project/settings/s",
        "/vnml/project/market[starts-with(@name, 'U')]/rate",
        "/vnml/project/market[@name = 'USD' and rate = 5]",
        "/vnml/project/group[@name='three']/@name",
        "/vnml/project/group[3]/@name",
        "vn:link(/vnml/project/portfolio, i)",
        "vn:link(/vnml/project/portfolio/i, rate)",
        "/vnml/project/market/rate | /vnml/project/portfolio",
    ],
)
def test_a_path_that_cannot_lead_to_results_does_not_ask_for_them(desk, directive):
    assert asked(desk, f'<valuation><x select="{directive}"/></valuation>') == []


@pytest.mark.parametrize(
    ("directive", "use"),
    [
        ("./rate", "/vnml/project/portfolio/i"),
        (".", "vn:link(/vnml/project/portfolio, i)"),
        (".//rate", "/vnml/project/portfolio/i"),
        ("/vnml/project/portfolio/i[@name='${select(./@name)}']/rate", "/vnml/project/portfolio/i"),
    ],
)
def test_nor_does_one_that_is_relative_to_shared_data(desk, directive, use):
    assert asked(desk, f'<valuation use="{use}"><x select="{directive}"/></valuation>') == []


@pytest.mark.parametrize(
    ("directive", "use"),
    [
        ("/vnml/project/group[1]/valuation/rate", None),
        ("/vnml/project/group[@name='one']/@name", None),
        ("/vnml/project/*[@name='one']/@name", None),
        ("/vnml/project/*[rate='5']/@name", None),
        ("/vnml[project/group/valuation/rate='9']/project/market", None),
        ("/vnml/project[group/valuation/rate='9']/market", None),
        ("//market", None),
        ("/vnml/project//market", None),
        ("/vnml/project/group[starts-with(@name, 'on')]/@name", None),
        ("/vnml/project/child::market", None),
        ("(/vnml/project/market)[1]", None),
        ("/vnml/project/market/rate[. = /vnml/project/market/rate]", None),
        ("/vnml/project/market/../market", None),
        ("/vnml/project/market/following-sibling::settings", None),
        ("/vnml/project/market[1 and/vnml/project/group]/rate", None),
        ("/vnml/project/market[count(//valuation) > 0]", None),
        ("vn:link(/vnml/project, market)", None),
        ("vn:link(/vnml/project/group[1], valuation)", None),
        ("../i/rate", "/vnml/project/portfolio/i"),
        ("./market", "/vnml/project"),
        ("ancestor::portfolio/i", "/vnml/project/portfolio/i"),
        ("rate", "/vnml/project/group[1]/valuation"),
    ],
)
def test_one_that_may_lead_there_does(desk, directive, use):
    using = f' use="{use}"' if use else ""
    content = f'<valuation{using}><x select="{directive}"/></valuation>'
    try:
        assert asked(desk, content.replace("&", "&amp;")) == [0]
    except HydrationFailed as err:  # having looked
        pytest.fail(str(err))


def test_results_that_were_asked_for_stay_in_place(desk):
    look = '<valuation><x select="//group[1]/valuation/rate"/></valuation>'
    content = f"{FIRST}<group>{look}</group><group>{look}</group><group><valuation/></group>"
    results = [[ONE], ["<valuation><x/></valuation>"], ["<valuation/>"]]
    opened = desk.opened(content, *results)
    for index in range(4):
        opened.tasks(index)
    assert opened.asked == [0, 1]
    assert opened.parsed.placed == 2


def test_a_document_that_needs_results_late_is_hydrated_from_the_start(desk):
    """A task that came before the one that looks is what it would have been."""
    content = LATER.format(
        '<valuation use="/vnml/project/portfolio/i"><x select="./rate"/></valuation>'
        '<valuation><x select="//group[1]/valuation/rate"/></valuation>'
    )
    first, second = desk.tasks_after(content, [ONE])
    assert b"<x>" not in first.xml
    assert b"<rate>1</rate>" in first.xml
    assert b"<rate>9</rate>" in second.xml


@pytest.mark.parametrize(
    ("valuations", "counts"),
    [
        ("<valuation/><valuation/>", (1, 1)),
        ('<valuation use="/vnml/project/portfolio/i"/>', (3,)),
        ('<valuation/><valuation use="/vnml/project/portfolio/i"/>', (1, 3)),
        ("", ()),
    ],
)
def test_a_pass_tells_how_many_tasks_each_valuation_made(desk, valuations, counts):
    book = "<portfolio><i/><i/><i/></portfolio>"
    document = desk.document(in_project(f"{book}<group>{valuations}</group>")).xml
    parsed = ParsedDocument.parse(document, desk.limits)
    made = parsed.hydrate_group(0, desk.fetch, desk.context)
    assert made.counts == counts
    assert made.are_counts_needed == (counts == (1, 3))


# --- the response ---------------------------------------------------------------------------------


def response(desk, content: str, *complete: CompleteGroup) -> list[object]:
    document = desk.document(in_project(content)).xml
    pieces = ParsedDocument.parse(document, desk.limits).assemble(
        list(complete), expected=0, failed=0
    )
    assert list(unpacked(packed(pieces))) == pieces
    return [
        piece
        if isinstance(piece, Results)
        else piece.partition(b"<group")[2].decode()
        if b"<group" in piece
        else piece.decode()
        for piece in pieces
    ]


END = "</group></project></vnml>"


@pytest.mark.parametrize(
    ("group", "complete", "pieces"),
    [
        pytest.param(
            "\n <valuation use='/x'/>",
            CompleteGroup(5),
            [">\n ", Results(0, 1, 5, b"\n "), END],
            id="K4 one run",
        ),
        pytest.param(
            "\n <valuation use='/x'/>",
            CompleteGroup(5, None, {3: b"<f/>"}),
            [">\n ", Results(0, 1, 2, b"\n "), "\n <f/>\n ", Results(0, 4, 5, b"\n "), END],
            id="F2 cut around a failed task",
        ),
        pytest.param(
            "<valuation use='/x'/>",
            CompleteGroup(3, None, {1: b"<f/>", 2: b"<g/>", 3: b"<h/>"}),
            ["><f/><g/><h/></group></project></vnml>"],
            id="F2 all have failed",
        ),
        pytest.param(
            "\n <valuation/>\n <valuation/>\n <valuation/>\n",
            CompleteGroup(3),
            [">\n ", Results(0, 1, 3, b"\n "), f"\n{END}"],
            id="K4 neighbours with the same white space are one run",
        ),
        pytest.param(
            "<valuation/><!--c--><valuation/> <valuation/>",
            CompleteGroup(3),
            [">", Results(0, 1, 1), "<!--c-->", Results(0, 2, 3, b" "), END],
            id="K4 with something between them they are not",
        ),
        pytest.param(
            "\n <valuation/>\n <valuation use='/x'/>\n  <valuation/>",
            CompleteGroup(4, (1, 2, 1)),
            [">\n ", Results(0, 1, 3, b"\n "), "\n  ", Results(0, 4, 4, b"\n  "), END],
            id="K4 each valuation's results have the white space before it",
        ),
        pytest.param("", CompleteGroup(0), ["/></project></vnml>"], id="K4 an empty group"),
    ],
)
def test_a_response_names_its_results(desk, group, complete, pieces):
    content = f"<group>{group.replace('use', 'x')}</group>"
    assert response(desk, content, complete) == pieces


@pytest.mark.parametrize("complete", [CompleteGroup(3), CompleteGroup(2, (2,)), CompleteGroup(1)])
def test_counts_that_do_not_fit_are_refused(desk, complete):
    document = desk.document(in_project("<group><valuation/><valuation/></group>")).xml
    parsed = ParsedDocument.parse(document, desk.limits)
    with pytest.raises(HydrationFailed) as caught:
        parsed.assemble([complete], expected=0, failed=0)
    assert caught.value.code == "RESULTS_MISPLACED"


PLAIN, USING = "<valuation/>", '<valuation use="/vnml/project/portfolio/i"/>'
TEXTS = st.sampled_from(["", " ", "\n  ", "t", "&#13;", "<n/>", "<!--c-->", "<market/>", " &amp; "])


@given(
    st.lists(st.lists(st.tuples(TEXTS, st.booleans(), TEXTS), max_size=4), min_size=1, max_size=3),
    st.integers(0, 3),
    st.integers(0, 2),
    st.data(),
)
@law
def test_a_response_put_together_is_the_one_written_straightforwardly(
    desk, groups, instruments, placed, data
):
    book = "<portfolio>" + "<i/>" * (instruments + 1) + "</portfolio>"
    written = "".join(
        "<group>"
        + "".join(f"{before}{USING if uses else PLAIN}{after}" for before, uses, after in group)
        + "</group>"
        for group in groups
    )
    counts = [[instruments + 1 if uses else 1 for _, uses, _ in group] for group in groups]
    results = [
        [f"<valuation><r>{g}.{t}</r></valuation>".encode() for t in range(1, sum(of_one) + 1)]
        for g, of_one in enumerate(counts)
    ]
    failed = [
        {t: results[g][t - 1] for t in range(1, len(results[g]) + 1) if data.draw(st.booleans())}
        for g in range(len(groups))
    ]
    document = plain = desk.document(in_project(f"t<market/>{book}<x/>{written}u")).xml
    for index, of_one in enumerate(results):
        plain = straightforward.place_results(plain, index, of_one)
    parsed = ParsedDocument.parse(document, desk.limits)
    for index in range(min(placed, len(groups))):
        parsed.place(index, GroupResults(results[index], counts[index]))
    complete = [
        CompleteGroup(len(of_one), counts[g], failed[g]) for g, of_one in enumerate(results)
    ]
    pieces = parsed.assemble(complete, expected=7, failed=2)
    assert straightforward.composed(pieces, results) == straightforward.assemble(
        plain, expected=7, failed=2
    )


# --- kept between calls ---------------------------------------------------------------------------


def parsed_of(size: int) -> ParsedDocument:
    root = xml.parse(b"<vnml><project/></vnml>")
    return ParsedDocument(root, size, HydrationLimits(), has_namespaces=False)


@pytest.mark.parametrize(
    ("sizes", "left"),
    [
        pytest.param([1, 1, 1], "abc", id="all have room"),
        pytest.param([1, 1, 1, 1], "bcd", id="too many: the oldest goes"),
        pytest.param([4, 4, 4], "bc", id="too large: the oldest goes"),
        pytest.param([1, 11], "", id="too large for all the room"),
    ],
)
def test_the_documents_used_last_are_kept(sizes, left):
    documents = kept.KeptDocuments(count=3, size=10)
    for token, size in zip("abcd", sizes, strict=False):
        documents.keep(token, parsed_of(size))
    assert "".join(token for token in "abcd" if documents.take(token)) == left


def test_a_document_that_is_used_again_is_young_again():
    documents = kept.KeptDocuments(count=2)
    for token in "ab":
        documents.keep(token, parsed_of(1))
    again = documents.take("a")
    assert again is not None
    documents.keep("a", again)
    documents.keep("c", parsed_of(1))
    assert documents.take("b") is None
    assert documents.take("a") is again


def group_of(desk, document: bytes, token: str, asked: list[str], index: int = 0, **more):
    def asking(name: str, answer):
        def ask(question):
            asked.append(name)
            return answer(question) if callable(answer) else answer

        return ask

    def refuse(_):
        raise HydrationFailed("SELECT_NOTHING", "on purpose")

    return kept.hydrate_group(
        token,
        asking("document", document),
        index,
        desk.fetch,
        replace(desk.context, sent=None),
        asking("results", more.get("results", refuse)),
        asking("sent", b"<vnml/>"),
        tolerant=False,
    )


def test_a_document_is_parsed_once_for_all_its_groups(desk):
    document = in_project("<group><valuation/></group>" * 3).encode()
    hydrated = kept.hydrate_document("once", document, desk.fetch, desk.context)
    asked: list[str] = []
    for index in range(3):
        group_of(desk, hydrated.xml, "once", asked, index)
    assert asked == []


def test_what_the_document_pass_changed_is_parsed_again_once(desk):
    content = '<a>1</a><b select="/vnml/project/a"/><group><valuation/></group>'
    document = in_project(content).encode()
    hydrated = kept.hydrate_document("changed", document, desk.fetch, desk.context)
    asked: list[str] = []
    for _ in range(3):
        group_of(desk, hydrated.xml, "changed", asked)
    assert asked == ["document"]


def test_a_pass_that_fails_leaves_no_document_behind(desk):
    content = f'{FIRST}<group><valuation><x select="//valuation"/></valuation></group>'
    document = desk.document(in_project(content)).xml
    asked: list[str] = []
    group_of(desk, document, "failing", asked)
    for _ in range(2):
        with pytest.raises(HydrationFailed, match="on purpose"):
            group_of(desk, document, "failing", asked, 1)
    assert asked == ["document", "results", "document", "results"]


def test_the_request_as_sent_is_asked_for_only_by_a_fault(desk):
    content = '<group><valuation><x select="/none"/></valuation></group>'
    document = desk.document(in_project(content))
    asked: list[str] = []
    with pytest.raises(HydrationFailed):
        group_of(desk, document.xml, "sent", asked)
    assert asked == ["document", "sent"]


def test_a_group_before_those_that_are_placed_is_made_of_the_document_itself(desk):
    content = f'{FIRST}<group><valuation><x select="//rate[1]"/></valuation></group>'
    document = desk.document(in_project(content)).xml
    asked: list[str] = []
    results = GroupResults([ONE.encode()])
    group_of(desk, document, "back", asked, 1, results=lambda _: results)
    [task] = group_of(desk, document, "back", asked, 0).tasks
    assert b"<rate>" not in task.xml
    assert asked == ["document", "results", "document"]
