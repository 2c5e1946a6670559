"""What is sent: requests for VN, and the very task documents that VN makes of them for the others.

All invented; the same numbers give the same request. Called by `cells`; the benchmark `hydration`
has the same instruments.
"""

from dataclasses import dataclass

from benchmarks._hydrating import task_documents

_TENORS = (
    *(
        "1D",
        "1W",
        "2W",
        "1M",
        "2M",
        "3M",
        "4M",
        "5M",
        "6M",
        "7M",
        "8M",
        "9M",
        "1Y",
        "15M",
        "18M",
        "2Y",
    ),
    *(
        "3Y",
        "4Y",
        "5Y",
        "6Y",
        "7Y",
        "8Y",
        "9Y",
        "10Y",
        "11Y",
        "12Y",
        "15Y",
        "20Y",
        "25Y",
        "30Y",
        "35Y",
        "40Y",
        "50Y",
    ),
)
_COUPONS = 4


@dataclass(frozen=True, slots=True)
class Request:
    """One request: groups of tasks, one group after the other."""

    document: bytes  # for VN
    groups: tuple[tuple[bytes, ...], ...]  # task documents, for the others

    @property
    def tasks(self) -> int:
        """How many tasks it has in all."""
        return sum(map(len, self.groups))


def make_request(groups: int, tasks: int, number: int = 0) -> Request:
    """Make a request of so many groups of so many tasks; another `number` gives other contents."""
    document = _document(groups, tasks, number)
    return Request(document, task_documents(document, groups))


def _document(groups: int, tasks: int, number: int) -> bytes:
    """One market for all, one portfolio and one valuation for each group."""
    portfolios = "".join(
        f"<portfolio name='p{group}'>"
        + "".join(instrument(number, group, task) for task in range(tasks))
        + "</portfolio>"
        for group in range(groups)
    )
    valuations = "".join(
        f"""<group name="g{group}"><valuation name="v{group}"
          use="vn:link(/vnml/project/portfolio[@name='p{group}'], instrument)">
          <market select="/vnml/project/market"/><instrument select="."/></valuation></group>"""
        for group in range(groups)
    )
    project = f"<project name='pipeline'>{_market()}{portfolios}{valuations}</project>"
    return f"<vnml>{project}</vnml>".encode()


def _market() -> str:
    """About 1.6 KB."""
    nodes = "".join(
        f'<node tenor="{tenor}"><rate>{0.031 + n * 0.00037:.5f}</rate></node>'
        for n, tenor in enumerate(_TENORS)
    )
    return (
        '<market name="EOD" date="2025-11-25"><currency>USD</currency><curve name="USD" '
        f'currency="USD"><type>zero</type><interpolation>linearZero</interpolation>{nodes}</curve>'
        "</market>"
    )


def instrument(number: int, group: int, task: int) -> str:
    """About 0.7 KB, and no two alike."""
    amount = 1_000 + task
    coupons = "".join(
        f"<flow><date>20{26 + n}-0{1 + task % 9}-15</date><amount>{amount * 0.0125:.4f}</amount>"
        f"<currency>USD</currency><type>coupon</type></flow>"
        for n in range(_COUPONS)
    )
    return (
        f'<instrument name="B-{number}-{group}-{task}"><quantity>{1 + task % 97}</quantity>'
        f"<fixedRateBond><faceAmount>{amount}</faceAmount><issueDate>2024-01-15</issueDate>"
        f"<maturityDate>2029-0{1 + task % 9}-15</maturityDate><coupon><rate>0.0{400 + task % 99}"
        f"</rate><frequency>Annual</frequency></coupon><flows>{coupons}</flows></fixedRateBond>"
        "</instrument>"
    )
