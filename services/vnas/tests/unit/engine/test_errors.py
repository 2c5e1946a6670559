"""Every code of the error table: when it comes, where it points, and which comes first."""

import pytest

from vnas import engine
from vnas.engine.errors import EngineError

AT = "/instrument"
ZERO = "<zeroCouponBond>{}</zeroCouponBond>"
TWO_YEARS = "<maturityDate>2027-09-17</maturityDate>"
FIXED = "<fixedRateBond>" + TWO_YEARS + "{}</fixedRateBond>"
COUPON = "<coupon><rate>0.05</rate>{}</coupon>"
FLOATING = (
    "<floatingRateBond>" + TWO_YEARS + "<coupon><index>{}</index></coupon></floatingRateBond>"
)
CALLABLE = "<cancellableBond>" + COUPON.format("") + "{}</cancellableBond>"
LOAN = (
    "<homeLoan><principal>1000</principal><rate>0.05</rate>"
    "<startDate>2025-01-01</startDate><term>10Y</term>{}</homeLoan>"
)
OPTION = "<europeanOption><type>call</type><strike>100</strike><tenor>1Y</tenor>{}</europeanOption>"
ABC = "<rate>0.04</rate><underlying name='ABC'><spot>100</spot>{}</underlying>"
VOL = "<volatility>0.2</volatility>"
CURVE = "<curve name='C'>{}</curve>"
NINE = "<quantity>9</quantity>"
HJM = "<volatility><hjm>{}</hjm></volatility>"
OIS = "<yieldCurve><index>SOFR</index>{}</yieldCurve>"
ONE_OIS = "<ois tenor='1Y'><rate>0.04</rate></ois>"


def nodes(*pairs: tuple[str, object]) -> str:
    return "".join(f"<node tenor='{tenor}'>{value}</node>" for tenor, value in pairs)


