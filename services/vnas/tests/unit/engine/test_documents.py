"""What a task document goes through: kept, filled, repeated, told apart from broken ones."""

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from lxml import etree

from vnas import engine

ZERO = "<zeroCouponBond><maturityDate>2027-09-17</maturityDate></zeroCouponBond>"
FIXED = (
    "<fixedRateBond><maturityDate>2030-05-15</maturityDate><coupon><rate>0.05</rate>"
    "</coupon></fixedRateBond>"
)


def without_analytics(root: etree._Element) -> bytes:
    for analytics in list(root.iter("analytics")):
        for child in list(analytics):
            analytics.remove(child)
    return etree.tostring(root.getroottree(), method="c14n")


def test_everything_outside_the_analytics_is_kept_as_it_was():
    body = (
        b"<?xml version='1.0'?><!-- before --><?vnvs keep?>"
        b"<vnml a='1'><x:note xmlns:x='urn:x'>mine</x:note><project><own/><group name='g' z='2'>"
        b"text<!-- c --><valuation name='v'><market date='2025-09-17'><rate> 0.04 </rate>"
        b"<!-- m --><href>data</href></market><analytics><price/></analytics>"
        b"<instrument name='i' book='b'><?pi x?><region>R</region>"
        + ZERO.encode()
        + b"</instrument>"
        b"<vndb externalId='1'/></valuation></group></project></vnml><!-- after -->"
    )
    result = engine.value(body)
    assert result.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    before, after = etree.fromstring(body), etree.fromstring(result)
    assert without_analytics(after) == without_analytics(before)


def test_elements_of_the_analytics_that_are_no_outputs_are_left_alone(valued):
    analytics = "<previousPrice>97</previousPrice><price/><mine a='1'>x</mine>"
    outcome = valued(ZERO, analytics=analytics)
    assert outcome.element("previousPrice").text == "97"
    assert outcome.element("mine").text == "x"
    assert [e.tag for e in outcome.analytics] == [
        "evaluation",
        "previousPrice",
        "price",
        "mine",
        "calculated",
    ]


def test_valuing_a_result_again_gives_the_same_bytes(task_document):
    analytics = "<price/><yield/><delta/><cashFlows/>"
    once = engine.value(task_document(FIXED, analytics=analytics))
    assert engine.value(once) == once


def test_the_origin_of_the_numbers_is_told(valued):
    calculated = valued(ZERO).element("calculated")
    assert calculated.get("engine") == "QuantLib"
    assert calculated.get("version").startswith("1.")
    assert calculated.get("method") == "discounting"


@pytest.mark.parametrize(
    ("written", "left"),
    [
        pytest.param("<price/>", None, id="empty"),
        pytest.param("<price>12.5</price>", None, id="an old number as text"),
        pytest.param("<price><amount>12.5</amount></price>", None, id="an old number"),
        pytest.param("<price status='expired'><amount/></price>", None, id="an old status"),
        pytest.param("", None, id="not asked for"),
    ],
)
def test_the_price_is_always_filled(valued, written, left):
    outcome = valued(ZERO, analytics=written)
    assert outcome.number("price") == pytest.approx(100 * 2.718281828459045 ** (-0.04 * 2))
    price = outcome.element("price")
    assert (price.text or "").strip() == ""
    assert price.get("status") is left
    assert price.get("currency") == price.find("amount").get("currency") == "USD"


def test_an_output_without_meaning_for_the_kind_is_not_an_error(valued):
    outcome = valued(ZERO, analytics="<vega/><curve/><weightedAverageLife/>")
    for name in ("vega", "curve", "weightedAverageLife"):
        assert outcome.status(name) == "notApplicable"
        assert outcome.text(name) is None


def test_a_bare_valuation_is_a_task_too():
    body = f"""<valuation><market date="2025-09-17"><rate>0.04</rate></market>
        <analytics><price/></analytics><instrument>{ZERO}</instrument></valuation>"""
    assert b"<amount currency" in engine.value(body.encode())


def test_the_evaluation_date_of_the_analytics_goes_before_that_of_the_market(valued):
    later = valued(ZERO, date="2026-09-17", market_date="2025-09-17").number("price")
    earlier = valued(ZERO, date="", market_date="2025-09-17").number("price")
    assert later == pytest.approx(earlier * 2.718281828459045**0.04)


