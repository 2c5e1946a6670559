"""A task's answer depends on the task alone: tasks of every kind, in any order, in one process.

What a process of its own answers to each task is the measure. QuantLib keeps evaluation date,
fixings and coupon conventions for the whole process, so the tasks come in pairs that a left-over
of one would change in the other; those that are refused are among them, at every stage of a task.
"""

import os
import pickle
import random
import subprocess
import sys
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from vnas import engine
from vnas.engine import kinds
from vnas.limits import ScriptLimits, find_prlimit
from vnas.pool import WarmScripts
from vnas.scriptfile import ScriptFile
from vnas.warm import Recipe
from vncore.errors import ScriptFailed

# --- the tasks -----------------------------------------------------------------------------------

LATER = {"date": "2026-03-02"}
RISKS = "<price/><dv01/><delta/><gamma/><vega/><theta/><rho/><forward/><cashFlows/>"
ASKED = RISKS + "<yield/><duration/><convexity/><accruedInterest/><fairRate/><fairSpread/>"
DOLLARS = (
    "<curve name='D' currency='USD'><node tenor='1Y'>0.035</node><node tenor='40Y'>0.042</node>"
    "</curve>"
)
EUROS = (
    "<currency>EUR</currency><curve name='E'><node tenor='1M'>0.01</node><node tenor='3Y'>0.03"
    "</node><node tenor='30Y'>0.035</node></curve>"
)
INDEXED = "<parCoupons>false</parCoupons>"
SMALL = "<timeSteps>20</timeSteps><gridPoints>30</gridPoints>"


def paths(seed: int) -> str:
    return f"<method>monteCarlo</method><samples>300</samples><seed>{seed}</seed>"


def index(name: str, terms: str = "", **fixings: float) -> str:
    """An index of the market; fixings are named ``on20250917``."""
    days = {f"{on[2:6]}-{on[6:8]}-{on[8:]}": rate for on, rate in fixings.items()}
    fixed = "".join(f"<fixing date='{day}'>{rate}</fixing>" for day, rate in days.items())
    return f"<index name='{name}'>{terms}{fixed}</index>"


EURIBOR = index("EURIBOR6M", on20250313=0.021, on20250915=0.022)
EURIBOR_OTHER = index("EURIBOR6M", on20250313=0.021, on20250915=0.027)
OVERNIGHT = "".join(
    f"<fixing date='2025-09-{day:02}'>0.0431</fixing>"
    for day in (1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15, 16)
)
SOFR = f"<index name='SOFR'>{OVERNIGHT}</index>"
# Three indices of one name.
OWN_3M = index("TERM", "<tenor>3M</tenor><currency>USD</currency>", on20250617=0.0428)
OWN_6M = index(
    "TERM",
    "<tenor>6M</tenor><currency>USD</currency><dayCount>30/360</dayCount>",
    on20250617=0.051,
)
OWN_TODAY = index(
    "TERM", "<tenor>3M</tenor><fixingDays>0</fixingDays><currency>USD</currency>", on20250917=0.06
)


def floating_bond(issue: str, name: str, more: str = "", end: str = "2028-03-17") -> str:
    return (
        f"<floatingRateBond><issueDate>{issue}</issueDate><maturityDate>{end}</maturityDate>"
        f"<coupon><index>{name}</index>{more}</coupon></floatingRateBond>"
    )


def swap(name: str, start: str = "", leg: str = "", kind: str = "vanillaSwap") -> str:
    return (
        f"<{kind}>{start}<tenor>3Y</tenor><fixedLeg><rate>0.036</rate></fixedLeg>"
        f"<floatingLeg><index>{name}</index>{leg}</floatingLeg></{kind}>"
    )


def cap(start: str = "", strike: str = "0.04") -> str:
    return (
        f"<capFloor><type>cap</type><notional>1e6</notional><strike>{strike}</strike>{start}"
        "<tenor>3Y</tenor><floatingLeg><index>TERM</index></floatingLeg></capFloor>"
    )


def agreement(start: str) -> str:
    return (
        "<forwardRateAgreement><notional>1e6</notional><rate>0.04</rate><index>TERM</index>"
        f"{start}</forwardRateAgreement>"
    )