@pytest.mark.parametrize(
    ("instrument", "parts", "code", "path"),
    [
        # 201: a required element is missing
        pytest.param(ZERO.format(""), {}, "VNP-201", AT + "/zeroCouponBond/maturityDate", id="R"),
        pytest.param(
            ZERO.format("<maturityDate/>"),
            {},
            "VNP-201",
            AT + "/zeroCouponBond/maturityDate",
            id="empty is absent",
        ),
        pytest.param(FIXED.format(""), {}, "VNP-201", AT + "/fixedRateBond/coupon", id="coupon"),
        pytest.param(
            FIXED.format("<coupon><frequency>1</frequency></coupon>"),
            {},
            "VNP-201",
            AT + "/fixedRateBond/coupon/rate",
            id="coupon rate",
        ),
        pytest.param(
            FLOATING.format(""),
            {},
            "VNP-201",
            AT + "/floatingRateBond/coupon/index",
            id="coupon index",
        ),
        pytest.param(
            "<homeLoan><principal>1</principal><rate>0</rate><startDate>2025-01-01</startDate>"
            "</homeLoan>",
            {},
            "VNP-201",
            AT + "/homeLoan/term",
            id="loan term",
        ),
        pytest.param(
            "<europeanOption><strike>1</strike><tenor>1Y</tenor></europeanOption>",
            {},
            "VNP-201",
            AT + "/europeanOption/type",
            id="option type",
        ),
        pytest.param(
            OPTION.format(""),
            {"market": "<rate>0</rate><underlying name='A'/>"},
            "VNP-201",
            "/market/underlying/spot",
            id="spot",
        ),
        pytest.param(
            "<fxOption><type>put</type><strike>1</strike><tenor>1Y</tenor></fxOption>",
            {},
            "VNP-201",
            AT + "/fxOption/pair",
            id="pair",
        ),
        pytest.param(OIS.format(""), {}, "VNP-201", AT + "/yieldCurve/ois", id="no quotes"),
        pytest.param(
            OIS.format("<ois><rate>0.04</rate></ois>"),
            {},
            "VNP-201",
            AT + "/yieldCurve/ois/@tenor",
            id="attribute of a quote",
        ),
        pytest.param(
            "<yieldCurve>" + ONE_OIS + "</yieldCurve>",
            {},
            "VNP-201",
            AT + "/yieldCurve/ois/index",
            id="index of a quote",
        ),
        pytest.param("<aggregate/>", {}, "VNP-201", AT + "/aggregate/group", id="nothing"),
        # 202: no evaluation date
        pytest.param(
            ZERO.format(TWO_YEARS), {"date": ""}, "VNP-202", "/analytics/evaluation/date", id="202"
        ),
        # 203: not such a value
        pytest.param(
            ZERO.format("<maturityDate>2027-02-29</maturityDate>"),
            {},
            "VNP-203",
            AT + "/zeroCouponBond/maturityDate",
            id="no such day",
        ),
        pytest.param(
            ZERO.format("<tenor>3X</tenor>"),
            {},
            "VNP-203",
            AT + "/zeroCouponBond/tenor",
            id="tenor",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<faceAmount>NaN</faceAmount>"),
            {},
            "VNP-203",
            AT + "/zeroCouponBond/faceAmount",
            id="NaN",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS) + "<quantity>1,000</quantity>",
            {},
            "VNP-203",
            AT + "/quantity",
            id="beside the kind",
        ),
        pytest.param(
            FIXED.format(COUPON.format("<endOfMonth>yes</endOfMonth>")),
            {},
            "VNP-203",
            AT + "/fixedRateBond/coupon/endOfMonth",
            id="boolean",
        ),
        pytest.param(
            FIXED.format("<coupon><rate>0.05</rate><rate>5%</rate></coupon>"),
            {},
            "VNP-203",
            AT + "/fixedRateBond/coupon/rate[2]",
            id="the second of two",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"date": "2025-13-01"},
            "VNP-203",
            "/analytics/evaluation/date",
            id="evaluation date",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"market": "<rate>x</rate>"},
            "VNP-203",
            "/market/rate",
            id="mkt",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"calculator": "<seed>x</seed>"},
            "VNP-203",
            "/calculator/seed",
            id="calculator",
        ),
        # 204: a name outside its list
        pytest.param(
            FIXED.format(COUPON.format("<dayCount>ACT/367</dayCount>")),
            {},
            "VNP-204",
            AT + "/fixedRateBond/coupon/dayCount",
            id="day count",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<calendar>TARGET+Mars</calendar>"),
            {},
            "VNP-204",
            AT + "/zeroCouponBond/calendar",
            id="calendar",
        ),
        pytest.param(
            FIXED.format(COUPON.format("<frequency>5</frequency>")),
            {},
            "VNP-204",
            AT + "/fixedRateBond/coupon/frequency",
            id="frequency",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<currency>usd</currency>"),
            {},
            "VNP-204",
            AT + "/zeroCouponBond/currency",
            id="currency",
        ),
        pytest.param(
            FIXED.format(COUPON.format("")),  # whose calendar would be that of the currency
            {"market": "<currency>eur</currency><rate>0.04</rate>"},
            "VNP-204",
            "/market/currency",
            id="currency of the market",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<discountSpread unit='bps'>10</discountSpread>"),
            {},
            "VNP-204",
            AT + "/zeroCouponBond/discountSpread/@unit",
            id="unit",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"market": "<rate compounding='Often'>0.04</rate>"},
            "VNP-204",
            "/market/rate/@compounding",
            id="attribute",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"model": "<process>heston</process>"},
            "VNP-204",
            "/model/process",
            id="process",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"analytics": "<yield dayCount='x'/>"},
            "VNP-204",
            "/analytics/yield/@dayCount",
            id="attribute of an output",
        ),
        pytest.param(
            LOAN.format("<frequency>Daily</frequency>"),
            {},
            "VNP-204",
            AT + "/homeLoan/frequency",
            id="not a frequency of loans",
        ),
        # 205: a curve or surface of wrong shape
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"market": CURVE.format(nodes(("1Y", 0.04), ("6M", 0.04)))},
            "VNP-205",
            "/market/curve/node[2]",
            id="nodes out of order",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"market": CURVE.format("<node date='2025-09-16'>0.04</node>" + nodes(("1Y", 0.04)))},
            "VNP-205",
            "/market/curve/node[1]",
            id="node before the curve",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"market": CURVE.format("<type>discount</type>" + nodes(("1Y", 0.96), ("2Y", 0)))},
            "VNP-205",
            "/market/curve/node[2]",
            id="discount factor",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"market": CURVE.format("<type>discount</type>" + nodes(("0D", 0.9), ("2Y", 0.8)))},
            "VNP-205",
            "/market/curve/node[1]",
            id="not 1 on its date",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"market": "<curve name='C' date='2025-09-28'><rate>0.04</rate></curve>"},
            "VNP-205",
            "/market/curve/@date",
            id="curve of the future",
        ),
        pytest.param(
            OPTION.format(""),
            {
                "market": ABC.format(
                    "<volatility><surface axis='strike'><columns>90 100</columns>"
                    "<row tenor='1Y'>0.2 0.2</row><row tenor='2Y'>0.2</row></surface></volatility>"
                )
            },
            "VNP-205",
            "/market/underlying/volatility/surface/row[2]",
            id="row",
        ),
        # 206: the market lacks what is named or needed
        pytest.param(ZERO.format(TWO_YEARS), {"market": ""}, "VNP-206", "/market", id="no curve"),
        pytest.param(
            ZERO.format(TWO_YEARS + "<discountCurve>X</discountCurve>"),
            {},
            "VNP-206",
            AT + "/zeroCouponBond/discountCurve",
            id="named curve",
        ),
        pytest.param(
            FLOATING.format("euribor6m"),
            {},
            "VNP-206",
            AT + "/floatingRateBond/coupon/index",
            id="index names are exact",
        ),
        pytest.param(
            OPTION.format("<underlying>X</underlying>"),
            {"market": ABC.format(VOL)},
            "VNP-206",
            AT + "/europeanOption/underlying",
            id="underlying",
        ),
        pytest.param(
            "<fxOption><pair>EURUSD</pair><type>put</type><strike>1</strike><tenor>1Y</tenor>"
            "</fxOption>",
            {},
            "VNP-206",
            AT + "/fxOption/pair",
            id="fx",
        ),
        pytest.param(
            OPTION.format("<volatilityName>V</volatilityName>"),
            {"market": ABC.format("")},
            "VNP-206",
            AT + "/europeanOption/volatilityName",
            id="named volatility",
        ),
        # 207, 208
        pytest.param(
            OPTION.format(""),
            {"market": ABC.format("")},
            "VNP-207",
            AT + "/europeanOption/volatility",
            id="no volatility",
        ),
        pytest.param(
            CALLABLE.format(""), {}, "VNP-207", AT + "/cancellableBond/volatility", id="207"
        ),
        pytest.param(
            OPTION.format(""),
            {"market": ABC.format("<volatility>-0.2</volatility>")},
            "VNP-208",
            "/market/underlying/volatility",
            id="negative volatility",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<issueDate>2027-09-17</issueDate>"),
            {},
            "VNP-208",
            AT + "/zeroCouponBond/issueDate",
            id="issue after maturity",
        ),
        pytest.param(
            ZERO.format("<issueDate>2180-01-01</issueDate><tenor>50Y</tenor>"),
            {},
            "VNP-208",
            AT + "/zeroCouponBond/tenor",
            id="end of time",
        ),
        pytest.param(
            OPTION.format("").replace("100", "-1"),
            {"market": ABC.format(VOL)},
            "VNP-208",
            AT + "/europeanOption/strike",
            id="strike",
        ),
        pytest.param(
            CALLABLE.format("<cancellation><call date='2040-01-01'/></cancellation>"),
            {},
            "VNP-208",
            AT + "/cancellableBond/cancellation/call/@date",
            id="call after maturity",
        ),
        pytest.param(
            LOAN.format("<payment>4</payment>"),
            {},
            "VNP-208",
            AT + "/homeLoan/payment",
            id="payment below interest",
        ),
        pytest.param(
            LOAN.format("<frequency>Weekly</frequency><prepayment><psa>100</psa></prepayment>"),
            {},
            "VNP-208",
            AT + "/homeLoan/prepayment/psa",
            id="psa is monthly",
        ),
        pytest.param(
            "<fixedRateBond><maturityDate>2190-01-01</maturityDate>"
            + COUPON.format("<frequency>Daily</frequency>")
            + "</fixedRateBond>",
            {},
            "VNP-208",
            AT + "/fixedRateBond/coupon",
            id="too many flows",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"market": CURVE.format(nodes(*((f"{n}W", 0.04) for n in range(1, 502))))},
            "VNP-208",
            "/market/curve",
            id="too many nodes",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"calculator": "<timeSteps>2001</timeSteps>"},
            "VNP-208",
            "/calculator/timeSteps",
            id="steps",
        ),
        # 209, 211, 212, 213
        pytest.param(
            ZERO.format(TWO_YEARS) + "<capFloor/>", {}, "VNP-209", AT + "/capFloor", id="two kinds"
        ),
        pytest.param(
            FLOATING.format("EURIBOR6M"),
            {"market": "<rate currency='EUR'>0.02</rate><rate>0.04</rate>"},
            "VNP-211",
            AT + "/floatingRateBond/coupon/index",
            id="fixing",
        ),
        pytest.param(
            "<region>R</region>", {"calculator": "<strict>true</strict>"}, "VNP-212", AT, id="212"
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<faceAmont>1</faceAmont>"),
            {"calculator": "<strict>true</strict>"},
            "VNP-213",
            AT + "/zeroCouponBond/faceAmont",
            id="213",
        ),
        # 301 .. 304
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"calculator": "<method>tree</method>"},
            "VNP-301",
            "/calculator/method",
            id="method",
        ),
        pytest.param(
            OPTION.format(""),
            {"market": ABC.format(VOL), "model": "<process>hullWhite</process>"},
            "VNP-301",
            "/model/process",
            id="process not of the kind",
        ),
        pytest.param(
            CALLABLE.format(""),
            {"model": HJM.format("<factor/><factor/>")},
            "VNP-301",
            "/model/volatility/hjm/factor[2]",
            id="two factors",
        ),
        pytest.param(
            ZERO.format("<maturityDate>2025-09-17</maturityDate>"),
            {"calculator": "<strict>true</strict>"},
            "VNP-302",
            AT + "/zeroCouponBond",
            id="strict and expired",
        ),
        pytest.param(
            "<floatingRateBond>"
            + TWO_YEARS
            + "<issueDate>2025-09-17</issueDate><coupon><index>EURIBOR6M</index><cap>0.03</cap>"
            "</coupon></floatingRateBond>",
            {
                "market": "<currency>EUR</currency><rate>0.02</rate>",
                "model": "<process>normal</process><volatility quote='lognormal'>0.2</volatility>",
            },
            "VNP-303",
            "/model/volatility",
            id="quote against process",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS),
            {"market": CURVE.format("")},
            "VNP-304",
            "/market/curve",
            id="empty curve",
        ),
        # 401 .. 404
        pytest.param(
            OIS.format(ONE_OIS + "<ois tenor='12M'><rate>0.04</rate></ois>"),
            {},
            "VNP-401",
            AT + "/yieldCurve",
            id="two quotes end together",
        ),
        pytest.param(
            OIS.format("<ois tenor='1Y'><rate>-3</rate></ois>"),
            {},
            "VNP-401",
            AT + "/yieldCurve",
            id="no solution",
        ),
        pytest.param(
            OIS.format("<future contract='2025-12-01'><price>96</price></future>"),
            {},
            "VNP-402",
            AT + "/yieldCurve/future",
            id="no IMM date",
        ),
        pytest.param(
            FIXED.format(COUPON.format("")),
            {"analytics": "<yield compounding='Continuous'/><duration type='macaulay'/>"},
            "VNP-402",
            AT + "/fixedRateBond",
            id="macaulay",
        ),
        pytest.param(
            OPTION.format("").replace("call", "put").replace("100", "1e308")
            + "<quantity>9</quantity>",
            {"market": ABC.format(VOL).replace("0.04", "-5")},
            "VNP-403",
            "/analytics/price",
            id="not finite",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<quote><cleanPrice>-5</cleanPrice></quote>"),
            {"analytics": "<yield/>"},
            "VNP-404",
            AT + "/zeroCouponBond",
            id="no yield",
        ),
    ],
)
def test_a_fault_has_its_code_and_place(refused, instrument, parts, code, path):
    assert refused(instrument, **parts) == (code, path)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param(b"<vnml><project>", "/", id="not well-formed"),
        pytest.param(b"", "/", id="nothing"),
        pytest.param(b"<!DOCTYPE vnml><vnml/>", "/", id="doctype"),
        pytest.param(b"<other/>", "/other", id="another root"),
        pytest.param(b"<vnml><project><group/></project></vnml>", "/vnml", id="no valuation"),
        pytest.param(
            b"<vnml><project><group><valuation/><valuation/></group></project></vnml>",
            "/vnml",
            id="two valuations",
        ),
        pytest.param(
            b"<valuation><analytics/><analytics/></valuation>",
            "/valuation/analytics[2]",
            id="two analytics",
        ),
    ],
)
def test_what_is_not_one_valuation_is_210(body, path):
    with pytest.raises(EngineError) as caught:
        engine.value(body)
    assert (caught.value.code, caught.value.path) == ("VNP-210", path)


