"""The candidate as more than something that predicts: its files, and the run that made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_leanml.errors import InconclusiveError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_leanml.checks.study import Study
    from pytest_leanml.evidence.runs import RunFacts


@dataclass(frozen=True, slots=True)
class SubjectFacts:
    """What the supervisor knows of the candidate.

    Attributes:
        artifact: its private copy, a file or a folder.
        digest: digest of that copy.
        source: registry, run, file or predictions.
        predictions: a predictions file is judged in place of loading the model.
        trust: ``model.trust`` of leanml.yaml.
        trusted_types: ``model.trusted_types`` of leanml.yaml.
        drop: columns that are never features.
        run: the run that made it, None without one.
    """

    artifact: Path
    digest: str
    source: str = "file"
    predictions: bool = False
    trust: bool = False
    trusted_types: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    run: RunFacts | None = None


def subject_of(study: Study) -> SubjectFacts:
    """Return what is known of the candidate's files.

    Raises:
        InconclusiveError: no model is declared, or a predictions file alone is judged.
    """
    found = study.settings.subject
    if found is None or found.source == "predictions":
        given = "no model is declared" if found is None else "a predictions file has no model behind it"
        raise InconclusiveError(
            f"nothing is known of the candidate's files: {given}",
            "a model from the registry, a run or a file",
            "declare it under `model:` in leanml.yaml",
        )
    return found


def run_of(study: Study) -> RunFacts:
    """Return what the run that made the candidate says of itself.

    Raises:
        InconclusiveError: no run made it, as far as the registry knows.
    """
    found = study.settings.subject
    if found is None or found.run is None:
        raise InconclusiveError(
            "the candidate names no run, so that nothing is known of how it was made",
            "a registered version whose run the registry still has",
            "log the model inside `with mlflow.start_run():` and register it from there",
        )
    return found.run
