"""Merging a local element with a fetched or selected one (VNML M1-M7)."""

import pytest
from lxml import etree

from vnvs.hydration.merge import TextRule, merge

HREF, SELECT = TextRule.LOCAL_FIRST, TextRule.OTHER_FIRST
A = 'xmlns:a="u:a"'
B = 'xmlns:b="u:a"'


def merged(local: str, other: str, rule: TextRule = HREF) -> str:
    mine, theirs = etree.fromstring(local), etree.fromstring(other)
    before = etree.tostring(mine), etree.tostring(theirs)
    made = merge(mine, theirs, rule)
    assert (etree.tostring(mine), etree.tostring(theirs)) == before, "a source was changed"
    return etree.tostring(made, encoding="unicode")


@pytest.mark.parametrize(
    ("local", "other", "expected"),
    [
        pytest.param("<x/>", "<m/>", "<m/>", id="M1 the tag is the other one's"),
        pytest.param(
            "<m/>", f"<a:m {A}/>", f"<a:m {A}/>", id="M1 the namespace is the other one's"
        ),
        pytest.param('<m a="1"/>', '<m a="2"/>', '<m a="1"/>', id="M1 local attribute wins"),
        pytest.param(
            '<m c="3"/>',
            '<m a="1" b="2"/>',
            '<m a="1" b="2" c="3"/>',
            id="M1 attributes of both are there",
        ),
        pytest.param(
            f'<m {A} a:x="1"/>',
            f'<m {B} b:x="2"/>',
            f'<m {B} b:x="1"/>',
            id="M7 attribute names compare by namespace",
        ),
        pytest.param(
            "<m><b/><a/></m>",
            "<m><a/><c/><b/><d/></m>",
            "<m><b/><a/><c/><d/></m>",
            id="M3 local children in their order, then the others in theirs",
        ),
        pytest.param(
            "<m><a><x>1</x></a></m>",
            "<m><a><x>2</x><y>3</y></a></m>",
            "<m><a><x>1</x><y>3</y></a></m>",
            id="M3 each is merged with its counterpart",
        ),
        pytest.param(
            '<m><c name="B">1</c></m>',
            '<m><c name="A">2</c><c name="B">3</c></m>',
            '<m><c name="B">1</c><c name="A">2</c></m>',
            id="M4 counterparts have the same tag and name",
        ),
        pytest.param(
            '<m><c id="B">1</c></m>',
            '<m><c id="A">2</c><c id="B">3</c></m>',
            '<m><c id="B">1</c><c id="A">2</c></m>',
            id="M4 without a name, the same tag and id",
        ),
        pytest.param(
            '<m><c name="A" id="1"/></m>',
            '<m><c id="1"/></m>',
            '<m><c name="A" id="1"/><c id="1"/></m>',
            id="M4 with a name the id does not count",
        ),
        pytest.param(
            '<m><c name="A">1</c></m>',
            '<m><d name="A">2</d></m>',
            '<m><c name="A">1</c><d name="A">2</d></m>',
            id="M4 another tag is no counterpart",
        ),
        pytest.param(
            "<m><r>1</r><r>2</r></m>",
            '<m><r>3</r><r u="bp">4</r></m>',
            '<m><r>1</r><r u="bp">2</r></m>',
            id="M4 anonymous children pair in order",
        ),
        pytest.param(
            "<m><r>1</r></m>",
            '<m><r name="N">9</r><r>3</r></m>',
            '<m><r>1</r><r name="N">9</r></m>',
            id="M4 anonymous ones do not pair with named ones",
        ),
        pytest.param(
            "<m><r>1</r></m>",
            "<m><r>3</r><r>4</r><s>5</s><s>6</s></m>",
            "<m><r>1</r><s>5</s><s>6</s></m>",
            id="M4 a shorter local list replaces a longer one",
        ),
        pytest.param(
            "<m><r>1</r><r>2</r><r>3</r></m>",
            "<m><r>7</r></m>",
            "<m><r>1</r><r>2</r><r>3</r></m>",
            id="M4 surplus local ones stay",
        ),
        pytest.param(
            '<m><c name="A">1</c><c name="A">2</c></m>',
            '<m><c name="A" x="9"/></m>',
            '<m><c name="A" x="9">1</c><c name="A">2</c></m>',
            id="M4 a child is used at most once",
        ),
        pytest.param(
            "<m><!--mine--><a/></m>",
            "<m><!--theirs--><?pi?><a/><b/></m>",
            "<m><!--mine--><!--theirs--><?pi?><a/><b/></m>",
            id="M6 comments and instructions of both stay and never pair",
        ),
        pytest.param(
            "<m><!--mine-->5</m>",
            "<m>4<!--theirs--></m>",
            "<m><!--mine-->5<!--theirs--></m>",
            id="M6 text behind a comment is text of the element",
        ),
        pytest.param(
            "<m><r>1</r></m>",
            "<m><r>3</r><!--note--><s/></m>",
            "<m><r>1</r><!--note--><s/></m>",
            id="M6 a comment behind an overridden child stays",
        ),
        pytest.param(
            "<p><b>Z</b></p>",
            "<p>Hello <b>x</b> world <i>y</i>!</p>",
            "<p>Hello <b>Z</b> world <i>y</i>!</p>",
            id="M6 text that followed an overridden inline child stays",
        ),
        pytest.param(
            "<p><i>Z</i></p>",
            "<p>Hello <b>x</b> world <i>y</i>!</p>",
            "<p>Hello <b>x</b> world <i>Z</i>!</p>",
            id="M6 mixed content keeps its order",
        ),
        pytest.param(
            "<p><b>1</b></p>",
            "<p>a<b>7</b>b<b>8</b>c</p>",
            "<p>a<b>1</b>bc</p>",
            id="M6 text behind a dropped list item stays",
        ),
        pytest.param(
            f"<m {A}><a:c>1</a:c></m>",
            f"<m {B}><b:c>2</b:c><c>3</c></m>",
            f"<m {B}><a:c {A}>1</a:c><c>3</c></m>",
            id="M7 names compare by namespace and local name whatever the prefix",
        ),
    ],
)
def test_merging_gives(local, other, expected):
    made = merged(local, other)
    assert etree.canonicalize(made, rewrite_prefixes=True) == etree.canonicalize(
        expected, rewrite_prefixes=True
    )


