"""One task from bytes to bytes: read, value, write.

`value_document` is the table of contents of the engine. The order in which it looks is the order
in which faults are told: well-formedness, evaluation date, instrument kind, the kind's elements,
the market, the numbers.
"""

from dataclasses import dataclass

import QuantLib as ql
from lxml import etree

from vnas.engine import calculator, kinds, model, outputs, position, values
from vnas.engine.calculator import Calculator
from vnas.engine.errors import EngineError, quantlib_code, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.market import Market
from vnas.engine.market_elements import DEFAULT_CURRENCY
from vnas.engine.model import Model
from vnas.engine.position import Position
from vnas.engine.values import Date, Leaf, attribute_of, leaf_of, path_of
from vncore import xml
from vncore.errors import MalformedDocument

# A task may hold a group's results (aggregate): what was accepted at the door, many times over.
_LIMITS = xml.XmlLimits(
    max_bytes=512 * 1024 * 1024, max_tags=20_000_000, max_namespaces=1_000_000, max_depth=255
)
_ONCE = ("market", "model", "calculator", "analytics", "instrument")


@dataclass(slots=True)
class Task:
    """One valuation with everything read that is not particular to its kind."""

    evaluation: Date
    kind: str  # name of the kind element
    fields: Fields  # its children
    market: Market
    model: Model
    calculator: Calculator
    position: Position
    faults: Faults
    settings_faults: Faults  # of model and calculator

    def check(self) -> None:
        """Raise the first fault of the kind's elements, then of model and calculator.

        A kind calls it when it has asked for all its elements, before it turns to the market.
        """
        self.fields.finish()
        self.faults.raise_first()
        self.settings_faults.raise_first()

    @property
    def currency(self) -> str:
        """The currency of the position, by default the market's."""
        return self.position.currency or self.market.currency

    @property
    def currency_for_defaults(self) -> str:
        """The same while elements are read; a fault of the market is told in its turn."""
        try:
            return self.currency
        except EngineError:
            return DEFAULT_CURRENCY

    def ignore_quote(self) -> None:
        """Warn (VNP-105) of a quote that this kind does not take."""
        if self.position.quote is not None:
            self.faults.warn("VNP-105", f"the quote is not used by {self.kind}")

    @property
    def path(self) -> str:
        """XPath of the kind element."""
        return self.fields.path


def value_document(document: bytes) -> bytes:
    """Value the task in a document and give the document with its analytics filled.

    Raises EngineError; nothing of the task is left in QuantLib's globals that the next one sees.
    """
    try:
        return _valued(document)
    except EngineError:
        raise
    except Exception as err:
        sentence = f"the engine failed: {type(err).__name__}: {err}"
        raise EngineError("VNP-500", "/", sentence) from err


def _valued(document: bytes) -> bytes:
    root = _parsed(document)
    valuation = _valuation(root)
    path = path_of(valuation)
    parts = _parts(valuation)
    evaluation = _evaluation_date(parts, path)
    analytics = parts["analytics"]
    if analytics is None:
        raise EngineError("VNP-201", f"{path}/analytics", "required element is missing")
    faults = Faults(strict=calculator.is_strict(parts["calculator"]))
    instrument = parts["instrument"]
    if instrument is None:
        raise EngineError("VNP-201", f"{path}/instrument", "required element is missing")
    element = _kind(instrument)
    if element is None:
        _without_kind(instrument, analytics, faults)
        return xml.serialise(root)
    _reset(evaluation)
    task = _task(parts, element, evaluation, faults)
    try:
        priced = kinds.find(task.kind)(task)
        if outputs.is_expired(priced):
            _expired(task)
        outputs.write(analytics, priced, faults)
    except RuntimeError as err:
        code = quantlib_code(err, "VNP-402")
        raise EngineError(code, path_of(element), f"QuantLib: {err}") from err
    except (ArithmeticError, ValueError) as err:
        raise EngineError("VNP-403", path_of(element), f"the result is not finite: {err}") from err
    return xml.serialise(root)


def _parsed(document: bytes) -> etree._Element:
    try:
        return xml.parse(document, limits=_LIMITS, what="task")
    except MalformedDocument as err:
        raise EngineError("VNP-210", "/", err.message) from err


