"""Where the browser and the page that is taken apart are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "taxonomy"))
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
