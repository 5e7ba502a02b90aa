"""Runs that are made up, for tests of what compares them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_runs import MadeRun, documents


@pytest.fixture
def made() -> MadeRun:
    """A run of sixty documents, and no cell yet."""
    return MadeRun(documents(60))
