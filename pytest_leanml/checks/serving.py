"""How the candidate serves: how fast, how large, and whether what is served is what was judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.choice import choose
from pytest_leanml.checks.leakage_features import known_features
from pytest_leanml.checks.serving_parity import feature_parity, prediction_parity
from pytest_leanml.checks.serving_place import whole
from pytest_leanml.checks.serving_process import SECONDS, Started, start
from pytest_leanml.checks.serving_signature import problems
from pytest_leanml.checks.serving_timing import Plan, demand_enough, latencies, plan_of
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.checks.subject import SubjectFacts, subject_of
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError
from pytest_leanml.sources.columns import row_count, take_rows, to_pandas
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.quantiles import quantile, rows_needed
from pytest_leanml.vocabulary import with_part

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord

_MEGA = 1_000_000
_MILLI = 1_000
_REQUESTS, _WARMUP = 400, 20
_BATCHES, _BATCH = 10, 1_000
_MEMORY_ROWS = 1_000
_SHARES = (0.5, 0.95, 0.99)
_LONGEST = 86_400


class Serving:
    """Measures the candidate as something that serves.

    Times are taken once for each set of settings, and every quantile is read from the same ones. Settings that all
    requests share: ``url`` or ``call`` (where the answers come from; by default the candidate in this process),
    ``format`` (mlflow or records), ``answer`` (labels or scores), ``timeout`` (seconds for one request to a server, 10) and
    ``seconds`` (for all, 60).

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def latency_p50_ms(self, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Median milliseconds of a request; see ``latency``."""
        return self.latency(0.5, confidence=confidence, **settings)

    def latency_p95_ms(self, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Milliseconds that 95 % of requests do not exceed; see ``latency``."""
        return self.latency(0.95, confidence=confidence, **settings)

    def latency_p99_ms(self, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Milliseconds that 99 % of requests do not exceed; see ``latency``."""
        return self.latency(0.99, confidence=confidence, **settings)

    def latency(self, share: float, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Milliseconds that a share of the requests does not exceed, one after the other, each answer checked.

        Args:
            share: 0.5, 0.95 or 0.99.
            confidence: level of the interval, by default that of leanml.yaml.
            settings: ``requests`` (400, or more where the quantile needs them), ``batch`` (rows in each, 1), ``warmup``
                (requests before that do not count, 20), and those that all requests share.

        Raises:
            ConfigError: settings that cannot be.
            InconclusiveError: no rows, too few requests to bound the quantile, or not all answered within ``seconds``.
            MeasurementError: an answer that is missing, NaN or infinite.
            SourceError: the model or the server cannot answer, is late, or answers for other rows or in another type.
        """
        if share not in _SHARES:
            raise MeasurementError(f"the quantile {share!r}", "0.5, 0.95 or 0.99", "use one of them")
        level = self._level(confidence)
        plan = plan_of(settings, requests=max(_REQUESTS, rows_needed(share, level)), batch=1, warmup=_WARMUP)
        metric = f"serving.latency_p{round(share * 100)}_ms"

        def record() -> MeasurementRecord:
            demand_enough(plan.requests, share, level, what="requests")
            estimate = quantile(self._times(plan) * _MILLI, share, confidence=level, unit="ms")
            return record_of(_id(metric, plan, 1), estimate, method=plan.place.where)

        return self._measured((metric, plan, level), record)

    def throughput_rows_per_s(self, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Rows answered in a second: the median over batches, one after the other.

        Args:
            confidence: level of the interval, by default that of leanml.yaml.
            settings: ``requests`` (10), ``batch`` (rows in each, 1,000), ``warmup`` (1), and those that all requests share.

        Raises:
            LeanmlError: as ``latency``.
        """
        level = self._level(confidence)
        plan = plan_of(settings, requests=max(_BATCHES, rows_needed(0.5, level)), batch=_BATCH, warmup=1)

        def record() -> MeasurementRecord:
            demand_enough(plan.requests, 0.5, level, what="requests")
            estimate = quantile(plan.batch / self._times(plan), 0.5, confidence=level, unit="rows/s")
            return record_of(_id("serving.throughput_rows_per_s", plan, _BATCH), estimate, method=plan.place.where)

        return self._measured(("throughput", plan, level), record)

    def memory_mb(self, *, rows: int | None = None, seconds: float = SECONDS) -> Measurement:
        """Megabytes (10^6 bytes) of resident memory at most, in a fresh process that loads the model and answers.

        Args:
            rows: of the evaluation data to answer at once; by default 1,000, or all where there are fewer.
            seconds: to wait at most.

        Raises:
            ConfigError: settings that cannot be.
            InconclusiveError: no files of the candidate, a project's own ``candidate``, or fewer rows than asked for.
            SourceError: it cannot be loaded there, dies or is late.
        """
        return self._measured(("memory", rows, seconds), lambda: self._memory(rows, seconds))

    def start_seconds(
        self, *, runs: int | None = None, seconds: float = SECONDS, confidence: float | None = None
    ) -> Measurement:
        """Seconds from starting a fresh Python to the first row's answer; the median over some starts.

        Args:
            runs: how often; by default as often as an interval needs: 6 times at 95 %, 3 at 75 %.
            seconds: to wait at most, each time.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            InconclusiveError: also too few runs to bound the median.
            LeanmlError: as ``memory_mb``.
        """
        level = self._level(confidence)
        count = rows_needed(0.5, level) if runs is None else runs
        return self._measured(("start", count, seconds, level), lambda: self._start(count, seconds, level))

    def artifact_mb(self) -> Measurement:
        """Megabytes (10^6 bytes) of the candidate's files.

        Raises:
            InconclusiveError: no files of the candidate.
        """
        return self._measured("artifact", self._artifact)

    def parity(self, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Share of rows for which the served answer is not the candidate's own.

        Labels must be equal. Values and scores differ where they are further apart than ``tolerance`` times the larger of
        the number and its column's median size.

        Args:
            confidence: level of the interval, by default that of leanml.yaml.
            settings: ``url`` or ``call`` (needed), ``tolerance`` (1e-6), ``rows`` (200, a seeded sample), ``batch`` (rows
                in a request, 100), and those that all requests share.

        Raises:
            ConfigError: settings that cannot be.
            InconclusiveError: also where all labels compared are the same one.
            LeanmlError: as ``latency``.
        """
        level = self._level(confidence)
        key = ("parity", _frozen(settings), level)
        return self._measured(key, lambda: prediction_parity(self.study, settings, level))

    def feature_parity(self, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Share of rows for which any served feature is not the one in the evaluation data.

        Args:
            confidence: level of the interval, by default that of leanml.yaml.
            settings: as ``parity`` but for ``answer``; ``columns``: the features to compare, by default the candidate's;
                ``send``: the columns that are given, by default all but these and the target. The server or function
                answers with a mapping (or a frame) of features for each row.

        Raises:
            LeanmlError: as ``parity``.
        """
        level = self._level(confidence)
        key = ("feature_parity", _frozen(settings), level)
        return self._measured(key, lambda: feature_parity(self.study, settings, level))

    def signature(self) -> Measurement:
        """Number of columns and answers that are not of the type which the model's MLflow signature promises.

        Raises:
            InconclusiveError: no MLflow model, or one without a signature of both sides.
            SourceError: a broken MLmodel, or the model cannot answer.
        """
        return self._measured("signature", self._signature)

    def _measured(self, key: Hashable, record: Callable[[], MeasurementRecord]) -> Measurement:
        return self.study.measured(self.study.once(("serving", key), record))

    def _level(self, confidence: float | None) -> float:
        return self.study.settings.confidence if confidence is None else confidence

    def _times(self, plan: Plan) -> NDArray[np.float64]:
        return self.study.once(("serving", "times", plan), lambda: latencies(self.study, plan))

    def _subject(self) -> SubjectFacts:
        """Return the candidate's files, where they are what is judged."""
        subject = subject_of(self.study)
        if not subject.predictions and self.study.candidate().digest != subject.digest:
            raise InconclusiveError(
                "the candidate is a project's own object, which other files stand behind than those under `model:`",
                "the model that leanml.yaml declares",
                "remove the `candidate` fixture, or measure with `evidence.record`",
            )
        return subject

    def _started(self, rows: int, seconds: float) -> Started:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
            raise ConfigError(f"seconds: {seconds!r}", f"seconds, above 0 and at most {_LONGEST}", "correct it")
        frame = self.study.rows_of("evaluation")
        return start(self._subject(), to_pandas(take_rows(frame, np.arange(rows))), seconds=seconds)

    def _memory(self, rows: int | None, seconds: float) -> MeasurementRecord:
        there = row_count(self.study.rows_of("evaluation"))
        wanted = min(_MEMORY_ROWS, there) if rows is None else whole({"rows": rows}, "rows", rows)
        if there < wanted:
            raise InconclusiveError(
                f"{there} rows of evaluation data, where {wanted} were to be answered at once",
                "as many rows as a request may have",
                f"write `params: {{rows: {there}}}` if that is what it must bear",
            )
        found = self._started(wanted, seconds)
        # One process, looked at to its end: its peak is exact, what another one would take is not known.
        details = {"without_model_mb": found.before / _MEGA}
        estimate = Estimate(found.peak / _MEGA, wanted, unit="MB", details=details)
        return record_of("serving.memory_mb", estimate, method="fresh process")

    def _start(self, runs: int, seconds: float, level: float) -> MeasurementRecord:
        demand_enough(whole({"runs": runs}, "runs", runs), 0.5, level, what="runs")
        found = [self._started(1, seconds).seconds for _ in range(runs)]
        estimate = quantile(found, 0.5, confidence=level, unit="s")
        return record_of("serving.start_seconds", estimate, method="fresh process")

    def _artifact(self) -> MeasurementRecord:
        artifact = self._subject().artifact
        files = [each for each in artifact.rglob("*") if each.is_file()] if artifact.is_dir() else [artifact]
        size = sum(each.stat().st_size for each in files) / _MEGA
        return record_of("serving.artifact_mb", Estimate(size, len(files), size, size, "exact", unit="MB"))

    def _signature(self) -> MeasurementRecord:
        frame = self.study.rows_of("evaluation")
        artifact = self._subject().artifact
        answers = self.study.answers("candidate").labels
        found = problems(artifact, frame, known_features(self.study, frame), answers)
        count, rows = float(len(found)), row_count(frame)
        parts = {name: Part(1.0, rows) for name in found}
        estimate = Estimate(count, rows, count, count, "exact", unit="problem", by=parts)
        first = "; ".join(f"`{name}` {why}" for name, why in list(found.items())[:5])
        return record_of("serving.signature", estimate, details={"first": first[:500]} if first else {})


def _id(metric: str, plan: Plan, usual: int) -> str:
    return with_part(metric, None if plan.batch == usual else f"batch.{plan.batch}")


def _frozen(settings: dict[str, Any]) -> Hashable:
    return tuple(sorted((name, repr(each)) for name, each in settings.items()))


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    serving, params, level = Serving(study), dict(spec.settings.get("params", {})), spec.limit.confidence
    measures: dict[str, Callable[[], Measurement]] = {
        "latency_p50_ms": lambda: serving.latency(0.5, confidence=level, **params),
        "latency_p95_ms": lambda: serving.latency(0.95, confidence=level, **params),
        "latency_p99_ms": lambda: serving.latency(0.99, confidence=level, **params),
        "throughput_rows_per_s": lambda: serving.throughput_rows_per_s(confidence=level, **params),
        "memory_mb": lambda: serving.memory_mb(**params),
        "artifact_mb": serving.artifact_mb,
        "start_seconds": lambda: serving.start_seconds(confidence=level, **params),
        "parity": lambda: serving.parity(confidence=level, **params),
        "feature_parity": lambda: serving.feature_parity(confidence=level, **params),
        "signature": serving.signature,
    }
    return choose(spec, measures)()
