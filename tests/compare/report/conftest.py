"""The driver of a real Chromium lies with the tests of taxonomies."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "taxonomy"))
