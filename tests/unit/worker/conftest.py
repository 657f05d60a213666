"""The recorded sessions and their comparison lie beside those who replay them whole."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "compat" / "rest"))
