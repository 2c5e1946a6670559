"""Task documents in pieces: what tasks have in common is written and stored once (VNML K1)."""

from datetime import date

import pytest
import straightforward
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vncore.errors import HydrationFailed
from vncore.pieces import Fragment
from vnvs.frames import Answer, dumps, loads_answer
from vnvs.hydration import Context, HydratedGroup, HydrationLimits, ParsedDocument, writing

LARGE = "<node>1</node>" * (writing.FRAGMENT_BYTES // 14 + 1)
BOOK = '<portfolio><i name="a"/><i name="b"/></portfolio>'
MARKET = f'<market name="USD">{LARGE}</market>'
SELECTED = '<market select="/vnml/project/market"/>'
PLAIN = f"<valuation>{SELECTED}</valuation>"
USING = f'<valuation use="/vnml/project/portfolio/i">{{}}{SELECTED}<i select="."/></valuation>'


def fragments(task) -> list[Fragment]:
    return [piece for piece in task.pieces if isinstance(piece, Fragment)]


@pytest.mark.parametrize(
    "valuations",
    [
        pytest.param(USING.format(""), id="a use"),
        pytest.param(PLAIN * 2, id="valuations that select the same"),
        pytest.param(f"<valuation>{MARKET}</valuation>".replace("><", "><", 1), id="one task"),
        pytest.param(USING.format("") + PLAIN, id="some of each"),
    ],
)
def test_a_large_child_that_tasks_share_is_one_fragment(desk, valuations):
    tasks = desk.tasks(f"{BOOK}{MARKET}<group>{valuations}</group>")
    shared = [fragment for task in tasks for fragment in fragments(task)]
    assert len(shared) == len(tasks)
    assert all(fragment is shared[0] for fragment in shared)
    assert shared[0].body.decode() == MARKET
    assert shared[0] == Fragment.of(MARKET.encode())
    for task in tasks:
        assert MARKET.encode() in task.xml


def test_what_only_one_of_several_tasks_has_is_its_own(desk):
    content = "".join(f'<m name="{n}">{LARGE}</m>' for n in "ab") + "<group>{}</group>"
    each = "".join(
        f"<valuation><m select=\"/vnml/project/m[@name='{n}']\"/></valuation>" for n in "ab"
    )
    assert [len(task.pieces) for task in desk.tasks(content.format(each))] == [1, 1]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            f"<market>{'x' * (writing.FRAGMENT_BYTES - 20)}</market>{{}}", id="a small one"
        ),
        pytest.param(
            f"<market>{LARGE}</market><f:a xmlns:f='u:f'/>{{}}", id="declared in the shell"
        ),
        pytest.param(f"<t><vndb>{LARGE}</vndb></t>{{}}", id="a mark like ours"),
    ],
)
def test_what_cannot_be_stored_apart_is_not(desk, content):
    path = "/vnml/project/t/vndb" if "vndb" in content else "/vnml/project/market"
    group = f'<group><valuation use="//i"><m select="{path}"/></valuation></group>'
    tasks = desk.tasks(BOOK + content.format(group))
    assert [len(task.pieces) for task in tasks] == [1, 1]


def test_namespaces_declared_by_the_valuation_itself_forbid_fragments(desk):
    group = f'<group><valuation xmlns:f="u:f" f:x="1">{SELECTED}</valuation>{PLAIN}</group>'
    first, second = desk.tasks(f"{MARKET}{group}")
    assert (len(first.pieces), len(second.pieces)) == (1, 1)  # and so only one has it


def test_comments_are_never_fragments(desk):
    [task] = desk.tasks(
        f"<group><valuation><!--{'x' * 2 * writing.FRAGMENT_BYTES}--></valuation></group>"
    )
    assert len(task.pieces) == 1


def test_what_ten_thousand_valuations_select_is_written_once(desk, monkeypatch):
    count = 0
    standing = writing.Writer.standing

    def counting(self, element):
        nonlocal count
        count += element.tag == "market"
        return standing(self, element)

    monkeypatch.setattr(writing.Writer, "standing", counting)
    tasks = desk.tasks(f"{MARKET}<group>{PLAIN * 10_000}</group>")
    assert (len(tasks), count) == (10_000, 1)
    assert len({id(fragment) for task in tasks for fragment in fragments(task)}) == 1


def test_what_groups_share_is_written_once_for_all_of_them(desk, monkeypatch):
    written: list[str] = []
    standing = writing.Writer.standing

    def noting(self, element):
        written.append(element.tag)
        return standing(self, element)

    monkeypatch.setattr(writing.Writer, "standing", noting)
    group = f"<group>{USING.format('')}{PLAIN}</group>"
    opened = desk.opened(f"{BOOK}{MARKET}{group * 3}")
    made = [opened.tasks(index).tasks for index in range(3)]
    assert written.count("market") == 1
    assert len({id(fragments(task)[0]) for tasks in made for task in tasks}) == 1
    assert made[1] == desk.tasks_of(desk.with_results(f"{BOOK}{MARKET}{group * 3}"), 1)