@pytest.mark.parametrize("missing", ["analytics", "instrument"])
def test_a_valuation_needs_its_parts(missing):
    parts = {"analytics": "<analytics/>", "instrument": "<instrument/>"}
    del parts[missing]
    body = f"<valuation><market date='2025-09-17'/>{''.join(parts.values())}</valuation>"
    with pytest.raises(EngineError) as caught:
        engine.value(body.encode())
    assert (caught.value.code, caught.value.path) == ("VNP-201", f"/valuation/{missing}")


def test_no_date_and_nothing_else_is_still_202():
    with pytest.raises(EngineError) as caught:
        engine.value(b"<valuation/>")
    assert caught.value.line().startswith("VNP-202 /valuation/analytics/evaluation/date: ")


# --- the first fault is told ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument", "parts", "code", "path"),
    [
        pytest.param(
            "<zeroCouponBond/><capFloor/>", {"date": ""}, "VNP-202", "/analytics/evaluation/date",
            id="the date before the kind",
        ),
        pytest.param(
            "<zeroCouponBond/><capFloor/>", {}, "VNP-209", AT + "/capFloor",
            id="the kind before its elements",
        ),
        pytest.param(
            FIXED.format(
                "<settlementDays>x</settlementDays><coupon><rate>y</rate></coupon>"
                "<faceAmount>z</faceAmount>"
            ),
            {},
            "VNP-203",
            AT + "/fixedRateBond/settlementDays",
            id="elements in document order",
        ),
        pytest.param(
            FIXED.format(
                "<coupon><calendar>Mars</calendar><rate>y</rate></coupon>"
                "<settlementDays>x</settlementDays>"
            ),
            {},
            "VNP-204",
            AT + "/fixedRateBond/coupon/calendar",
            id="and inside a child",
        ),
        pytest.param(
            "<fixedRateBond><coupon><frequency>2</frequency></coupon><redemption>x</redemption>"
            "</fixedRateBond>",
            {},
            "VNP-201",
            AT + "/fixedRateBond/coupon/rate",
            id="a missing element stands at the end of its parent",
        ),
        pytest.param(
            "<fixedRateBond><redemption>x</redemption></fixedRateBond>",
            {},
            "VNP-203",
            AT + "/fixedRateBond/redemption",
            id="so a wrong one is told before",
        ),
        pytest.param(
            "<quantity>x</quantity>" + ZERO.format("<faceAmount>y</faceAmount>"),
            {},
            "VNP-203",
            AT + "/quantity",
            id="beside the kind too",
        ),
        pytest.param(
            ZERO.format("<faceAmount>y</faceAmount>"),
            {"calculator": "<seed>x</seed>", "market": "<rate>x</rate>"},
            "VNP-203",
            AT + "/zeroCouponBond/faceAmount",
            id="the kind before calculator and market",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<discountCurve>X</discountCurve>"),
            {"calculator": "<method>tree</method>"},
            "VNP-301",
            "/calculator/method",
            id="calculator before market",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<currency>EUR</currency>"),
            {"analytics": "<yield dayCount='x'/>"},
            "VNP-206",
            "/market",
            id="the market before the numbers",
        ),
    ],
)  # fmt: skip
def test_the_first_fault_is_told(refused, instrument, parts, code, path):
    assert refused(instrument, **parts) == (code, path)


