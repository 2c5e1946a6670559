"""The five books: requests of one portfolio and one group each, whose terms vary from task to task.

All invented. Called by the benchmark with a number of tasks; the same number gives the same book.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

_EVALUATION = date(2025, 9, 17)
_SEED = 17

_BOND_MARKET = """<market name="EOD" date="2025-09-17"><currency>USD</currency>
  <curve name="USD" currency="USD"><type>zero</type><interpolation>linearZero</interpolation>
    <node tenor="3M">0.0405</node><node tenor="1Y">0.0362</node><node tenor="2Y">0.0341</node>
    <node tenor="5Y">0.0348</node><node tenor="10Y">0.0374</node><node tenor="20Y">0.0398</node>
    <node tenor="30Y">0.0391</node>
  </curve></market>"""
_OPTION_MARKET = """<market name="EOD" date="2025-09-17"><currency>USD</currency><rate>0.0395</rate>
  <underlying name="ABC" currency="USD"><spot>100</spot><dividendYield>0.012</dividendYield>
    <volatility type="implied">0.24</volatility></underlying></market>"""


@dataclass(frozen=True, slots=True)
class Book:
    """One kind of instrument, priced by one method."""

    name: str
    market: str
    instrument: Callable[[random.Random], str]
    calculator: str = ""
    model: str = ""
    share: float = 1.0  # of the number of tasks that is asked for: long ones take long enough

    def size(self, tasks: int) -> int:
        """Give how many tasks of this book are measured when so many are asked for."""
        return max(1, round(tasks * self.share))

    def document(self, tasks: int) -> bytes:
        """Make the request."""
        chance = random.Random(_SEED)
        instruments = "".join(
            f"<instrument name='{self.name} {n}'>{self.instrument(chance)}</instrument>"
            for n in range(1, tasks + 1)
        )
        shared = f"{self.market}{self.model}{self.calculator}"
        selected = "".join(
            f"<{name} select='/vnml/project/{name}[1]'/>"
            for name, used in (
                ("market", self.market),
                ("model", self.model),
                ("calculator", self.calculator),
            )
            if used
        )
        return f"""<vnml><project name="pricing">{shared}
          <portfolio>{instruments}</portfolio>
          <group name="prices">
            <valuation name="price" use="vn:link(/vnml/project/portfolio, instrument)">
              {selected}
              <analytics><price><amount/></price></analytics>
              <instrument select="."/>
            </valuation>
          </group></project></vnml>""".encode()


def _bond(chance: random.Random) -> str:
    return f"""<quantity>{chance.randrange(1, 500)}</quantity><fixedRateBond>
      <faceAmount>1000</faceAmount>{_bond_terms(chance)}</fixedRateBond>"""


def _callable_bond(chance: random.Random) -> str:
    terms = _bond_terms(chance, shortest=8, longest=12)  # callable on every coupon date
    return f"""<quantity>{chance.randrange(1, 500)}</quantity><cancellableBond>
      <faceAmount>1000</faceAmount>{terms}</cancellableBond>"""


def _bond_terms(chance: random.Random, shortest: int = 2, longest: int = 15) -> str:
    """Issued in the last two years, for whole years, so that no two bonds share their dates."""
    issue = _EVALUATION - timedelta(days=chance.randrange(1, 730))
    years = chance.randrange(shortest, longest + 1)
    day = min(issue.day, 28)
    frequency = chance.choice(("Annual", "Semiannual"))
    return f"""<issueDate>{issue.replace(day=day)}</issueDate>
      <maturityDate>{issue.replace(year=issue.year + years, day=day)}</maturityDate>
      <coupon><rate>{chance.randrange(100, 700) / 1e4:.4f}</rate>
      <frequency>{frequency}</frequency></coupon>"""


def _option(kind: str) -> Callable[[random.Random], str]:
    def option(chance: random.Random) -> str:
        expiry = _EVALUATION + timedelta(days=chance.randrange(30, 1095))
        return f"""<quantity>{chance.randrange(1, 500)}</quantity><{kind}>
          <underlying>ABC</underlying><type>{chance.choice(("call", "put"))}</type>
          <strike>{chance.randrange(600, 1500) / 10}</strike>
          <expiryDate>{expiry}</expiryDate><contractSize>100</contractSize></{kind}>"""

    return option


BOOKS = (
    Book("bonds", _BOND_MARKET, _bond),
    Book("options", _OPTION_MARKET, _option("europeanOption")),
    Book(
        "callable bonds",
        _BOND_MARKET,
        _callable_bond,
        calculator="<calculator><method>tree</method><timeSteps>210</timeSteps></calculator>",
        model="""<model><process>hullWhite</process>
          <volatility><hjm><factor><term><sigma>0.009</sigma><beta>0.03</beta></term></factor></hjm>
          </volatility></model>""",
    ),
    Book(
        "American options",
        _OPTION_MARKET,
        _option("americanOption"),
        calculator="""<calculator><method>finiteDifference</method>
          <timeSteps>700</timeSteps><gridPoints>1000</gridPoints></calculator>""",
    ),
    Book(
        "American options, fine",
        _OPTION_MARKET,
        _option("americanOption"),
        calculator="""<calculator><method>finiteDifference</method>
          <timeSteps>1400</timeSteps><gridPoints>1600</gridPoints></calculator>""",
        share=0.25,
    ),
)
