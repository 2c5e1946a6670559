"""A response document as the suite reads it: what stands in each task's place. Pure."""

from dataclasses import dataclass

from lxml import etree

from .plan import Place


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in one task's place."""

    name: str
    face: str
    task_number: str  # as our vndb says
    amount: str = ""
    nonce: str = ""
    failure_code: str = ""  # empty: it is a result
    failure_attempts: str = ""
    seen: tuple[tuple[Place, str], ...] = ()  # earlier tasks, and the nonces that were selected


@dataclass(frozen=True, slots=True)
class Response:
    """A response: groups in order, their tasks in order."""

    expected: str
    failed: str
    groups: tuple[tuple[Standing, ...], ...]

    def nonces(self) -> dict[Place, str]:
        """Give the nonce of each result."""
        return {
            (index, number): standing.nonce
            for index, group in enumerate(self.groups)
            for number, standing in enumerate(group, start=1)
            if not standing.failure_code
        }


def read_response(body: bytes) -> Response:
    """Read a response; raises etree.XMLSyntaxError, or ValueError when it has no project."""
    project = etree.fromstring(body).find("project")
    if project is None:
        raise ValueError("no project")
    return Response(
        expected=project.get("expected", ""),
        failed=project.get("failed", ""),
        groups=tuple(
            tuple(_standing(valuation) for valuation in group.findall("valuation"))
            for group in project.findall("group")
        ),
    )


def _standing(valuation: etree._Element) -> Standing:
    failure = valuation.find("failure")
    ours = valuation.findall("vndb")
    return Standing(
        name=valuation.get("name", ""),
        face=valuation.findtext("face", ""),
        task_number=ours[-1].get("externalId", "") if ours else "",
        amount=valuation.findtext("analytics/amount", ""),
        nonce=valuation.findtext("analytics/nonce", ""),
        failure_code="" if failure is None else failure.get("code", "?"),
        failure_attempts="" if failure is None else failure.get("attempts", ""),
        seen=tuple(
            (_place(seen.get("at", "-1-0")), seen.text or "") for seen in valuation.findall("seen")
        ),
    )


def _place(text: str) -> Place:
    group, number = text.rsplit("-", 1)
    return int(group), int(number)