# --- what a message may say ----------------------------------------------------------------------


def test_a_message_quotes_at_most_80_characters_of_a_value_on_one_line(task_document):
    body = task_document(ZERO.format(f"<maturityDate>{'9' * 500}&#10;x</maturityDate>"))
    with pytest.raises(EngineError) as caught:
        engine.value(body)
    line = caught.value.line()
    assert "\n" not in line
    assert "9" * 80 not in line
    assert "9" * 79 in line


def test_a_fault_of_the_engine_itself_may_be_tried_again(task_document, monkeypatch):
    monkeypatch.setattr("vnas.engine.kinds.find", lambda _: None)
    with pytest.raises(EngineError) as caught:
        engine.value(task_document(ZERO.format(TWO_YEARS)))
    assert caught.value.code == "VNP-500"
    assert caught.value.exit_status == 70


def test_a_fault_of_the_engine_names_no_file(task_document, monkeypatch):
    def break_down(_: object) -> None:
        raise OSError("/usr/lib/python3/QuantLib.so: cannot open, Actual/360 or not")

    monkeypatch.setattr("vnas.engine.kinds.find", lambda _: break_down)
    with pytest.raises(EngineError) as caught:
        engine.value(task_document(ZERO.format(TWO_YEARS)))
    assert caught.value.message.endswith("OSError: …: cannot open, Actual/360 or not")


