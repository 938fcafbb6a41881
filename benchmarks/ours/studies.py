"""A study over frames that are in memory already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.sources.tables import Table

if TYPE_CHECKING:
    from collections.abc import Mapping


def study(frames: Mapping[str, Any], **settings: Any) -> Study:
    """Make a study whose tables are these frames; no model."""
    tables = {name: Table(name, frame, "sha256:" + "0" * 64, "memory") for name, frame in frames.items()}

    def none() -> None:
        return None

    return Study(StudySettings(**settings), candidate=none, champion=none, table=tables.get)  # type: ignore[arg-type]
