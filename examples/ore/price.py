#!/usr/bin/env python3
"""Price one trade by ORE, the Open Source Risk Engine, from its own XML carried in the task.

In comes a valuation with a ``Trade`` and the market it needs in ORE's formats (README.md beside
this file); out goes the valuation with ORE's NPV, its cash flows and its warnings in ``analytics``.
Serves both modes. Whatever ORE logs as an error fails the task, since ORE itself goes on: it gives
0 for a trade without a notional, no report at all for one it cannot build.
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from vnas.sdk import Rejected, serve

try:
    import ORE
except ImportError:
    sys.stderr.write("ORE is not installed: pip install 'vnas[ore]'\n")
    sys.exit(127)  # cannot be run: no attempt will go better

TODAYS_MARKET = "market/ore/TodaysMarket"
SETTERS = {
    "market/ore/Conventions": "setConventions",
    "market/ore/CurveConfiguration": "setCurveConfigs",
    TODAYS_MARKET: "setTodaysMarketParams",
    "model/ore/PricingEngines": "setPricingEngine",
}
"""Where ORE's documents stand in a valuation, and what takes them; all are required."""

IN_MARKET = ("Conventions", "CurveConfiguration", "TodaysMarket", "marketData", "fixings")
OPTIONS = ("configuration", "implyTodaysFixings")

CONTEXTS = ("pricing", *(f"{kind}calibration" for kind in ("lgm", "fx", "eq", "inf", "cr")))
"""What a configuration of ``TodaysMarket`` is chosen for."""

OTHER_OUTPUTS = re.findall(
    r"\w+",
    """
    accruedInterest cleanPrice dirtyPrice yield duration convexity dv01 delta gamma vega theta rho
    fairRate fairSpread fairUpfront forward fixedLeg floatingLeg payment outstandingBalance
    weightedAverageLife curve
    """,
)
"""Outputs of VNML that this script leaves empty; an old number must not pass for a new one."""

FAULTS = 1 | 2 | 4  # ORE's levels alert, critical, error
LOG_LINE = re.compile(r"(?:ALERT|CRITICAL|ERROR) +\[[^]]*\] +\([^)]*\) : (.*)")
LARGEST = 1e38  # ORE writes 3.4e38 for a number that it does not have


@dataclass(frozen=True, slots=True)
class Flow:
    """One payment as ORE reports it; a number is None where ORE gives none."""

    date: str
    amount: float | None
    currency: str
    leg: int
    kind: str
    discount: float | None


@dataclass(frozen=True, slots=True)
class Priced:
    """What ORE made of a trade; `npv` is None for one that has matured."""

    npv: float | None
    currency: str
    flows: list[Flow]
    warnings: list[str]
    version: str


def price(valuation: Any) -> Any:
    """Value the trade of a valuation and fill its ``analytics``."""
    write(valuation, run(valuation, Path.cwd()))  # the task's own directory, removed after it
    return valuation


def run(valuation: Any, folder: Path) -> Priced:
    """Hand the inputs to ORE and read its reports; only its logs are files, in `folder`.

    Raises Rejected with ORE's own words when it had anything to complain of.
    """
    inputs = ORE.InputParameters()
    inputs.setResultsPath(str(folder))
    app = ORE.OREApp(inputs, f"{folder}/run.log", FAULTS)
    app.setupLog(FAULTS, str(folder), f"{folder}/parse.log")  # before `run` sets up its own
    try:
        trade = configure(inputs, valuation)
        refuse_faults(folder)
        said = warnings(folder)  # `run` begins that file anew
        app.run(lines(valuation, "marketData"), lines(valuation, "fixings"))
        refuse_faults(folder)
        said = list(dict.fromkeys([*said, *warnings(folder)]))
        return outcome(app, trade, said, required(valuation, "market/currency"))
    except RuntimeError as err:  # what all of ORE's exceptions become
        refuse_faults(folder)
        raise Rejected(f"ORE: {err}") from err
    finally:
        app.closeLog()


# --- into ORE -------------------------------------------------------------------------------------


