"""A readable table of a response: what `vn run --table` prints.

Takes the response XML of our own server; knows the pricing vocabulary only as far as a reader's eye
needs it (prices, sensitivities, curves, totals), and shows what it does not know by name alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vnclient.errors import VnClientError

_NOT_APPLICABLE = "–"  # an output that the kind does not have

_OUTPUTS = {  # element of analytics -> (heading, digits, factor); in the order of the columns
    "price": ("price", 2, 1),
    "accruedInterest": ("accrued", 2, 1),
    "cleanPrice": ("clean", 4, 1),
    "dirtyPrice": ("dirty", 4, 1),
    "yield": ("yield %", 4, 100),
    "duration": ("duration", 4, 1),
    "convexity": ("convexity", 4, 1),
    "dv01": ("dv01", 2, 1),
    "fairRate": ("fair rate %", 4, 100),
    "payment": ("payment", 2, 1),
    "outstandingBalance": ("outstanding", 2, 1),
    "delta": ("delta", 4, 1),
    "gamma": ("gamma", 6, 1),
    "vega": ("vega", 4, 1),
    "theta": ("theta", 4, 1),
    "rho": ("rho", 4, 1),
}


@dataclass(frozen=True, slots=True)
class _Row:
    """One valuation as text; `cells` by element name."""

    instrument: str
    currency: str
    cells: dict[str, str]
    note: str = ""


def results_table(response: bytes) -> RenderableType:
    """Lay a response out, one table per group of priced instruments, a line per curve.

    Raises VnClientError when the response is not VNML.
    """
    root = _parse(response)
    groups = root.findall("project/group")
    if root.tag != "vnml" or not groups:
        raise VnClientError("the response holds no group of results")
    parts: list[RenderableType] = []
    for group in groups:
        parts.extend(_group(group))
    return Group(*parts)


def _parse(response: bytes) -> etree._Element:
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        collect_ids=False,
    )
    try:
        return etree.fromstring(response, parser)
    except etree.XMLSyntaxError as err:
        raise VnClientError(f"the response is not XML: {err}") from err


def _group(group: etree._Element) -> Iterable[RenderableType]:
    valuations = group.findall("valuation")
    named = group.get("name") or "(without a name)"
    yield Text(
        f"\n{named}: {len(valuations)} valuation{'' if len(valuations) == 1 else 's'}", "bold"
    )
    rows: list[_Row] = []
    for valuation in valuations:
        if valuation.find("analytics/curve/node") is not None:
            yield _curve(valuation)
        elif (totals := _totals(valuation)) is not None:
            yield from totals
        else:
            rows.append(_row(valuation))
    if rows:
        yield _priced(rows)


def _row(valuation: etree._Element) -> _Row:
    failure = valuation.find("failure")
    if failure is not None:
        attempts = failure.get("attempts")
        tried = f" after {attempts} attempts" if attempts not in {None, "0", "1"} else ""
        said = " ".join((failure.text or "").split())
        return _Row(_instrument(valuation), "", {}, f"{failure.get('code')}{tried}: {said}")
    cells = {
        name: shown
        for name in _OUTPUTS
        if (output := valuation.find(f"analytics/{name}")) is not None
        and (shown := _output(name, output))
    }
    messages = valuation.findall("analytics/message")
    return _Row(
        _instrument(valuation),
        _currency(valuation),
        cells,
        ", ".join(sorted({message.get("code") or "" for message in messages} - {""})),
    )


def _priced(rows: list[_Row]) -> Table:
    columns = [name for name in _OUTPUTS if any(name in row.cells for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("instrument", no_wrap=True)
    table.add_column("ccy", no_wrap=True)
    for name in columns:
        table.add_column(_OUTPUTS[name][0], justify="right", no_wrap=True)
    with_notes = any(row.note for row in rows)
    if with_notes:
        table.add_column("remarks")
    for row in rows:
        cells = [row.instrument, row.currency, *(row.cells.get(name, "") for name in columns)]
        table.add_row(*map(Text, [*cells, row.note] if with_notes else cells))
    return table


def _curve(valuation: etree._Element) -> Text:
    curve = valuation.find("analytics/curve")
    assert curve is not None
    nodes = curve.findall("node")
    last = nodes[-1]
    zero = _number(last.get("zero"))
    rate = "" if zero is None else f", zero rate at the end {zero * 100:.4f} %"
    kind = (curve.findtext("type") or "").strip()
    return Text(
        f"curve {curve.get('name') or _instrument(valuation)} {curve.get('currency') or ''}: "
        f"{len(nodes)} {kind} nodes, {nodes[0].get('date')} to {last.get('date')}{rate}"
    )


def _totals(valuation: etree._Element) -> list[RenderableType] | None:
    total = valuation.find(".//aggregate/total")
    if total is None:
        return None
    aggregate = total.getparent()
    assert aggregate is not None
    currency = total.get("currency") or ""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("by", "key"):
        table.add_column(heading, no_wrap=True)
    for heading in ("count", "amount", f"amount {currency}", f"dv01 {currency}"):
        table.add_column(heading, justify="right", no_wrap=True)
    for part in (total, *aggregate.findall("subtotal")):
        is_total = part.tag == "total"
        own = "" if is_total else _money(part.findtext("amount"))
        key = part.get("key") or ""
        table.add_row(
            Text("total" if is_total else part.get("by") or ""),
            Text(_instrument(valuation) if is_total else key),
            Text(part.get("count") or ""),
            Text(f"{own} {key}" if own and part.get("by") == "currency" else own),
            Text(_money(part.findtext("amount" if is_total else "baseAmount"))),
            Text(_money(part.findtext("dv01"))),
            style="bold" if is_total else None,
        )
    unpriced = total.get("notPriced") or "0"
    said: list[RenderableType] = [table]
    if unpriced != "0":
        said.append(Text(f"{unpriced} of {total.get('count')} not priced and left out", "yellow"))
    return said


def _output(name: str, output: etree._Element) -> str:
    status = output.get("status")
    number = _number(output.findtext("amount"))
    if number is None:
        return _NOT_APPLICABLE if status == "notApplicable" else status or ""
    _, digits, factor = _OUTPUTS[name]
    shown = f"{number * factor:,.{digits}f}"
    return shown if status in {None, "", "ok"} else f"{shown} ({status})"


def _instrument(valuation: etree._Element) -> str:
    instrument = valuation.find("instrument")
    name = None if instrument is None else instrument.get("name")
    return name or valuation.get("name") or "-"


def _currency(valuation: etree._Element) -> str:
    price = valuation.find("analytics/price")
    if price is not None:
        told = price.get("currency") or price.findtext("currency")
        amount = price.find("amount")
        told = told or (None if amount is None else amount.get("currency"))
        if told:
            return told.strip()
    return (valuation.findtext("market/currency") or "").strip()


def _money(text: str | None) -> str:
    number = _number(text)
    return "" if number is None else f"{number:,.2f}"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text and text.strip() else None
    except ValueError:
        return None
