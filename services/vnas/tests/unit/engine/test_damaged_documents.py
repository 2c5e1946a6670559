"""Whatever is damaged in a task, the engine answers: finite numbers, or a fault of the document."""

import copy
import random

import pytest
from lxml import etree

from vnas import engine

TEXTS = [
    "0",
    "-1",
    "1e308",
    "-1e308",
    "1e-300",
    "NaN",
    "x",
    "2025-09-17",
    "2199-12-31",
    "1901-01-01",
    "1D",
    "200Y",
    "0D",
    "true",
    "5000",
    "0.05",
    "Once",
    "Business252",
    "OneOne",
    "Simple",
    "Compounded",
    "ActualActualISMA",
    "SOFR",
    "EURIBOR6M",
    "EUR",
    "Twentieth",
    "CDS2015",
    "zero",
    "discount",
    "forward",
    "flat",
    "bootstrap",
    "linearZero",
    "cubicZero",
    "logCubic",
    "monteCarlo",
    "finiteDifference",
    "normal",
    "lognormal",
    "blackKarasinski",
    "99999999999",
]
ATTRIBUTES = ["unit", "compounding", "frequency", "dayCount", "date", "tenor", "name", "currency"]


@pytest.fixture(scope="module")
def tasks(sample) -> list[etree._Element]:
    desk, loans, options = map(sample, ("bond-desk.xml", "home-loans.xml", "options-book.xml"))
    curves = [outcome.element("curve") for outcome in desk.run(0, desk.instruments("curves"))]
    bonds = {bond.get("name"): bond for bond in desk.instruments("bonds")}
    chosen = ["UST-2027", "STRIP-2030", "FIR-5.25-2033-CALL", "HAZEL-FRN-2028", "UKG-2035"]
    kinds = ("europeanOption", "fxOption")
    priced = [o for o in options.instruments() if any(o.find(kind) is not None for kind in kinds)]
    bodies = [
        desk.task(0, desk.instruments("curves")[0]),
        *(desk.task(1, bonds[name], curves) for name in chosen),
        *(loans.task(0, loan) for loan in loans.instruments()[:6]),
        *(options.task(0, option) for option in priced[::5]),
    ]
    return [etree.fromstring(body) for body in bodies]


def damage(root: etree._Element, dice: random.Random) -> None:
    elements = [e for e in root.iter(etree.Element) if e is not root]
    if not elements:
        return
    one = dice.choice(elements)
    parent = one.getparent()
    what = dice.random()
    if what < 0.6:
        dice.choice([e for e in elements if len(e) == 0]).text = dice.choice(["", *TEXTS])
    elif what < 0.75:
        parent.remove(one)
    elif what < 0.9:
        parent.append(copy.deepcopy(dice.choice(elements)))
    else:
        one.set(dice.choice(ATTRIBUTES), dice.choice(TEXTS))


def outcome_of(body: bytes) -> tuple[engine.EngineError | None, bytes]:
    try:
        return None, engine.value(body)
    except engine.EngineError as error:
        return error, b""


@pytest.mark.parametrize("seed", range(4))
def test_no_damage_is_the_engines_fault(tasks, seed):
    dice = random.Random(seed)
    answered = 0
    for _ in range(60):
        task = copy.deepcopy(dice.choice(tasks))
        for _ in range(dice.randint(1, 3)):
            damage(task, dice)
        error, result = outcome_of(etree.tostring(task))
        if error is not None:
            assert not error.code.startswith("VNP-5"), error.line()
            assert error.path.startswith("/")
            continue
        answered += 1
        numbers = etree.fromstring(result).itertext("amount", "node", "cashFlow")
        assert not {"nan", "inf", "-inf", "-0"} & set(numbers)
    assert answered > 10  # most damage is small: the engine must not refuse everything
