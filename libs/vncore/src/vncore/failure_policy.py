"""What the failure of a task means for its request: the `onFailure` of a group (DESIGN §8).

In comes the text of an attribute or parameter; out goes a policy that says how many of a group's
tasks may fail. Read by vnapi (to refuse what is none) and by vnvs.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

_SPELLINGS = "stop, continue, tolerate:N or tolerate:P%"
_TOLERATE = re.compile(r"tolerate:(?:(\d{1,9})|(\d{1,3}(?:\.\d{1,6})?)%)", re.ASCII)
_WHOLE = 100  # percent


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """How many tasks of a group may fail before the request does.

    >>> FailurePolicy.parse("tolerate:10%").allowed(25)
    2
    """

    text: str = "stop"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a policy; white space around it does not count.

        Raises ValueError that says what was found and what is allowed.
        """
        stripped = text.strip()
        found = _TOLERATE.fullmatch(stripped)
        in_range = found is not None and Fraction(found[2] or 0) <= _WHOLE
        if stripped not in {"stop", "continue"} and not in_range:
            raise ValueError(f"{stripped[:80]!r} is no failure policy: {_SPELLINGS}, P at most 100")
        return cls(stripped)

    def allowed(self, expected: int) -> int:
        """Give how many of `expected` tasks may fail; a share is rounded down."""
        found = _TOLERATE.fullmatch(self.text)
        if found is None:
            return expected if self.text == "continue" else 0
        if found[1]:
            return min(int(found[1]), expected)
        return int(expected * Fraction(found[2]) / _WHOLE)

    @property
    def tolerates(self) -> bool:
        """Whether a task may fail at all without ending its request."""
        return self.text != "stop"

    def __str__(self) -> str:
        return self.text


STOP = FailurePolicy()
"""What holds where nothing is said: the first failed task ends the request."""