def configure(inputs: Any, valuation: Any) -> str:
    """Give ORE everything but quotes and fixings; returns the trade's id."""
    trade = only_trade(valuation)
    settings = valuation.find("market/ore")
    if settings is None:
        raise Rejected("market/ore is missing")
    names = [child.tag for child in settings.iterchildren(etree.Element)]
    for name in names:
        if name not in IN_MARKET or names.count(name) > 1:
            raise Rejected(f"market/ore/{name}: at most one each of {', '.join(IN_MARKET)}")
    for name in settings.attrib:
        if name not in OPTIONS:
            raise Rejected(f"market/ore/@{name}: not one of {', '.join(OPTIONS)}")
    inputs.setAsOfDate(evaluation_date(valuation))
    inputs.setBaseCurrency(required(valuation, "market/currency"))
    inputs.setContinueOnError(False)
    inputs.setBuildFailedTrades(False)  # they would be reported as worth 0
    inputs.setAllFixings(True)
    inputs.setEntireMarket(True)
    inputs.setImplyTodaysFixings(truth(settings, "implyTodaysFixings"))
    for path, setter in SETTERS.items():
        getattr(inputs, setter)(document(only(valuation, path)))
    configuration = chosen_configuration(valuation, settings)
    for context in CONTEXTS:
        inputs.setMarketConfig(configuration, context)
    inputs.setPortfolio(f"<Portfolio>{document(trade)}</Portfolio>")
    inputs.setAnalytics("NPV,CASHFLOW")
    return str(trade.get("id"))


def only_trade(valuation: Any) -> Any:
    """Find the one trade of the instrument."""
    for name in ("quantity", "position"):
        if valuation.find(f"instrument/{name}") is not None:
            raise Rejected(f"instrument/{name}: an ORE trade has its own notional and side")
    trades = [*valuation.iterfind("instrument/ore/Trade")]
    trades += valuation.iterfind("instrument/ore/Portfolio/Trade")
    if len(trades) != 1 or not trades[0].get("id"):
        raise Rejected(f"instrument/ore: one Trade with an id is needed, {len(trades)} found")
    return trades[0]


def chosen_configuration(valuation: Any, settings: Any) -> str:
    """Give the name of the configuration to price with; ORE falls back silently if it is none."""
    name = str(settings.get("configuration", "default"))
    there = [item.get("id") for item in valuation.iterfind(f"{TODAYS_MARKET}/Configuration")]
    if name not in {"default", *there}:
        raise Rejected(f"{TODAYS_MARKET}: there is no Configuration {name!r}")
    return name


def lines(valuation: Any, name: str) -> Any:
    """Give the lines ``date name value`` of a text, without comments.

    Raises Rejected when one is there twice: ORE would take the first of them.
    """
    found: dict[tuple[str, ...], str] = {}
    for line in (valuation.findtext(f"market/ore/{name}") or "").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 3:
            raise Rejected(f"market/ore/{name}: not a date, a name and a value: {line.strip()!r}")
        if tuple(words[:2]) in found:
            raise Rejected(f"market/ore/{name}: {words[1]} of {words[0]} is there twice")
        found[words[0], words[1]] = " ".join(words)
    return ORE.StrVector(list(found.values()))


def evaluation_date(valuation: Any) -> str:
    """Give the date that VNML prices at."""
    date = valuation.findtext("analytics/evaluation/date") or valuation.find("market").get("date")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", (date or "").strip()):
        raise Rejected(f"analytics/evaluation/date: not a date: {date!r}")
    return str(date).strip()


def truth(element: Any, name: str) -> bool:
    """Read an attribute that is true or false, false where it is missing."""
    text = element.get(name, "false")
    if text not in {"true", "false"}:
        raise Rejected(f"{element.tag}/@{name}: neither true nor false: {text!r}")
    return bool(text == "true")


def only(valuation: Any, path: str) -> Any:
    """Find the one element at a path."""
    found = valuation.findall(path)
    if len(found) != 1:
        raise Rejected(f"{path}: one is needed, {len(found)} found")
    return found[0]


def required(valuation: Any, path: str) -> str:
    """Give the text at a path, which must be there."""
    text = (only(valuation, path).text or "").strip()
    if not text:
        raise Rejected(f"{path} is empty")
    return text


def document(element: Any) -> str:
    """Write an element as a document of its own, as ORE takes it."""
    return str(etree.tostring(element, encoding="unicode", with_tail=False))


# --- out of ORE -----------------------------------------------------------------------------------


def outcome(app: Any, trade: str, said: list[str], base_currency: str) -> Priced:
    """Read the reports on the one trade that was priced."""
    report = Table(app.getReport("npv"))
    if not report.rows and any("matured" in text.lower() for text in said):
        return Priced(None, base_currency, [], said, app.version())
    if report.texts("TradeId") != [trade]:
        raise Rejected(f"ORE reports no NPV of the trade {trade}")
    [npv] = report.numbers("NPV")
    if npv is None:
        raise Rejected(f"ORE could not value the trade {trade}")
    [currency] = report.texts("NpvCurrency")
    return Priced(npv, currency, flows(app), said, app.version())