def test_what_is_selected_with_changes_of_its_own_is_another_fragment(desk):
    changed = '<market name="EUR" select="/vnml/project/market"/>'
    tasks = desk.tasks(
        f"{MARKET}<group>{PLAIN * 2}{f'<valuation>{changed}</valuation>' * 2}</group>"
    )
    bodies = [fragments(task)[0].body.decode() for task in tasks]
    assert bodies == [MARKET] * 2 + [MARKET.replace("USD", "EUR")] * 2


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("max_bytes", "code"),
    [
        pytest.param(3 * writing.FRAGMENT_BYTES, None, id="what is shared counts once"),
        pytest.param(writing.FRAGMENT_BYTES, "HYDRATION_TOO_LARGE", id="but that it does"),
    ],
)
def test_the_tasks_of_a_group_are_limited_as_they_are_stored(desk, max_bytes, code):
    document = desk.document(
        f"<vnml><project>{MARKET}<group>{PLAIN * 40}</group></project></vnml>"
    ).xml
    desk.limits = HydrationLimits(max_bytes=max(max_bytes, len(document)))
    if code is None:
        assert sum(len(task.xml) for task in desk.tasks_of(document)) > 3 * max_bytes
        return
    desk.limits = HydrationLimits(max_bytes=max_bytes)
    with pytest.raises(HydrationFailed) as caught:
        ParsedDocument.parse(document, HydrationLimits()).hydrate_group(0, desk.fetch, desk.context)
    assert caught.value.code == code


def test_one_task_is_limited_whole(desk):
    document = desk.document(
        f"<vnml><project>{MARKET}<group><valuation>{SELECTED * 9}</valuation>{PLAIN}</group>"
        "</project></vnml>"
    ).xml
    desk.limits = HydrationLimits(max_bytes=5 * writing.FRAGMENT_BYTES)
    with pytest.raises(HydrationFailed, match="bytes") as caught:
        desk.tasks_of(document)
    assert (caught.value.code, caught.value.place.task) == ("HYDRATION_TOO_LARGE", 1)


# --- between processes ----------------------------------------------------------------------------


def test_a_fragment_crosses_once_however_many_tasks_have_it(desk):
    tasks = desk.tasks(f"{MARKET}<group>{PLAIN * 100}</group>")
    answer = dumps((Answer.DONE.value, HydratedGroup(tuple(tasks), (1,) * 100)))
    assert len(answer) < len(MARKET) + 100 * 400
    _, same = loads_answer(answer)
    assert same.tasks == tuple(tasks)
    assert same.counts == (1,) * 100
    assert all(fragments(task)[0] is fragments(same.tasks[0])[0] for task in same.tasks)


# --- the same bytes -------------------------------------------------------------------------------

law = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
CHILDREN = st.sampled_from(
    [
        '<m select="/vnml/project/b"/>',
        '<m select="/vnml/project/b" k="1"/>',
        '<m select="/vnml/project/b">\n</m>',
        '<x q="&lt;&quot;&#10;" select="./@name"/>',
        '<x select="."/>',
        '<x select=" ./c "/>',
        '<x select="./c/text()"/>',
        '<x y="${select(./@name)}" select="."/>',
        "<x select=\"/vnml/project/a[@name='${select(./@name)}']\"/>",
        "<x select=\"/vnml/project/a[@name='${select(./@name)}']/@k\"/>",
        "<x select=\"/vnml/project/a[c='${select(./c)}']/c/text()\"/>",
        "<x select=\"/vnml/project/a[@name='A'][1]/e\"/>",
        '<x select="/vnml/project/w | /vnml/project/b"/>',
        '<x select="//a[1]"/>',
        '<x select="vn:today()"/>',
        '<x select="vn:link(/vnml/project, b)"/>',
        '<x select="/vnml/project/a[1]"><c>7</c></x>',
        '<y><x select="./c"/><z select="/vnml/project/b"/></y>',
        "<d>1 &amp; 2</d>",
        "<!--c-->",
        "<?p q?>",
    ]
)
DATA = (
    '<a name="A" k="&lt;&#10;"><c>1 &gt;&#13;</c><e/></a>'
    '<a name="B" k="2"><c>1\'s "2"</c><e/>t</a>'
    "<b>é<c>1</c><c>2</c></b>"
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/vnml/project/a", "vn:link(/vnml/project, a)", "//a[1]"]),
            st.lists(CHILDREN, max_size=5),
            st.sampled_from(["", "\n ", " t&#13; "]),
            st.sampled_from(["", ' n="${select(./@k)}"', ' n="&quot;&lt;"']),
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([4096, 24]),
)
@law
def test_tasks_are_byte_for_byte_what_they_are_one_by_one(desk, valuations, fragment_bytes):
    group = "".join(
        f'<valuation use="{use}"{more}>{text}{"".join(children)}</valuation>{text}'
        for use, children, text, more in valuations
    )
    document = desk.document(f"<vnml><project>{DATA}<group>{group}</group></project></vnml>").xml
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "FRAGMENT_BYTES", fragment_bytes)
        made = desk.tasks_of(document)
    context = Context(received=date(2026, 9, 17), base_uri=desk.base_uri)
    assert [task.xml for task in made] == straightforward.tasks(document, 0, context)
