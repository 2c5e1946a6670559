"""What refers to a failed valuation (VNML F3, F4)."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from vncore.errors import HydrationFailed
from vnvs.frames import Answer, dumps, loads_answer
from vnvs.hydration import FailedTask, failed_valuations
from vnvs.hydration.failed import FAILED_REFERENCE

law = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

CURVES = (
    '<group name="curves"><valuation name="c" use="/vnml/project/portfolio/instrument">'
    '<instrument select="."/></valuation></group>'
)
BOOK = (
    '<portfolio><instrument name="SOFR"/><instrument name="ESTR"/></portfolio>'
    '<market name="M"/><x/>'
)
FAILURE = '<failure code="SCRIPT_FAILED" attempts="3">no</failure>'
SOFR = f'<valuation name="c">{FAILURE}<instrument name="SOFR"/><vndb externalId="1"/></valuation>'
ESTR = (
    '<valuation name="c"><analytics><curve name="ESTR"><node>2</node></curve><price>5</price>'
    '</analytics><instrument name="ESTR"/><vndb externalId="2"/></valuation>'
)
ALL = "/vnml/project/group[1]/valuation"
FAILED, GOOD = f"{ALL}[instrument/@name='SOFR']", f"{ALL}[instrument/@name='ESTR']"


@pytest.fixture
def later(desk):
    """The tasks of a later group with one valuation, the first earlier valuation having failed."""

    def tasks(valuation: str, *, tolerant: bool = False):
        content = f"{BOOK}{CURVES}<group>{valuation}</group>"
        return desk.tasks_after(content, [SOFR, ESTR], tolerant=tolerant)

    return tasks


def in_task(task) -> str:
    """What is in the valuation of a task, without our vndb."""
    valuation = etree.fromstring(task.xml).find("project/group/valuation")
    assert valuation[-1].tag == "vndb"
    return "".join(etree.tostring(child, encoding="unicode") for child in valuation[:-1])


def refused(later, valuation: str) -> HydrationFailed:
    with pytest.raises(HydrationFailed) as caught:
        later(valuation)
    return caught.value


# --- F3: what refers to one -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "directive",
    [
        pytest.param(f'select="{FAILED}"', id="F3 itself"),
        pytest.param(f'select="{FAILED}/instrument"', id="F3 a part that is there"),
        pytest.param(f'select="{FAILED}/@name"', id="F3 an attribute that is there"),
        pytest.param(f'select="{FAILED}/failure/@code"', id="F3 the failure"),
        pytest.param(f'select="{FAILED}/analytics/curve"', id="F3 a part that is not there"),
        pytest.param(f'select="{FAILED}/analytics/price/text()"', id="F3 a text"),
        pytest.param(f'select="{FAILED}/analytics/curve/@name"', id="F3 an attribute"),
        pytest.param(
            f"select=\"{ALL}/analytics/curve[@name='SOFR']\"", id="F3 by a condition further on"
        ),
        pytest.param(
            'select="//group[1]/valuation[1]/analytics/curve"', id="F3 anywhere, then there"
        ),
        pytest.param("select=\"//curve[@name='SOFR']\"", id="F3 anywhere"),
        pytest.param("select=\"/vnml//curve[@name='SOFR']/node\"", id="F3 anywhere in between"),
        pytest.param(f'select="({ALL}/analytics/curve)[1]"', id="F3 the first of several"),
        pytest.param(f'select="({ALL}/analytics/curve)[last()]"', id="F3 the last of several"),
        pytest.param(f'select="({ALL}[1]/analytics)/curve"', id="F3 in parentheses, then on"),
        pytest.param(f'select="(({ALL}[1]/analytics/curve))[1]/node"', id="F3 in parentheses"),
        pytest.param(
            f'select="(/vnml/project/none | {ALL}/analytics/curve)[1]"', id="F3 of a united path"
        ),
        pytest.param(f'select="{ALL}[2]/preceding-sibling::*/analytics"', id="F3 by another axis"),
        pytest.param(f'select="{ALL}[position() = 1]/analytics/*"', id="F3 by a function"),
        pytest.param(f'select="{FAILED}/analytics | /none"', id="F3 an alternative of two"),
        pytest.param(
            f'select="{FAILED}/analytics/curve | {GOOD}/analytics/curve"',
            id="F3 an alternative before one that would do",
        ),
        pytest.param(
            f'select="/none | {FAILED}/analytics/price | {ALL}"', id="F3 an alternative of three"
        ),
        pytest.param(f'select="{FAILED}/instrument | {GOOD}"', id="F3 a part, before another one"),
        pytest.param(f'select="vn:link({FAILED}, analytics/curve)"', id="F3 a link's source"),
        pytest.param(f'select="vn:link({FAILED}, .)"', id="F3 a link to itself"),
        pytest.param(f'select="vn:link({FAILED}/analytics, curve)"', id="F3 on a link's way"),
        pytest.param(
            f'select="vn:link({ALL}, analytics/curve)"', id="F3 the first source of a link"
        ),
        pytest.param(
            f'select="vn:link({ALL}/analytics, curve)"', id="F3 on the way of the first source"
        ),
        pytest.param(
            'select="vn:link(/vnml/project/group[1], valuation[1]/analytics/price)"',
            id="F3 on the way of a link's child",
        ),
        pytest.param(
            'select="vn:link(/vnml/project/group[1], valuation[1]/instrument)"',
            id="F3 a link's child",
        ),
        pytest.param(f'v="${{select({FAILED}/analytics/price)}}"', id="F3 a placeholder"),
        pytest.param(f'v="a-${{select({FAILED}/@name)}}-b"', id="F3 a placeholder amid text"),
        pytest.param(
            f'v="${{select(vn:link({ALL}, analytics/price))}}"', id="F3 a placeholder's link"
        ),
        pytest.param(f'v="${{select({FAILED}/analytics | /none)}}"', id="F3 its alternatives"),
        pytest.param(
            f"select=\"{GOOD}/*[@name='${{select({ALL}[1]/analytics/price)}}']\"",
            id="F3 a placeholder in a literal",
        ),
        pytest.param(
            f'select="${{select({ALL}[1]/analytics/price)}} | {GOOD}"',
            id="F3 a placeholder for a path",
        ),
        pytest.param(
            f"v=\"${{select(/vnml/project/*[.='${{select({ALL}[1]/analytics)}}'])}}\"",
            id="F3 a placeholder in a placeholder",
        ),
        pytest.param(f'href="${{select({ALL}[1]/analytics/price)}}.xml"', id="F3 an href"),
    ],
)
def test_what_leads_to_a_failed_valuation_is_refused_by_name(later, directive):
    fault = refused(later, f"<valuation><deep><x {directive}/></deep></valuation>")
    assert (fault.code, fault.rule) == (FAILED_REFERENCE, "F3")
    for told in ("'c'", "'SOFR'", "/vnml/project/group[1]/valuation[1]", "SCRIPT_FAILED"):
        assert told in fault.message
    assert fault.place.element == "/vnml/project/group[2]/valuation/deep/x"
    assert (fault.place.group_index, fault.place.task) == (1, 1)


@pytest.mark.parametrize(
    "directive",
    [
        pytest.param('select="./analytics/price"', id="F3 a part that is not there"),
        pytest.param('select="./instrument"', id="F3 a part that is there"),
        pytest.param('select="."', id="F3 itself"),
        pytest.param('select=".//price"', id="F3 anywhere in it"),
        pytest.param('select="(analytics/price)[1]"', id="F3 in parentheses"),
        pytest.param('select="vn:link(., analytics/price)"', id="F3 a link"),
        pytest.param('v="${select(./analytics/price)}"', id="F3 a placeholder"),
        pytest.param("v=\"${select(../valuation[@name='c']/failure)}\"", id="F3 its sibling"),
    ],
)
def test_what_is_relative_to_a_failed_valuation_is_refused(later, directive):
    fault = refused(later, f'<valuation use="{ALL}"><x {directive}/></valuation>')
    assert (fault.code, fault.rule, fault.place.task) == (FAILED_REFERENCE, "F3", 1)


CURVE = '<curve name="ESTR"><node>2</node></curve>'


@pytest.mark.parametrize(
    ("directive", "made"),
    [
        pytest.param(f'select="{GOOD}/analytics/curve"', CURVE, id="F3 another valuation"),
        pytest.param(f'select="{ALL}/analytics/curve"', CURVE, id="F3 the only one there can be"),
        pytest.param(
            f"select=\"{ALL}/analytics/curve[@name='ESTR']\"", CURVE, id="F3 by a condition"
        ),
        pytest.param("select=\"//curve[@name='ESTR']\"", CURVE, id="F3 anywhere"),
        pytest.param('select="(//curve)[1]"', CURVE, id="F3 the first that is anywhere"),
        pytest.param(
            f"select=\"({ALL}/analytics/curve)[@name='ESTR']\"", CURVE, id="F3 one in parentheses"
        ),
        pytest.param(
            f'select="({ALL}[not(failure)]/analytics/curve)[1]"', CURVE, id="F3 left out by hand"
        ),
        pytest.param(
            f'select="vn:link({ALL}[not(failure)], analytics/curve)"',
            CURVE,
            id="F3 left out of a link by hand",
        ),
        pytest.param(f'select="vn:link({GOOD}, analytics/curve)"', CURVE, id="F3 another source"),
        pytest.param(
            f'select="{ALL}[2][not(failure)]/analytics/curve | {GOOD}/analytics/curve"',
            CURVE,
            id="F3 a fallback that says what it is for",
        ),
        pytest.param('select="/vnml/project/market"', '<market name="M"/>', id="F3 what is shared"),
        pytest.param(
            f'v="${{select({GOOD}/analytics/price)}}"', '<x v="5"/>', id="F3 another value"
        ),
    ],
)
def test_what_leads_elsewhere_is_not_refused(later, directive, made):
    [task] = later(f"<valuation><x {directive}/></valuation>")
    assert in_task(task) == made


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        pytest.param(f"{GOOD}/analytics/none", "SELECT_NOTHING", id="nothing, elsewhere"),
        pytest.param("/vnml/project/none", "SELECT_NOTHING", id="nothing, before any group"),
        pytest.param(f"{ALL}/instrument", "SELECT_AMBIGUOUS", id="several, one of them failed"),
        pytest.param(f"{ALL}[", "XPATH_SYNTAX", id="no path"),
        pytest.param(f"{FAILED}/x = 1", "SELECT_NOT_NODES", id="no nodes"),
        pytest.param("/", "SELECT_NOTHING", id="the document"),
        pytest.param("/none | /nothing", "SELECT_UNRESOLVED", id="alternatives, elsewhere"),
    ],
)
def test_a_fault_of_another_kind_stays_one(later, expression, code):
    assert refused(later, f'<valuation><x select="{expression}"/></valuation>').code == code


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(f"{FAILED}/analytics/curve", id="F4 nothing but what failed"),
        pytest.param(f"{ALL}/analytics/curve", id="F4 something of the others"),
        pytest.param(f"{ALL}/analytics/curve | {ALL}/instrument", id="F4 a part of a united path"),
        pytest.param("//curve", id="F4 anywhere, where others are found"),
        pytest.param(f"vn:link({FAILED}, analytics/curve)", id="F4 a link"),
        pytest.param(f"vn:link({ALL}, analytics/curve)", id="F4 a link to some"),
        pytest.param(f"vn:link({ALL}/analytics, curve)", id="F4 a link's source"),
        pytest.param("vn:link(/vnml/project, .//curve)", id="F4 a link to anywhere"),
        pytest.param("vn:link(/vnml/project/group, valuation/*/curve)", id="F4 a link's way"),
        pytest.param(
            f"//instrument[@name='${{select({FAILED}/analytics/price)}}']", id="F4 a placeholder"
        ),
    ],
)
def test_a_use_that_does_not_know_its_tasks_is_refused_even_if_failures_are_tolerated(later, use):
    with pytest.raises(HydrationFailed) as caught:
        later(f'<valuation use="{use}"/>', tolerant=True)
    fault = caught.value
    assert (fault.code, fault.rule, fault.place.task) == (FAILED_REFERENCE, "F3", None)
    assert fault.place.element == "/vnml/project/group[2]/valuation"


@pytest.mark.parametrize(
    ("use", "count"),
    [
        pytest.param(ALL, 2, id="F4 the valuations"),
        pytest.param("vn:link(/vnml/project/group[1], valuation)", 2, id="F4 linked valuations"),
        pytest.param(f"{ALL}/instrument", 2, id="F4 what failed ones have too"),
        pytest.param(f"{ALL}[not(failure)]/analytics/curve", 1, id="F4 failed ones left out"),
        pytest.param("vn:link(/vnml/project, group[1])", 1, id="F4 the group"),
        pytest.param("//portfolio/instrument", 2, id="F4 what is in no group"),
        pytest.param(f"{ALL}/..", 1, id="F4 the group, from below"),
    ],
)
def test_a_use_that_knows_its_tasks_makes_them(later, use, count):
    assert len(later(f'<valuation use="{use}"/>')) == count


@pytest.mark.parametrize(
    "use",
    [
        pytest.param("vn:link(/vnml/project, group[1])", id="F3 a link to the group"),
        pytest.param("/vnml/project/group[1]", id="F3 the group"),
    ],
)
def test_a_group_with_failed_valuations_can_be_taken_as_a_whole(later, use):
    [task] = later(f'<valuation use="{use}"><group select="."/></valuation>')
    assert in_task(task) == f'<group name="curves">{SOFR}{ESTR}</group>'


# --- F4: tasks that refer to one ------------------------------------------------------------------


def test_f4_a_task_that_refers_to_a_failed_valuation_fails_alone(later):
    one, two = later(
        f'<valuation name="v" use="{ALL}" n="${{select(./instrument/@name)}}" m="1"><!--c-->t'
        '<market select="/vnml/project/market"/> <p select="./analytics/price"/> <q/>'
        '<deep><r><s select="./analytics/price/text()"/></r></deep></valuation>',
        tolerant=True,
    )
    assert (one.task_id, two.task_id) == (1, 2)
    assert two.failure is None
    assert (
        b'<valuation name="v" n="ESTR" m="1"><!--c-->t<market name="M"/> <price>5</price> <q/>'
        b'<deep><r><s>5</s></r></deep><vndb externalId="2"/></valuation>'
    ) in two.xml
    assert (one.failure.code, one.failure.rule) == (FAILED_REFERENCE, "F3")
    assert (one.failure.place.task, one.valuation_name) == (1, "v")
    assert one.failure.place.element == "/vnml/project/group[2]/valuation"  # its attribute
    assert (
        b'<valuation name="v" m="1"><!--c-->t<market name="M"/>  <q/><vndb externalId="1"/>'
        b"</valuation>"
    ) in one.xml
    assert [entry["at"][-6:] for entry in json.loads(one.trace)["values"]] == ["market"]


def test_f4_without_tolerance_the_first_such_task_ends_the_pass(later):
    valuation = f'<valuation/><valuation use="{ALL}"><p select="./analytics/price"/></valuation>'
    assert refused(later, valuation).place.task == 2


def test_f4_what_is_alike_for_all_tasks_fails_in_each_and_spoils_nothing(later):
    book = "/vnml/project/portfolio/instrument"
    tasks = later(
        f'<valuation use="{book}"><a select="/vnml/project/x"/><b select="{FAILED}/analytics"/>'
        f'<c select="{GOOD}/analytics/price"/><d select="./@name"/></valuation><valuation/>',
        tolerant=True,
    )
    assert [task.failure and task.failure.place.task for task in tasks] == [1, 2, None]
    assert [in_task(task) for task in tasks] == [
        "<x/><price>5</price><d>SOFR</d>",
        "<x/><price>5</price><d>ESTR</d>",
        "",
    ]


@pytest.mark.parametrize(
    ("valuation", "made"),
    [
        pytest.param(
            f'<valuation name="v" select="{FAILED}"><q select="/vnml/project/x"/></valuation>',
            '<valuation name="v"><x/><vndb externalId="1"/></valuation>',
            id="F4 a valuation that selects one",
        ),
        pytest.param(
            f'<valuation select="{ALL}[${{select({FAILED}/analytics/price)}}]"><q/></valuation>',
            '<valuation><q/><vndb externalId="1"/></valuation>',
            id="F4 a placeholder in its path",
        ),
        pytest.param(
            f'<valuation href="${{select({FAILED}/analytics/price)}}.xml" name="v"/>',
            '<valuation name="v"><vndb externalId="1"/></valuation>',
            id="F4 a valuation that fetches by one",
        ),
        pytest.param(
            f'<valuation select="{GOOD}"><q/><p select="{FAILED}/analytics"/></valuation>',
            '<valuation><q/><vndb externalId="1"/></valuation>',
            id="F4 a child of a valuation that selects a good one",
        ),
        pytest.param(
            f'<valuation name="${{select({FAILED}/@name)}}" a="${{select({GOOD}/@name)}}"/>',
            '<valuation a="c"><vndb externalId="1"/></valuation>',
            id="F4 its name",
        ),
    ],
)
def test_what_can_be_had_of_a_failed_task_is_in_its_document(later, valuation, made):
    [task] = later(valuation, tolerant=True)
    assert task.failure.code == FAILED_REFERENCE
    assert made.encode() in task.xml
    assert task.valuation_name == (etree.fromstring(made).get("name") or "")
    [placed] = failed_valuations([FailedTask(task.xml, task.failure.code, 0, task.failure.message)])
    assert etree.fromstring(placed).find("failure").get("attempts") == "0"


@pytest.mark.parametrize(
    ("child", "code"),
    [
        pytest.param('<x select="/vnml/project/none"/>', "SELECT_NOTHING", id="F4 nothing"),
        pytest.param('<x select="//valuation["/>', "XPATH_SYNTAX", id="F4 no path"),
        pytest.param('<x href="none.xml"/>', "HREF_UNAVAILABLE", id="F4 nothing to fetch"),
    ],
)
def test_a_fault_of_another_kind_ends_a_tolerant_pass_too(later, child, code):
    failing = f'<p select="{FAILED}/analytics/price"/>'
    with pytest.raises(HydrationFailed) as caught:
        later(f"<valuation>{failing}{child}</valuation>", tolerant=True)
    assert caught.value.code == code


def test_f4_a_failed_task_crosses_to_another_process(later):
    [task] = later(f'<valuation><p select="{FAILED}/analytics"/></valuation>', tolerant=True)
    kind, (same,) = loads_answer(dumps((Answer.DONE.value, (task,))))
    assert (kind, same.xml) == (Answer.DONE, task.xml)
    assert same.failure.report() == task.failure.report()


# --- laws -----------------------------------------------------------------------------------------

PATHS = {
    "by place": '<r select="/vnml/project/group[1]/valuation[{}]/analytics/p"/>',
    "by name": "<r select=\"/vnml/project/group[1]/valuation[i/@name='{}']/analytics/p/@v\"/>",
    "by what it gave": "<r select=\"/vnml/project/group[1]/valuation/analytics/p[@v='{}']\"/>",
    "anywhere": "<r select=\"//p[@v='{}']\"/>",
    "in a value": '<r v="${{select(//group[1]/valuation[{}]/analytics/p)}}"/>',
    "by a link": '<r select="vn:link(/vnml/project/group[1]/valuation[{}], analytics/p)"/>',
    "inside": '<r><s><t select="(/vnml/project/group[1]/valuation)[{}]/i"/></s></r>',
}


@dataclass(frozen=True)
class Case:
    """Valuations of an earlier group, which of them failed, and who refers to whom."""

    count: int
    failed: frozenset[int]
    references: list[list[tuple[str, int]]]  # of each later valuation: path and number


@st.composite
def cases(draw) -> Case:
    numbers = st.integers(1, draw(st.integers(1, 5)))
    count = max(1, draw(numbers))
    reference = st.tuples(st.sampled_from(list(PATHS)), st.integers(1, count))
    return Case(
        count,
        draw(st.frozensets(st.integers(1, count))),
        draw(st.lists(st.lists(reference, max_size=3), min_size=1, max_size=5)),
    )


def tasks_after(desk, case: Case, failed: frozenset[int]):
    asked = "".join(
        f"<valuation><k/>{''.join(PATHS[path].format(n) for path, n in of_one)}</valuation>"
        for of_one in case.references
    )
    each = (
        '<valuation use="/vnml/project/group[1]/valuation"><p select="./analytics/p"/></valuation>'
    )
    content = f"<group>{'<valuation/>' * case.count}</group><group>{asked}{each}</group>"
    results = [
        f'<valuation>{FAILURE if n in failed else f"""<analytics><p v="{n}">{n}</p></analytics>"""}'
        f'<i name="{n}"/></valuation>'
        for n in range(1, case.count + 1)
    ]
    return desk.tasks_after(content, results, tolerant=True)


@given(cases())
@settings(law, max_examples=200)
def test_exactly_the_tasks_that_refer_to_a_failed_valuation_fail(desk, case):
    """All others are, byte for byte, what they are when nothing fails."""
    whole = tasks_after(desk, case, frozenset())
    assert [task.failure for task in whole] == [None] * len(whole)
    made = tasks_after(desk, case, case.failed)
    refers = [bool(case.failed & {n for _, n in of_one}) for of_one in case.references]
    refers += [n in case.failed for n in range(1, case.count + 1)]
    assert [task.failure is not None for task in made] == refers
    assert [task.task_id for task in made] == [task.task_id for task in whole]
    for task, as_whole in zip(made, whole, strict=True):
        if task.failure is None:
            assert (task.xml, task.trace) == (as_whole.xml, as_whole.trace)


@given(cases())
@law
def test_a_failed_task_has_all_children_that_lead_elsewhere(desk, case):
    whole = tasks_after(desk, case, frozenset())
    made = tasks_after(desk, case, case.failed)
    for of_one, task, as_whole in zip(case.references, made, whole, strict=False):
        kept = [True, *(n not in case.failed for _, n in of_one), True]
        before, after = (
            [etree.tostring(child) for child in etree.fromstring(one.xml).find(".//valuation")]
            for one in (as_whole, task)
        )
        assert after == [child for child, stays in zip(before, kept, strict=True) if stays]