def flows(app: Any) -> list[Flow]:
    """Read the flows, in the order of their dates."""
    report = Table(app.getReport("cashflow"))
    found = [
        Flow(*cells)
        for cells in zip(
            report.dates("PayDate"),
            report.numbers("Amount"),
            report.texts("Currency"),
            report.wholes("LegNo"),
            report.texts("FlowType"),
            report.numbers("DiscountFactor"),
            strict=True,
        )
    ]
    for flow in found:
        if flow.amount is None:
            raise Rejected(f"ORE gives no amount for the flow of {flow.date}")
    return sorted(found, key=lambda flow: (flow.date, flow.leg))


class Table:
    """A report of ORE's, by columns; asking for one cell by a wrong type would end the process."""

    def __init__(self, report: Any) -> None:
        self._report = report
        self._columns = {report.header(index): index for index in range(report.columns())}
        self.rows = report.rows()

    def texts(self, column: str) -> list[str]:
        """Give a column of texts."""
        return list(self._report.dataAsString(self._columns[column])) if self.rows else []

    def wholes(self, column: str) -> list[int]:
        """Give a column of whole numbers."""
        return list(self._report.dataAsSize(self._columns[column])) if self.rows else []

    def dates(self, column: str) -> list[str]:
        """Give a column of dates."""
        found = self._report.dataAsDate(self._columns[column]) if self.rows else ()
        return [date.ISO() for date in found]

    def numbers(self, column: str) -> list[float | None]:
        """Give a column of numbers, None where ORE has none."""
        found = self._report.dataAsReal(self._columns[column]) if self.rows else ()
        return [n if math.isfinite(n) and abs(n) < LARGEST else None for n in found]


def refuse_faults(folder: Path) -> None:
    """Raise Rejected with the first thing that ORE logged as a fault; all go to stderr."""
    found = list(dict.fromkeys([*faults(folder / "parse.log"), *faults(folder / "run.log")]))
    if found:
        sys.stderr.write("".join(f"ORE: {fault}\n" for fault in found))
        raise Rejected(f"ORE: {found[0]}")


def faults(log: Path) -> Iterator[str]:
    """Give what a log of ORE's complains of."""
    for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
        found = LOG_LINE.fullmatch(line)
        yield message(found[1]) if found else line


def warnings(folder: Path) -> list[str]:
    """Give what ORE warns of."""
    found = []
    for log in sorted(folder.glob("*structured*.json")):
        found += [message(line) for line in log.read_text(errors="replace").splitlines()]
    return found


def message(logged: str) -> str:
    """Take the sentence out of a structured message; other lines stay."""
    try:
        return str(json.loads(logged.removeprefix("StructuredMessage "))["message"]).strip()
    except (ValueError, TypeError, KeyError):
        return logged.strip()


# --- into the valuation ---------------------------------------------------------------------------


def write(valuation: Any, priced: Priced) -> None:
    """Put the numbers where VNML has them (docs/VNML-PRICING.md §7)."""
    analytics = valuation.find("analytics")
    if analytics is None:
        analytics = etree.SubElement(valuation, "analytics")
    if analytics.find("price") is None:
        etree.SubElement(analytics, "price")
    for output in analytics.iterchildren("price"):
        fill(output, repr(priced.npv + 0.0) if priced.npv is not None else "0", priced)
        output.set("currency", priced.currency)
    for output in analytics.iterchildren("cashFlows"):
        fill_flows(output, priced)
    for output in analytics.iterchildren(*OTHER_OUTPUTS):
        fill(output, None, priced)
    for old in analytics.findall("message[@code='ORE']"):
        analytics.remove(old)
    for text in priced.warnings:
        etree.SubElement(analytics, "message", code="ORE", severity="warning").text = text
    calculated = analytics.find("calculated")
    if calculated is None:
        calculated = etree.SubElement(analytics, "calculated")
    calculated.attrib.clear()
    calculated.set("engine", "ORE")
    calculated.set("version", priced.version)


def fill(output: Any, number: str | None, priced: Priced) -> None:
    """Replace the content of an output by one amount; None: this script does not compute it."""
    status = "expired" if priced.npv is None else "notApplicable" if number is None else None
    empty(output, status)
    etree.SubElement(output, "amount").text = number


def fill_flows(output: Any, priced: Priced) -> None:
    """Replace the content of ``cashFlows``."""
    empty(output, "expired" if priced.npv is None else None)
    for flow in priced.flows:
        child = etree.SubElement(output, "cashFlow", date=flow.date, currency=flow.currency)
        child.set("leg", str(flow.leg))
        child.set("type", flow.kind)
        if flow.discount is not None:
            child.set("discount", repr(flow.discount))
        child.text = repr(flow.amount)


def empty(output: Any, status: str | None) -> None:
    """Take the old content and status out of an output."""
    for child in list(output):
        output.remove(child)
    output.text = None
    output.attrib.pop("status", None)
    if status is not None:
        output.set("status", status)


if __name__ == "__main__":
    serve(price)
