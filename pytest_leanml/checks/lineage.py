"""Where the candidate comes from, and what it cost to make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.checks import lineage_budget as budget
from pytest_leanml.checks import lineage_dvc as dvc_files
from pytest_leanml.checks import lineage_origin as origin
from pytest_leanml.checks.choice import choose
from pytest_leanml.checks.moments import moment
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord

_SECONDS_OF_A_DAY = 86_400


class Lineage:
    """Measures what is known of the candidate's making: 1 holds, 0 does not, what is not known is inconclusive.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def training_age_days(self) -> Measurement:
        """Measure the days from the candidate's training to this run.

        Raises:
            InconclusiveError: the training date is not known.
            MeasurementError: it is no RFC 3339 time, in no calendar, or in the future.
        """
        return self._measured("training_age_days", self._record)

    def run_id(self) -> Measurement:
        """Whether the candidate was made by a run that the registry still has.

        Raises:
            InconclusiveError: no model is declared.
        """
        return self._measured("run_id", lambda: origin.run_id(self.study))

    def git_commit(self) -> Measurement:
        """Whether its run names the git commit that it was trained at.

        Raises:
            InconclusiveError: the candidate names no run.
        """
        return self._measured("git_commit", lambda: origin.git_commit(self.study))

    def clean_tree(self) -> Measurement:
        """Whether nothing was changed and not committed when it was trained.

        Raises:
            InconclusiveError: no run, or one that does not say.
        """
        return self._measured("clean_tree", lambda: origin.clean_tree(self.study))

    def clean_tree_now(self, *, untracked: bool = False) -> Measurement:
        """Whether nothing is changed and not committed in the project's folder now.

        Args:
            untracked: count files that git does not know as well.

        Raises:
            InconclusiveError: no git, or no repository.
        """
        return self._measured(("clean_tree_now", untracked), lambda: origin.clean_tree_now(self.study, untracked))

    def data_digests(self, *tables: str) -> Measurement:
        """Whether the data judged with is the data that its run recorded.

        Args:
            tables: train, evaluation or production; by default train where it is declared, and others that the run speaks of.

        Raises:
            ConfigError: a table is not declared.
            InconclusiveError: no run, or one that does not speak of a table.
        """
        return self._measured(("data_digests", tables), lambda: origin.data_digests(self.study, tables))

    def parent_run(self) -> Measurement:
        """Whether its run names a parent run that the registry still has.

        Raises:
            InconclusiveError: the candidate names no run.
        """
        return self._measured("parent_run", lambda: origin.parent_run(self.study))

    def dvc(self, lock: str = dvc_files.LOCK, *, dependencies: bool = False) -> Measurement:
        """Whether every output that dvc.lock names has the content it had then.

        Args:
            lock: path of dvc.lock, relative to leanml.yaml.
            dependencies: hold what the stages depend on against it as well.

        Raises:
            InconclusiveError: there is no dvc.lock, or it names no output on this machine.
            SourceError: it cannot be read.
        """
        return self._measured(("dvc", lock, dependencies), lambda: dvc_files.locked(self.study, lock, dependencies))

    def dvc_metric(self, file: str, name: str, *, lock: str = dvc_files.LOCK) -> Measurement:
        """Return a number of a metrics file of DVC, where dvc.lock vouches for the file.

        Args:
            file: JSON or YAML, relative to leanml.yaml.
            name: dotted path of the number in it.
            lock: path of dvc.lock, relative to leanml.yaml.

        Raises:
            InconclusiveError: no dvc.lock, or one that does not name the file; no such number.
            MeasurementError: the file changed since, or what is there is no finite number.
            SourceError: the file cannot be read.
        """
        return self._measured(("dvc_metric", file, name, lock), lambda: dvc_files.metric(self.study, file, name, lock))

    def training_minutes(self) -> Measurement:
        """Measure how long its run took, from start to end.

        Raises:
            InconclusiveError: no run, or one without start and end.
            MeasurementError: it ends before it starts or in the future.
        """
        return self._measured("training_minutes", lambda: budget.training_minutes(self.study))

    def pipeline_minutes(self) -> Measurement:
        """Measure how long the pipeline took: LEANML_PIPELINE_STARTED to this run, or what the run recorded.

        Raises:
            InconclusiveError: neither is there.
            MeasurementError: no time, one in the future, or a number that cannot be.
        """
        return self._measured("pipeline_minutes", lambda: budget.pipeline_minutes(self.study))

    def data_age_hours(self, data: str = budget.DATA) -> Measurement:
        """Measure the hours from the newest row of a table to this run.

        Args:
            data: train, evaluation or production.

        Raises:
            ConfigError: the table or ``data.time`` is not declared.
            InconclusiveError: it has no rows, or this run has no time.
            MeasurementError: the newest row is in the future.
        """
        return self._measured(("data_age_hours", data), lambda: budget.data_age_hours(self.study, data))

    def cost_share(self) -> Measurement:
        """Return the share of the budget that the training cost, as its run recorded it.

        Raises:
            InconclusiveError: no run, or one that records no cost.
            MeasurementError: a number that cannot be a cost.
        """
        return self._measured("cost_share", lambda: budget.cost_share(self.study))

    def _measured(self, key: Hashable, record: Callable[[], MeasurementRecord]) -> Measurement:
        return self.study.measured(self.study.once(("lineage", key), record))

    def _record(self) -> MeasurementRecord:
        trained, judged = self.study.settings.training_date, self.study.settings.evaluated_at
        if trained is None or judged is None:
            absent = "training date" if trained is None else "time of this run"
            raise InconclusiveError(
                f"the candidate's age is not known: there is no {absent}",
                "a model from the registry whose run has an end time",
                "log the model to an MLflow run, or state `evidence.fact('training_date', ...)` and judge that",
            )
        days = (moment(judged) - moment(trained)).total_seconds() / _SECONDS_OF_A_DAY
        if days < 0:
            raise MeasurementError(
                f"the training date {trained} is in the future of this run ({judged})",
                "a time before this run: the future is out of range, not young",
                "correct the clock or the tag it came from",
            )
        # Exact: nothing was sampled, so the interval is the value.
        estimate = Estimate(days, 1, days, days, "exact", unit="day")
        return record_of("lineage.training_age_days", estimate, section={"lineage": {"training_age_days": days}})


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    lineage, params = Lineage(study), dict(spec.settings.get("params", {}))
    measures: dict[str, Callable[[], Measurement]] = {
        "training_age_days": lineage.training_age_days,
        "run_id": lineage.run_id,
        "git_commit": lineage.git_commit,
        "clean_tree": lineage.clean_tree,
        "clean_tree_now": lambda: lineage.clean_tree_now(**params),
        "data_digests": lambda: lineage.data_digests(*params.get("tables", ())),
        "parent_run": lineage.parent_run,
        "dvc": lambda: lineage.dvc(**params),
        "dvc_metric": lambda: lineage.dvc_metric(**params),
        "training_minutes": lineage.training_minutes,
        "pipeline_minutes": lineage.pipeline_minutes,
        "data_age_hours": lambda: lineage.data_age_hours(**params),
        "cost_share": lineage.cost_share,
    }
    return choose(spec, measures)()