def share(more: str = "", volatility: str = "<volatility>0.2</volatility>") -> str:
    return f"<rate>0.04</rate><underlying name='A'><spot>100</spot>{more}{volatility}</underlying>"


def option(kind: str, more: str = "", type_: str = "put") -> str:
    terms = f"<type>{type_}</type><strike>100</strike><tenor>1Y</tenor>"
    return f"<{kind}>{terms}{more}</{kind}>"


def default_swap(more: str = "") -> str:
    return (
        f"<creditDefaultSwap><notional>1e7</notional><spread>0.01</spread><tenor>5Y</tenor>{more}"
        "</creditDefaultSwap>"
    )


def credit(text: str) -> str:
    return f"{DOLLARS}<credit name='XYZ'>{text}</credit>"


def held(amount: float, currency: str = "USD") -> str:
    price = f"<price><amount currency='{currency}'>{amount}</amount></price>"
    return f"<valuation><instrument name='B'/><analytics>{price}</analytics></valuation>"


SURFACE = (
    "<volatility><surface axis='strike'><columns>80 120</columns>"
    "<row tenor='6M'>0.28 0.21</row><row tenor='2Y'>0.26 0.215</row></surface></volatility>"
)
CASH = "<dividend date='2025-12-01'>1.5</dividend><dividend date='2026-06-01'>2</dividend>"
FX = (
    "<rate>0.04</rate><rate currency='EUR'>0.02</rate>"
    "<fx pair='EURUSD'{}><spot>1.1</spot><volatility>0.1</volatility></fx>"
)
CDS = "".join(
    f"<cds tenor='{t}'><spread>{s}</spread></cds>" for t, s in (("1Y", 0.005), ("5Y", 0.012))
)
HJM = "<volatility><hjm><factor><term/></factor></hjm></volatility>"
SOLVED = (
    "<yieldCurve><index>SOFR</index><ois tenor='1Y'><rate>{}</rate></ois>"
    "<ois tenor='5Y'><rate>0.035</rate></ois></yieldCurve>"
)
FRAS = (
    "<yieldCurve><index>TERM</index><fra start='1M'><rate>0.03</rate></fra>"
    "<fra start='6M'><rate>0.03</rate></fra></yieldCurve>"
)
BERMUDAN = "<cancellableBond><coupon><rate>0.06</rate></coupon></cancellableBond>"
ZERO = "<zeroCouponBond><maturityDate>2027-09-17</maturityDate>{}</zeroCouponBond>"
FIXED = (
    "<fixedRateBond><maturityDate>2030-05-15</maturityDate><coupon><rate>0.05</rate></coupon>{}"
    "</fixedRateBond>"
)
LOAN = (
    "<homeLoan><principal>1000</principal><rate>0.05</rate><startDate>{}</startDate>"
    "<term>20Y</term></homeLoan>"
)
FLOWS = (
    "<schedule><cashFlow date='2025-12-01'>5</cashFlow><cashFlow date='2028-01-31'>105</cashFlow>"
    "</schedule>"
)
DEPOSIT = "<deposit><notional>1e6</notional><rate>0.045</rate><tenor>{}</tenor></deposit>"
FORWARD = "<{0}><strike>95</strike><tenor>1Y</tenor></{0}>"
BARRIER = "<barrierType>downOut</barrierType><barrier>{}</barrier>"
AVERAGED = (
    "<fixingDates><date>2025-08-17</date><date>2025-11-17</date><date>2026-09-17</date>"
    "</fixingDates>"
)
NORMAL = "<volatility quote='normal' unit='bp'>95</volatility>"
EXPIRY = "<expiry>2Y</expiry>"
TWO_CASH = {"market": share(CASH)}

