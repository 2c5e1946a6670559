"""Whether a server keeps the promises of DESIGN §5: 2, 4, 5, 6 and 9, looked at while it works.

Reads every key and stream of one cell, and changes nothing. `survey` is the way in.
"""

from vncore.fsck.survey import check
from vncore.fsck.violations import Fault, Report, Violation

__all__ = ["Fault", "Report", "Violation", "check"]