def test_an_instrument_without_a_kind_keeps_its_old_price(valued):
    outcome = valued("<region>R</region>", analytics="<price><amount>12.5</amount></price>")
    assert outcome.number("price") == 12.5
    assert outcome.status("price") == "notPriced"
    assert outcome.codes() == ["VNP-101"]


@pytest.mark.parametrize("position", ["", "<position>long</position>"])
def test_price_is_linear_in_quantity_and_short_is_minus_long(valued, position):
    analytics = "<price/><accruedInterest/><dv01/><cleanPrice/><cashFlows/>"
    one = valued(FIXED + position, analytics=analytics)
    many = valued(FIXED + position + "<quantity>-7.5</quantity>", analytics=analytics)
    short = valued(FIXED + "<position>short</position>", analytics=analytics)
    for name in ("price", "accruedInterest", "dv01"):
        assert many.number(name) == pytest.approx(-7.5 * one.number(name), rel=1e-13)
        assert short.number(name) == -one.number(name)
    assert many.number("cleanPrice") == one.number("cleanPrice") == short.number("cleanPrice")
    for (day, flow), (same_day, negative) in zip(one.flows(), short.flows(), strict=True):
        assert (day, flow) == (same_day, -negative)


def test_terms_inside_the_kind_win_over_those_beside_it(valued):
    inside = ZERO.replace("</zero", "<quantity>3</quantity><currency>EUR</currency></zero")
    market = "<rate>0.04</rate><rate currency='EUR'>0.02</rate>"
    outcome = valued("<quantity>5</quantity><currency>USD</currency>" + inside, market=market)
    assert outcome.element("price").get("currency") == "EUR"
    assert outcome.number("price") == pytest.approx(300 * 2.718281828459045 ** (-0.02 * 2))


# --- as a script ---------------------------------------------------------------------------------


def test_the_process_writes_the_result_and_nothing_else(engine_process, task_document):
    done = engine_process(task_document(ZERO))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == engine.value(task_document(ZERO))


def test_an_error_leaves_standard_output_empty_and_ends_with_65(engine_process, task_document):
    coupon = "<coupon><rate>0.05</rate></coupon>"
    done = engine_process(task_document(f"<fixedRateBond>{coupon}</fixedRateBond>"))
    assert done.stdout == b""
    assert done.returncode == 65
    assert done.stderr.splitlines()[-1] == (
        b"VNP-201 /vnml/project/group/valuation/instrument/fixedRateBond/maturityDate: "
        b"required element is missing"
    )


@pytest.fixture
def script():
    return str(resources.files("vnas") / "vnas.sh")


def test_the_shipped_script_runs_the_engine_in_an_empty_folder(script, task_document, tmp_path):
    (tmp_path / "QuantLib.py").write_text("raise SystemExit('the folder was on the module path')")
    done = subprocess.run(
        [script],
        input=task_document(ZERO),
        capture_output=True,
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == engine.value(task_document(ZERO))


def test_the_shipped_script_says_so_where_there_is_no_python(script, tmp_path):
    done = subprocess.run(
        ["/bin/sh", script], input=b"", capture_output=True, env={"PATH": str(tmp_path)}
    )
    assert done.returncode == 70
    assert done.stdout == b""
    assert done.stderr.startswith(b"VNP-501 ")


def test_the_shipped_script_says_so_where_there_is_no_quantlib(script, task_document, tmp_path):
    python = tmp_path / "python3"
    python.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c \'import sys; sys.modules["QuantLib"] = None;'
        " from vnas.engine.__main__ import main; sys.exit(main())'\n"
    )
    python.chmod(0o755)
    done = subprocess.run(
        [script],
        input=task_document(ZERO),
        capture_output=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.returncode == 70
    assert done.stderr.splitlines()[-1].startswith(b"VNP-501 /: the engine could not start")


def test_start_up_loads_no_heavy_library(task_document, engine_process):
    code = (
        "import sys; from vnas.engine.__main__ import main; status = main();"
        "heavy = {'numpy', 'scipy', 'pydantic', 'redis', 'asyncio'} & set(sys.modules);"
        "print(heavy, file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=task_document(ZERO),
        capture_output=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.stderr.strip() == b"set()"
