"""Shared by all tests."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _outside_of_any_gate_or_runner(monkeypatch):
    """A runner's or an outer gate's environment must not reach the runs under test."""
    for name in (
        "LEANML_RUN_ID",
        "LEANML_RUN_FOLDER",
        "LEANML_SUPERVISOR_PID",
        "LEANML_ENVIRONMENT",
        "GITHUB_ACTIONS",
        "GITHUB_OUTPUT",
        "GITHUB_STEP_SUMMARY",
        "GITLAB_CI",
        "MLFLOW_TRACKING_URI",
        "PYTEST_ADDOPTS",
    ):
        monkeypatch.delenv(name, raising=False)