@pytest.mark.parametrize(
    ("rule", "local", "other", "expected"),
    [
        pytest.param(SELECT, "<s>1</s>", "<s>2</s>", "<s>2</s>", id="M2 select: the other text"),
        pytest.param(
            SELECT, "<s>1</s>", "<s> </s>", "<s>1</s>", id="M2 select: the local one if it has none"
        ),
        pytest.param(HREF, "<s>1</s>", "<s>2</s>", "<s>1</s>", id="M2 href: the local text"),
        pytest.param(
            HREF, "<s>\n</s>", "<s>2</s>", "<s>2</s>", id="M2 href: the other one if it is blank"
        ),
        pytest.param(
            SELECT,
            "<m><s>1</s></m>",
            "<m><s>2</s></m>",
            "<m><s>1</s></m>",
            id="M2 under a select too, what a child says overrides",
        ),
    ],
)
def test_text_is_chosen_by(rule, local, other, expected):
    assert merged(local, other, rule) == expected


def test_m2_the_text_after_the_element_stays_the_local_one(desk):
    desk.files["m.xml"] = "<r><m>1</m>fetched</r>"
    assert desk.project('<x/><m href="m.xml"/>local') == "<x/><m>1</m>local"
    shared = "<model><s>5</s>theirs</model>"
    made = desk.valuation(shared, '<s select="/vnml/project/model/s"/>mine')
    assert made == "<s>5</s>mine"


def test_m1_the_processed_directive_disappears(desk):
    desk.files["m.xml"] = "<m/>"
    assert desk.project('<m href="m.xml" a="1"/>') == '<m a="1"/>'
    assert desk.valuation("<m/>", '<m select="/vnml/project/m" a="1"/>') == '<m a="1"/>'


M5_MODEL = '<model name="HW"><volatility><sigma>0.01</sigma><beta>2</beta></volatility></model>'
M5_BOOK = "<portfolio><i><volatility><sigma>0.3</sigma></volatility></i></portfolio>"


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        pytest.param(
            '<model select="/vnml/project/model"><volatility>'
            '<sigma select="./volatility/sigma"/></volatility></model>',
            "<sigma>0.3</sigma><beta>2</beta>",
            id="M5 an element selected for a descendant overrides its counterpart",
        ),
        pytest.param(
            '<model select="/vnml/project/model"><volatility>'
            '<sigma select="./volatility/sigma/text()"/></volatility></model>',
            "<sigma>0.3</sigma><beta>2</beta>",
            id="M5 a text selected for a descendant overrides its counterpart",
        ),
        pytest.param(
            '<model href="hw.xml"><volatility>'
            '<sigma select="./volatility/sigma"/></volatility></model>',
            "<sigma>0.3</sigma><gamma>3</gamma>",
            id="M5 also where the surrounding element is fetched",
        ),
    ],
)
def test_a_descendant_with_its_own_directive_wins(desk, element, expected):
    desk.files["hw.xml"] = (
        "<model><volatility><sigma>9</sigma><gamma>3</gamma></volatility></model>"
    )
    valuation = f'<valuation use="/vnml/project/portfolio/i">{element}</valuation>'
    [made] = desk.valuations(f"{M5_MODEL}{M5_BOOK}<group>{valuation}</group>")
    assert f"<volatility>{expected}</volatility>" in made


def test_m5_a_selected_list_overrides_a_fetched_one(desk):
    """The result of an earlier group replaces the nodes that the market file has."""
    desk.files["usd.xml"] = (
        '<market><curve name="C"><node>1</node><node>2</node></curve><spot>3</spot></market>'
    )
    shared = '<data><curve name="C"><node>7</node></curve></data>'
    wanted = '<market href="usd.xml"><curve name="C" select="/vnml/project/data/curve"/></market>'
    expected = '<market><curve name="C"><node>7</node></curve><spot>3</spot></market>'
    assert desk.valuation(shared, wanted) == expected
    assert desk.project(shared + wanted).endswith(expected)


def test_m5_what_the_request_says_wins_over_what_a_fetched_directive_brings(desk):
    desk.files["m.xml"] = '<model><a select="/vnml/project/data/a"/><b>1</b></model>'
    made = desk.project('<data><a>9</a></data><model href="m.xml"><a>5</a></model>')
    assert made.endswith("<model><a>5</a><b>1</b></model>")


def test_merging_deep_trees_ends_with_a_result():
    deep = "<m>" * 240 + "</m>" * 240
    assert merged(deep, deep) == "<m>" * 239 + "<m/>" + "</m>" * 239


def test_merging_takes_linear_time():
    """Searching each counterpart would take minutes; by dictionary it is far below a second."""

    def children(count):
        return "".join(f'<c name="N{n}">{n}</c>' for n in range(count))

    made = merged(f"<m>{children(20_000)}</m>", f"<m>{children(20_000)}</m>")
    assert made.count("<c ") == 20_000