TASKS: list[tuple[str, dict[str, str]]] = [
    (ZERO.format(""), {"analytics": ASKED}),
    (ZERO.format(""), LATER),
    (ZERO.format("<quote><yield>0.05</yield></quote>"), {"analytics": ASKED}),
    (FIXED.format(""), {"analytics": ASKED}),
    (FIXED.format("<settlementDays>3</settlementDays>"), {**LATER, "analytics": ASKED}),
    # Fixings of one index: some, others, none.
    *(
        (floating_bond("2025-03-17", "EURIBOR6M"), {"market": EUROS + known, "analytics": ASKED})
        for known in (EURIBOR, EURIBOR_OTHER, "")
    ),
    *(
        (
            floating_bond("2025-09-19", "EURIBOR6M", "<frequency>Quarterly</frequency>"),
            {"market": EUROS, "calculator": calculator},
        )
        for calculator in ("", INDEXED)
    ),
    *(
        (floating_bond("2025-09-02", "SOFR", end="2028-03-02"), {"market": DOLLARS + known})
        for known in (SOFR, "")
    ),
    (
        floating_bond("2025-09-19", "EURIBOR6M", "<cap>0.02</cap>"),
        {"market": EUROS, "model": NORMAL, "calculator": INDEXED},
    ),
    (BERMUDAN, {"model": HJM, "calculator": "<timeSteps>30</timeSteps>"}),
    (
        BERMUDAN,
        {"model": "<process>blackKarasinski</process><volatility>0.2</volatility>", **LATER},
    ),
    (FLOWS, {"analytics": ASKED}),
    (FLOWS, {"market": DOLLARS, "analytics": ASKED, **LATER}),
    (DEPOSIT.format("6M"), {"analytics": ASKED}),
    (DEPOSIT.format("SN"), {**LATER, "analytics": ASKED}),
    (LOAN.format("2020-01-31"), {"analytics": ASKED}),
    (LOAN.format("2025-09-30"), {}),
    # Indices of one name and two definitions; par coupons or the index's own periods.
    *(
        (
            swap("TERM", "<startDate>2025-06-19</startDate>"),
            {"market": DOLLARS + own, "analytics": ASKED},
        )
        for own in (OWN_3M, OWN_6M, OWN_TODAY)
    ),
    *(
        (
            swap("TERM", leg="<frequency>Semiannual</frequency>"),
            {"market": DOLLARS + OWN_3M, "calculator": calculator},
        )
        for calculator in ("", INDEXED)
    ),
    (swap("SOFR", "<startDate>2025-09-02</startDate>"), {"market": DOLLARS + SOFR}),
    (swap("SOFR", "<startDate>2025-09-02</startDate>"), {"market": DOLLARS}),
    (swap("SOFR"), {"market": DOLLARS, "analytics": ASKED, **LATER}),
    *(
        (swap("TERM", "<startDate>2025-09-17</startDate>"), {"market": DOLLARS + own})
        for own in (OWN_TODAY, OWN_TODAY.replace("0.06", "0.02"), OWN_3M)
    ),
    *(
        (agreement("<start>6M</start>"), {"market": DOLLARS + own, "analytics": ASKED})
        for own in (OWN_3M, OWN_6M, "")
    ),
    (agreement("<startDate>2025-09-17</startDate>"), {"market": DOLLARS + OWN_TODAY}),
    (
        cap("<startDate>2025-06-19</startDate>"),
        {"market": DOLLARS + OWN_3M, "model": NORMAL, "analytics": ASKED},
    ),
    (cap("<startDate>2025-06-19</startDate>"), {"market": DOLLARS + OWN_6M, "model": NORMAL}),
    (cap("<startDate>2025-03-19</startDate>"), {"market": DOLLARS + OWN_3M, "model": NORMAL}),
    (
        cap(),
        {
            "market": DOLLARS + OWN_6M,
            "model": "<volatility quote='lognormal'>0.25</volatility>",
            "calculator": INDEXED,
            **LATER,
        },
    ),
    (
        swap("TERM", EXPIRY, kind="swaption"),
        {"market": DOLLARS + OWN_3M, "model": NORMAL, "analytics": ASKED},
    ),
    (
        swap("SOFR", EXPIRY, kind="swaption"),
        {"market": DOLLARS + SOFR, "model": NORMAL, "analytics": ASKED, **LATER},
    ),
    (
        swap("TERM", EXPIRY + "<settlement>cash</settlement>", kind="swaption"),
        {"market": DOLLARS + OWN_6M, "model": NORMAL, "calculator": INDEXED},
    ),
    # Theta sets the clock forward, paths draw numbers, grids remember nothing.
    (option("europeanOption"), {"market": share(CASH, SURFACE), "analytics": RISKS}),
    *(
        (
            option("europeanOption"),
            {"market": share(), "calculator": calculator, "analytics": "<price/><theta/>"},
        )
        for calculator in (paths(42), paths(43), "<method>finiteDifference</method>" + SMALL)
    ),
    (option("europeanOption"), {"market": share(volatility=""), "analytics": RISKS}),
    (option("americanOption"), {"market": share(), "analytics": "<price/><theta/>"}),
    (
        option("americanOption"),
        {"market": share(CASH), "calculator": SMALL, "analytics": "<price/><theta/>"},
    ),
    (
        option("americanOption"),
        {"market": share(), "calculator": "<method>tree</method><timeSteps>30</timeSteps>"},
    ),
    (option("americanOption"), {**TWO_CASH, "calculator": "<method>qdFp</method>"}),
    (option("barrierOption", BARRIER.format(90)), {"market": share(), "analytics": RISKS}),
    (
        option("barrierOption", BARRIER.format(90)),
        {
            "market": share(volatility=SURFACE),
            "calculator": "<method>finiteDifference</method>" + SMALL,
            **LATER,
        },
    ),
    (option("barrierOption", BARRIER.format(101)), {"market": share()}),
    (option("barrierOption", BARRIER.format(90)), TWO_CASH),
    *(
        (
            option("asianOption", AVERAGED + "<pastFixings>101</pastFixings>"),
            {"market": share(), "calculator": calculator, "analytics": "<price/><theta/>"},
        )
        for calculator in ("", paths(42), paths(7))
    ),
    (option("asianOption", AVERAGED), {"market": share()}),
    (option("asianOption", "<averaging>geometric</averaging>"), {"market": share()}),
    (option("asianOption"), {"market": share(), **LATER, "analytics": RISKS}),
    (
        option("fxOption", "<pair>EURUSD</pair>").replace("100", "1.1"),
        {"market": FX.format(" spotDate='2025-09-19'"), "analytics": RISKS},
    ),
    (
        option("fxOption", "<pair>EURUSD</pair>").replace("100", "1.1"),
        {"market": FX.format(""), "calculator": paths(42)},
    ),
    (option("fxOption", "<pair>EURGBP</pair>"), {"market": FX.format("")}),
    (FORWARD.format("equityForward"), {"market": share(CASH), "analytics": RISKS}),
    (FORWARD.format("equityForward"), {"market": share(), **LATER}),
    ("<future><price>99</price><tenor>1Y</tenor></future>", {**TWO_CASH, "analytics": RISKS}),
    ("<future><price>99</price><tenor>1Y</tenor></future>", {"market": share(), **LATER}),
    *(
        (
            "<fxForward><pair>EURUSD</pair><strike>1.1</strike><tenor>1Y</tenor></fxForward>",
            {"market": FX.format(dated), "analytics": RISKS},
        )
        for dated in ("", " spotDate='2025-09-19'")
    ),
    *(
        (
            default_swap(),
            {
                "market": credit(curve),
                "analytics": "<price/><dv01/><fairSpread/><fairUpfront/><accruedInterest/>",
            },
        )
        for curve in ("<hazardRate>0.02</hazardRate>", CDS, "<quotedSpread>0.012</quotedSpread>")
    ),
    (default_swap(), {"market": credit(CDS), "calculator": "<method>midPoint</method>", **LATER}),
    (default_swap(), {"market": credit("<hazardRate>x</hazardRate>")}),
    # Curves, the second of them through the index that the swaps define; one with no solution.
    (SOLVED.format("0.04"), {"analytics": "<curve/>"}),
    (SOLVED.format("0.04"), {"analytics": "<curve/>", **LATER}),
    (SOLVED.format("-3"), {"analytics": "<curve/>"}),
    *((FRAS, {"market": own, "analytics": "<curve/>"}) for own in (OWN_3M, OWN_6M, "")),
    (
        f"<aggregate><group>{held(5)}{held(7, 'EUR')}</group></aggregate>",
        {"market": FX.format("")},
    ),
    (f"<aggregate><group>{held(5)}{held(7, 'GBP')}</group></aggregate>", {"market": FX.format("")}),
    # Refused before there is a kind, warned of, or refused by QuantLib.
    ("<zeroCouponBond/>", {}),
    (ZERO.format("") + "<capFloor/>", {}),
    (ZERO.format(""), {"date": ""}),
    (ZERO.format("<faceAmont>1</faceAmont>"), {"calculator": "<strict>true</strict>"}),
    (ZERO.format("<faceAmont>1</faceAmont>"), {}),
    (ZERO.format(""), {"date": "2027-09-17"}),
    ("<region>R</region>", {}),
    (
        FIXED.format(""),
        {"analytics": "<yield compounding='Continuous'/><duration type='macaulay'/>"},
    ),
]


