"""Whether what made the candidate can be told: its run, its commit, its data. 1 for yes, 0 for no."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.study import TABLES, record_of
from pytest_leanml.checks.subject import run_of
from pytest_leanml.errors import InconclusiveError
from pytest_leanml.sources.columns import to_pandas
from pytest_leanml.sources.faults import quiet, told_as
from pytest_leanml.stats.estimate import Estimate, Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_leanml.checks.study import Study
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.evidence.runs import RunFacts

_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_GIT_SECONDS = 60
_CONTEXTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "evaluation": ("eval", "evaluation", "test", "testing", "validation"),
    "production": ("production", "inference"),
}


def holds(metric: str, found: bool, by: Mapping[str, bool] | None = None, **details: str) -> MeasurementRecord:  # noqa: FBT001 - what is recorded
    """Return the record of what holds (1) or does not (0); of several parts, all must hold."""
    value = float(found)
    parts = {name: Part(float(each), 1) for name, each in (by or {}).items()}
    estimate = Estimate(value, max(1, len(parts)), value, value, "exact", by=parts)
    kept = {name: text[:200] for name, text in details.items() if text}
    return record_of(f"lineage.{metric}", estimate, section={"lineage": {metric: value}}, details=kept)


def run_id(study: Study) -> MeasurementRecord:
    """See ``Lineage.run_id``."""
    subject = study.settings.subject
    if subject is None:
        raise InconclusiveError("no model is declared", "a candidate", "declare it under `model:` in leanml.yaml")
    run = subject.run
    return holds("run_id", run is not None, run=run.run_id if run else "", status=run.status if run else "")


def git_commit(study: Study) -> MeasurementRecord:
    """See ``Lineage.git_commit``."""
    commit = run_of(study).tags.get("mlflow.source.git.commit", "")
    return holds("git_commit", _COMMIT.fullmatch(commit) is not None, commit=commit)


def clean_tree(study: Study) -> MeasurementRecord:
    """See ``Lineage.clean_tree``."""
    said = run_of(study).tags.get("mlflow.source.git.dirty")
    if said not in ("true", "false"):
        raise InconclusiveError(
            f"the run does not say whether its tree was clean: mlflow.source.git.dirty is {said!r}",
            "true or false, as the training found it",
            "mlflow.set_tag('mlflow.source.git.dirty', 'true' if `git status --porcelain` prints anything else 'false')",
        )
    return holds("clean_tree", said == "false")


def clean_tree_now(study: Study, untracked: bool) -> MeasurementRecord:  # noqa: FBT001 - as the fixture has it
    """See ``Lineage.clean_tree_now``."""
    if not _git(study, "ls-files", "--", "."):
        raise InconclusiveError("git tracks no file of the project's folder", "a commit of the project", "commit it")
    mode = "all" if untracked else "no"
    changed = _git(study, "status", "--porcelain", "--ignore-submodules=none", f"--untracked-files={mode}")
    return holds("clean_tree_now", not changed, changed=", ".join(line[3:] for line in changed[:5]))


def _git(study: Study, *asked: str) -> list[str]:
    """Return the lines that git answers in the project's folder."""
    git = shutil.which("git")
    todo = "run the gate in a clone of the repository"
    if git is None:
        raise InconclusiveError("git is not installed, so that nobody knows whether the tree is clean", "git", todo)
    # A hook's GIT_DIR would have git look at another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = [git, "--no-optional-locks", "-C", str(study.settings.root.resolve()), *asked]
    try:
        said = subprocess.run(  # noqa: S603 - a fixed command, no shell
            command,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
            env=environment,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise InconclusiveError(f"git {asked[0]} did not answer: {type(fault).__name__}", "its answer", todo) from fault
    if said.returncode != 0:
        reason = (said.stderr.strip().splitlines() or ["no reason given"])[0][:200]
        raise InconclusiveError(f"git {asked[0]} failed: {reason}", "a git repository", todo)
    return [line for line in said.stdout.splitlines() if line.strip()]


def parent_run(study: Study) -> MeasurementRecord:
    """See ``Lineage.parent_run``."""
    run = run_of(study)
    return holds("parent_run", run.parent_found and run.parent != run.run_id, parent=run.parent or "")


def data_digests(study: Study, tables: Sequence[str]) -> MeasurementRecord:
    """See ``Lineage.data_digests``."""
    run = run_of(study)
    wanted = tuple(tables) or tuple(name for name in TABLES if study.has(name) and _asked(run, name))
    if not wanted:
        raise _silent(study, "train")
    found = {name: _same(study, run, name) for name in wanted}
    return holds("data_digests", all(found.values()), found)


def _asked(run: RunFacts, name: str) -> bool:
    """Tell whether a table counts unasked: what it was trained on always does, others where the run speaks of them."""
    return name == "train" or _tag(name) in run.tags or bool(_logged(run, name))


def _tag(name: str) -> str:
    return f"leanml.data.{name}.digest"


def _logged(run: RunFacts, name: str) -> list[str]:
    """Return the digests of the tables that a run logged under this name or for this purpose."""
    contexts = _CONTEXTS[name]
    return [each.digest for each in run.data if each.table and (each.context.lower() in contexts or each.name == name)]


def _same(study: Study, run: RunFacts, name: str) -> bool:
    table = study.table(name)
    tag = run.tags.get(_tag(name))
    if tag is not None:
        return tag == table.digest
    logged = _logged(run, name)
    if not logged:
        raise _silent(study, name)
    return _mlflow_digest(table.frame, name) in logged


def _silent(study: Study, name: str) -> InconclusiveError:
    digest = study.table(name).digest if study.has(name) else "sha256:..."
    return InconclusiveError(
        f"the run does not say which {name} data it used",
        f"the tag {_tag(name)}, or a table logged with mlflow.log_input",
        f"mlflow.set_tag('{_tag(name)}', '<the file's sha256>'); of the file at hand it is {digest}",
    )


def _mlflow_digest(frame: Any, name: str) -> str:
    """Compute MLflow's digest of a table, as ``mlflow.data.from_pandas`` does: eight digits over at most 10,000 rows.

    Of what lies beyond them it tells how many rows there are; of columns of times and truth values, their names.
    """
    from mlflow.data.digest_utils import compute_pandas_digest

    with told_as(f"MLflow cannot digest the {name} data", "a table of plain columns"), quiet():
        return str(compute_pandas_digest(to_pandas(frame)))
