"""Where pytest's configuration keeps what belongs to one run: no globals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_leanml.collection import Plan
    from pytest_leanml.options import GateOptions
    from pytest_leanml.recording import Recording
    from pytest_leanml.workbench import Workbench

# Read once, when first asked for: a plain run may never ask.
OPTIONS: pytest.StashKey[GateOptions] = pytest.StashKey()
# What a gate collects; absent in a plain run.
PLAN: pytest.StashKey[Plan] = pytest.StashKey()
# A process that records; absent in a plain run.
RECORDING: pytest.StashKey[Recording] = pytest.StashKey()
WORKBENCH: pytest.StashKey[Workbench] = pytest.StashKey()
