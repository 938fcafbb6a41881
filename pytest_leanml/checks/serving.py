"""How the candidate serves: how fast, how large, and whether what is served is what was judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.choice import choose
from pytest_leanml.checks.serving_parity import feature_parity, prediction_parity
from pytest_leanml.checks.serving_process import SECONDS, Started, start
from pytest_leanml.checks.serving_signature import problems
from pytest_leanml.checks.serving_timing import Plan, latencies
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.checks.subject import SubjectFacts, subject_of
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.sources.columns import row_count, to_pandas
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.quantiles import quantile
from pytest_leanml.vocabulary import with_part

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord

_MEGA = 1_000_000
_MILLI = 1_000
_RUNS = 3
_MEMORY_ROWS = 1_000
_THROUGHPUT = {"rows": 10_000, "batch": 1_000, "warmup": 1}


class Serving:
    """Measures the candidate as something that serves.

    Times are taken once for each set of settings, and every quantile is read from the same ones. Settings that all
    requests share: ``url`` or ``call`` (where the answers come from; by default the candidate in this process),
    ``format`` (mlflow or records), ``rows`` (requests, or rows), ``batch`` (rows in a request), ``warmup`` (requests that
    do not count), ``timeout`` (seconds for one request) and ``seconds`` (for all).

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
        """Milliseconds that a share of the requests does not exceed, each answered and its answer checked.

        Args:
            share: 0.5, 0.95 or 0.99.
            confidence: level of the interval, by default that of leanml.yaml.
            settings: ``rows`` (200 requests), ``batch`` (1), ``warmup`` (20), and where the answers come from.

        Raises:
            ConfigError: settings that cannot be.
            InconclusiveError: no rows, or fewer requests than asked for within ``seconds``.
            MeasurementError: an answer that is missing, NaN or infinite.
            SourceError: the model or the server cannot answer, or answers for other than the rows asked.
        """
        if share not in (0.5, 0.95, 0.99):
            raise MeasurementError(f"the quantile {share!r}", "0.5, 0.95 or 0.99", "use one of them")
        plan = Plan(**{"rows": 200, "batch": 1, "warmup": 20, **settings})
        level = self._level(confidence)
        metric = f"latency_p{round(share * 100)}_ms"

        def record() -> MeasurementRecord:
            estimate = quantile(self._times(plan) * _MILLI, share, confidence=level, unit="ms")
            return record_of(_id(metric, plan, 1), estimate, method=plan.where)

        return self._measured((metric, plan, level), record)

    def throughput_rows_per_s(self, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Rows answered in a second: the median over batches, one after the other.

        Args:
            confidence: level of the interval, by default that of leanml.yaml.
            settings: ``rows`` (10,000), ``batch`` (1,000), ``warmup`` (1 batch), and where the answers come from.

        Raises:
            LeanmlError: as ``latency``.
        """
        given = {**_THROUGHPUT, **settings}
        plan = (
            Plan(**{**given, "rows": -(-int(given["rows"]) // int(given["batch"]))})
            if given["batch"] >= 1
            else Plan(**given)
        )
        level = self._level(confidence)

        def record() -> MeasurementRecord:
            estimate = quantile(plan.batch / self._times(plan), 0.5, confidence=level, unit="rows/s")
            return record_of("serving.throughput_rows_per_s", estimate, method=plan.where)

        return self._measured(("throughput", plan, level), record)

    def memory_mb(self, *, rows: int = _MEMORY_ROWS, seconds: float = SECONDS) -> Measurement:
        """Megabytes (10^6 bytes) of resident memory at most, in a fresh process that loads the model and answers.

        Args:
            rows: of the evaluation data to answer at once.
            seconds: to wait at most.

        Raises:
            InconclusiveError: no files of the candidate, or a project's own ``candidate``.
            SourceError: it cannot be loaded there, dies or is late.
        """
        return self._measured(("memory", rows, seconds), lambda: self._memory(rows, seconds))

    def start_seconds(
        self, *, runs: int = _RUNS, seconds: float = SECONDS, confidence: float | None = None
    ) -> Measurement:
        """Seconds from starting a fresh Python to the first row's answer; the median over some starts.

        Args:
            runs: how often; from 6 on there is an interval at 95 %.
            seconds: to wait at most, each time.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            LeanmlError: as ``memory_mb``.
        """
        level = self._level(confidence)
        return self._measured(("start", runs, seconds, level), lambda: self._start(runs, seconds, level))

    def artifact_mb(self) -> Measurement:
        """Megabytes (10^6 bytes) of the candidate's files.

        Raises:
            InconclusiveError: no files of the candidate.
        """
        return self._measured("artifact", self._artifact)

    def parity(self, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Share of rows for which the served answer is not the candidate's own.

        Args:
            confidence: level of the interval, by default that of leanml.yaml.
            settings: ``url`` or ``call`` (needed), ``tolerance`` (1e-6, of the larger of 1 and the number), ``answer``
                (labels or scores), ``rows`` (200, a seeded sample), ``batch`` (100), ``format``, ``timeout``, ``seconds``.

        Raises:
            ConfigError: settings that cannot be.
            LeanmlError: as ``latency``.
        """
        level = self._level(confidence)
        key = ("parity", _frozen(settings), level)
        return self._measured(key, lambda: prediction_parity(self.study, settings, level))

    def feature_parity(self, *, confidence: float | None = None, **settings: Any) -> Measurement:
        """Share of rows for which any served feature is not the one in the evaluation data.

        Args:
            confidence: level of the interval, by default that of leanml.yaml.
            settings: as ``parity`` without ``answer``, and ``columns``: the features to compare. The server or function gets
                the rows without the target and answers with a mapping (or frame) of features for each.

        Raises:
            LeanmlError: as ``parity``.
        """
        level = self._level(confidence)
        key = ("feature_parity", _frozen(settings), level)
        return self._measured(key, lambda: feature_parity(self.study, settings, level))

    def signature(self) -> Measurement:
        """Number of columns and answers that are not of the type which the model's MLflow signature promises.

        Raises:
            InconclusiveError: no MLflow model, or one without a signature.
            SourceError: a broken MLmodel, or the model cannot answer.
        """
        return self._measured("signature", self._signature)

    def _measured(self, key: Hashable, record: Callable[[], MeasurementRecord]) -> Measurement:
        return self.study.measured(self.study.once(("serving", key), record))

    def _level(self, confidence: float | None) -> float:
        return self.study.settings.confidence if confidence is None else confidence

    def _times(self, plan: Plan) -> Any:
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
        frame = to_pandas(self.study.rows_of("evaluation")).head(rows)
        return start(self._subject(), frame, seconds=seconds)

    def _memory(self, rows: int, seconds: float) -> MeasurementRecord:
        _demand_positive(rows=rows, seconds=seconds)
        found = self._started(rows, seconds)
        peak = found.peak / _MEGA
        details = {"without_model_mb": found.before / _MEGA}
        # One process, looked at to its end: its peak is exact, what another one would take is not known.
        estimate = Estimate(peak, min(rows, row_count(self.study.rows_of("evaluation"))), unit="MB", details=details)
        return record_of("serving.memory_mb", estimate, method="fresh process")

    def _start(self, runs: int, seconds: float, level: float) -> MeasurementRecord:
        _demand_positive(runs=runs, seconds=seconds)
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
        found = problems(Path(artifact), frame, self.study.answers("candidate").labels)
        count = float(len(found))
        parts = {name: Part(1.0, row_count(frame)) for name in found}
        estimate = Estimate(count, row_count(frame), count, count, "exact", unit="problem", by=parts)
        first = "; ".join(f"`{name}` {why}" for name, why in list(found.items())[:5])
        return record_of("serving.signature", estimate, details={"first": first[:500]} if first else {})


def _id(metric: str, plan: Plan, usual: int) -> str:
    return with_part(f"serving.{metric}", None if plan.batch == usual else f"batch.{plan.batch}")


def _frozen(settings: dict[str, Any]) -> Hashable:
    return tuple(sorted((name, tuple(each) if isinstance(each, list) else each) for name, each in settings.items()))


def _demand_positive(**given: float) -> None:
    for name, value in given.items():
        if not value > 0:
            raise MeasurementError(f"{name}: {value!r}", "above 0", "correct it")


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
