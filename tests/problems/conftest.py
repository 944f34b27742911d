from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def shared_data() -> Path:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(os.environ.get("HR_SHARED_DATA", default))
    if not path.is_dir():
        pytest.skip(f"no shared data at {path} (HR_SHARED_DATA)")
    return path