def _valuation(root: etree._Element) -> etree._Element:
    """Find the one valuation: the root itself, or vnml/project/group/valuation."""
    if root.tag == "valuation":
        return root
    if root.tag != "vnml":
        sentence = f"the root is {quoted(str(root.tag))}, not vnml or valuation"
        raise EngineError("VNP-210", path_of(root), sentence)
    found = root.findall("project/group/valuation")
    if len(found) != 1:
        sentence = f"the task has {len(found)} valuations in project/group, not one"
        raise EngineError("VNP-210", path_of(root), sentence)
    return found[0]


def _parts(valuation: etree._Element) -> dict[str, etree._Element | None]:
    parts: dict[str, etree._Element | None] = {}
    for name in _ONCE:
        found = list(valuation.iterchildren(name))
        if len(found) > 1:
            sentence = f"the valuation has more than one {name}"
            raise EngineError("VNP-210", path_of(found[1]), sentence)
        parts[name] = found[0] if found else None
    return parts


def _evaluation_date(parts: dict[str, etree._Element | None], path: str) -> Date:
    analytics, market = parts["analytics"], parts["market"]
    leaf: Leaf | None = None
    if analytics is not None:
        date = analytics.find("evaluation/date")
        leaf = None if date is None else leaf_of(date)
    if leaf is None and market is not None:
        leaf = attribute_of(market, "date")
    if leaf is not None:
        return values.date(leaf)
    sentence = "no evaluation date, here or in the date of the market"
    raise EngineError("VNP-202", f"{path}/analytics/evaluation/date", sentence)


def _kind(instrument: etree._Element) -> etree._Element | None:
    """Find the kind element; None when the instrument names no kind."""
    found = [e for e in instrument.iterchildren(etree.Element) if e.tag in kinds.VOCABULARY]
    if len(found) > 1:
        sentence = f"{found[0].tag} and {found[1].tag}: an instrument has one kind"
        raise EngineError("VNP-209", path_of(found[1]), sentence)
    return found[0] if found else None


def _without_kind(instrument: etree._Element, analytics: etree._Element, faults: Faults) -> None:
    sentence = "the instrument names no kind and was not priced"
    if faults.strict:
        raise EngineError("VNP-212", path_of(instrument), sentence)
    faults.warn("VNP-101", sentence)
    outputs.not_priced(analytics, faults)


def _reset(evaluation: Date) -> None:
    """Set everything that is global in QuantLib, so that no task sees the one before."""
    settings = ql.Settings.instance()
    settings.evaluationDate = evaluation
    settings.includeReferenceDateEvents = False  # flows on the evaluation date are past
    settings.includeTodaysCashFlows = None
    settings.enforcesTodaysHistoricFixings = False
    ql.IndexManager.instance().clearHistories()


def _task(
    parts: dict[str, etree._Element | None],
    element: etree._Element,
    evaluation: Date,
    faults: Faults,
) -> Task:
    settings_faults = Faults()
    settings_faults.warnings = faults.warnings
    calculator_read = calculator.read(parts["calculator"], settings_faults)
    if calculator_read.par_coupons:
        ql.IborCoupon.createAtParCoupons()
    else:
        ql.IborCoupon.createIndexedCoupons()
    fields = Fields(element, faults)
    fields.allow(*position.NAMES, "volatilityName")
    instrument = element.getparent()
    valuation = None if instrument is None else instrument.getparent()
    assert instrument is not None
    assert valuation is not None
    return Task(
        evaluation=evaluation,
        kind=str(element.tag),
        fields=fields,
        market=Market(parts["market"], f"{path_of(valuation)}/market", evaluation, faults),
        model=model.read(parts["model"], settings_faults),
        calculator=calculator_read,
        position=position.read(fields, Fields(instrument, faults)),
        faults=faults,
        settings_faults=settings_faults,
    )


def _expired(task: Task) -> None:
    sentence = "the instrument has expired or matured: its value is 0"
    if task.faults.strict:
        raise EngineError("VNP-302", task.path, sentence)
    task.faults.warn("VNP-107", sentence)