# --- their answers -------------------------------------------------------------------------------

APART = """
import os, pickle, sys
from vnas.engine.errors import EngineError
from vnas.engine.task import value_document  # QuantLib is loaded, and nothing valued yet

answers = []
for document in pickle.load(sys.stdin.buffer):
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            answer = value_document(document)
        except EngineError as error:
            answer = error.line().encode()
        with os.fdopen(writer, "wb") as out:
            out.write(answer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        answers.append(told.read())
    os.wait()
pickle.dump(answers, sys.stdout.buffer)
"""


@pytest.fixture(scope="session")
def alone(task_document) -> dict[bytes, bytes]:
    """The tasks, each with the answer of a process that valued nothing before."""
    documents = [task_document(instrument, **parts) for instrument, parts in TASKS]
    done = subprocess.run(
        [sys.executable, "-c", APART],
        input=pickle.dumps(documents),
        capture_output=True,
        check=True,
        timeout=60,
    )
    return dict(zip(documents, pickle.loads(done.stdout), strict=True))


def answer(document: bytes) -> bytes:
    try:
        return engine.value(document)
    except engine.EngineError as error:
        return error.line().encode()


def numbers(result: bytes) -> bytes:
    return etree.tostring(etree.fromstring(result).find("project/group/valuation/analytics"))


