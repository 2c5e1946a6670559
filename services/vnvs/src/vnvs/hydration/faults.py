"""The faults that a check collects instead of stopping at the first (VNML §9).

Filled by both passes; handed out by `check`.
"""

from dataclasses import dataclass, field

from vncore.errors import HydrationFailed


@dataclass(slots=True)
class Faults:
    """What a check found so far."""

    limit: int
    found: list[HydrationFailed] = field(default_factory=list)
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def add(self, fault: HydrationFailed) -> None:
        """Keep a fault, each once. Raises CheckStopped when there are too many."""
        place = fault.place
        key = (fault.code, place.element, place.expression, place.task, place.uri, fault.message)
        if key in self._seen:
            return
        self._seen.add(key)
        if len(self.found) >= self.limit:
            self.found.append(
                HydrationFailed(
                    "HYDRATION_TOO_MANY_FAULTS", f"only the first {self.limit} faults are listed"
                )
            )
            raise CheckStopped
        self.found.append(fault)


class CheckStopped(Exception):
    """Raised when a check has listed as many faults as it may."""