def test_an_error_survives_a_trip_to_another_process():
    import pickle

    error = EngineError("VNP-201", "/a/b", "required element is missing")
    same = pickle.loads(pickle.dumps(error))
    assert (same.code, same.path, same.message) == (error.code, error.path, error.message)


# --- warnings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument", "parts", "codes"),
    [
        pytest.param("<book>B</book>", {}, ["VNP-101"], id="no kind"),
        pytest.param(
            ZERO.format(TWO_YEARS + "<faceAmont>1</faceAmont>"), {}, ["VNP-102"], id="misspelt"
        ),
        pytest.param(
            FIXED.format(COUPON.format("<frequncy>1</frequncy>")), {}, ["VNP-102"], id="deeper"
        ),
        pytest.param(
            ZERO.format(TWO_YEARS) + "<currency>QQQ</currency>",
            {"market": "<rate currency='QQQ'>0.01</rate>"},
            ["VNP-103"],
            id="unknown currency",
        ),
        pytest.param(
            CALLABLE.format(""),
            {"model": HJM.format("<factor><term><rho>1</rho><tau>2</tau></term></factor>")},
            ["VNP-105", "VNP-105"],
            id="rho and tau",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<faceAmount>1</faceAmount><faceAmount>2</faceAmount>"),
            {},
            ["VNP-105"],
            id="a repeated element",
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<quote><cleanPrice>90</cleanPrice></quote>"),
            {},
            ["VNP-106"],
            id="quote",
        ),
        pytest.param(
            ZERO.format("<maturityDate>2025-09-17</maturityDate>"), {}, ["VNP-107"], id="expired"
        ),
        pytest.param(
            ZERO.format(TWO_YEARS + "<x:own xmlns:x='urn:x'/>"), {}, [], id="foreign elements"
        ),
        pytest.param(
            ZERO.format(TWO_YEARS) + "<region>R</region>",
            {"model": "<type>T</type><own/>", "market": "<rate>0.04</rate><own/>"},
            [],
            id="your own elements",
        ),
    ],
)
def test_a_warning_is_a_message_in_the_result(valued, instrument, parts, codes):
    outcome = valued(instrument, **parts)
    assert outcome.codes() == codes
    assert all(m.get("severity") == "warning" for m in outcome.analytics.findall("message"))


def test_an_expired_instrument_is_worth_nothing(valued):
    outcome = valued(
        ZERO.format("<maturityDate>2025-09-17</maturityDate>"),
        analytics="<price>5</price><yield>3</yield><cashFlows><cashFlow>1</cashFlow></cashFlows>",
    )
    assert outcome.text("price") == "0"
    for name in ("yield", "cashFlows"):
        assert outcome.text(name) is None
    assert {outcome.status(n) for n in ("price", "yield", "cashFlows")} == {"expired"}