def test_the_tasks_are_of_every_kind_and_no_two_give_the_same_numbers(alone):
    found = Counter(
        str(kind.tag)
        for document in alone
        for kind in etree.fromstring(document).find(".//instrument")
        if kind.tag in kinds.VOCABULARY
    )
    assert set(found) == kinds.VOCABULARY
    assert min(found.values()) >= 2
    refused = {said[:7] for said in alone.values() if said.startswith(b"VNP-")}
    assert len(refused) > 10
    assert not {code for code in refused if code.startswith(b"VNP-5")}
    results = [said for said in alone.values() if not said.startswith(b"VNP-")]
    assert len(set(map(numbers, results))) == len(results)


def test_every_task_twice_and_in_disorder_is_answered_as_in_a_process_of_its_own(alone):
    mix = [*alone, *alone]
    random.Random(11).shuffle(mix)
    for document in mix:
        assert answer(document) == alone[document]


@settings(max_examples=12, deadline=None)
@given(mix=st.lists(st.integers(0, len(TASKS) - 1), min_size=15, max_size=40))
def test_any_mix_of_tasks_is_answered_as_in_processes_of_their_own(alone, mix):
    documents = list(alone)
    for number in mix:
        assert answer(documents[number]) == alone[documents[number]]


# --- in the shipped script -----------------------------------------------------------------------

SHIPPED = Path(str(resources.files("vnas") / "vnas.sh"))
LIMITS = ScriptLimits(timeout_ms=20_000)


@pytest.fixture
def with_this_python(monkeypatch):
    """The script takes the first python3 on PATH: let it be this one."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


async def said_by(runner, document: bytes, facts) -> bytes:
    """What a script answers, or the line that it refuses the task with."""
    try:
        return await runner.run(document, facts)
    except ScriptFailed as failed:
        return failed.stderr_tail.strip().encode()


async def test_one_warm_process_answers_every_task_as_one_that_is_run_once(
    alone, facts, make_runner, with_this_python, tmp_path
):
    mix = [*alone, *alone]
    random.Random(12).shuffle(mix)
    directories = tmp_path / "processes"
    directories.mkdir()
    recipe = Recipe(script=SHIPPED, limits=LIMITS, prlimit=find_prlimit(), directories=directories)
    async with WarmScripts(ScriptFile(SHIPPED), recipe, slots=1, strays=None) as scripts:
        for document in mix:
            assert await said_by(scripts, document, facts) == alone[document]
    once = make_runner(SHIPPED)
    for document in mix[:6]:
        assert await said_by(once, document, facts) == alone[document]
