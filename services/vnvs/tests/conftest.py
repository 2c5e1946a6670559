"""What the tests of vnvs share."""

import sys
from pathlib import Path

# Hydration children import functions by name, from the parent's path: importlib mode adds none.
sys.path.append(str(Path(__file__).parent / "support"))
