"""How much better than the champion the candidate is, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.answers import task_of
from pytest_leanml.checks.limits import hold
from pytest_leanml.checks.quality import known_metric
from pytest_leanml.checks.sign_off import Proven, demand_margin, equivalence_level, in_slice, slice_facts, worst_of
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.config import Limit
from pytest_leanml.errors import ConfigError, FirstRelease, InconclusiveError, MeasurementError
from pytest_leanml.sources.models import as_predictor
from pytest_leanml.stats.agreement import regressions
from pytest_leanml.stats.paired import gain
from pytest_leanml.stats.quality import Needs
from pytest_leanml.vocabulary import Judge, Task, encode_group, with_part

if TYPE_CHECKING:
    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.samples import Sample


@dataclass(frozen=True, slots=True)
class _Way:
    """How a gain is computed: what tells one measurement of a metric from another."""

    metric: str
    relative: bool = False
    method: str = "auto"
    confidence: float = 0.95
    together: int = 1

    @property
    def level(self) -> float:
        """Level of one interval, such that ``together`` of them hold at once (Bonferroni)."""
        return 1 - (1 - self.confidence) / self.together


class Comparison:
    """Compares candidate and champion on the evaluation data.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def gain(  # noqa: PLR0913 - keyword only
        self,
        metric: str,
        *,
        relative: bool = False,
        slice: str | None = None,  # noqa: A002 - the word of leanml.yaml
        method: str = "auto",
        confidence: float | None = None,
        together: int = 1,
    ) -> Measurement:
        """Measure by how much the candidate is better; positive is better, whichever way round the metric is.

        Args:
            metric: one of the quality metrics.
            relative: as a share of the champion's value instead of in the metric's own unit.
            slice: name of a slice of leanml.yaml, None for all rows.
            method: auto, bootstrap or permutation; see ``stats.paired``.
            confidence: level of the paired interval, by default that of leanml.yaml.
            together: slices that are judged at once; their intervals are widened so that all of them hold at that level.

        Raises:
            FirstRelease: leanml.yaml declares a first release and there is no champion: not applicable.
            InconclusiveError: there is no champion otherwise, or the metric is undefined on these rows.
            MeasurementError: candidate and champion are the same model.
            SourceError: data or models cannot answer.
        """
        self._demand_two_models()
        way = _Way(metric, relative, method, self._level(confidence), together)
        return self.study.measured(self.study.once(("comparison", way, slice), lambda: self._record(way, slice)))

    def regressions(
        self,
        *,
        slice: str | None = None,  # noqa: A002 - the word of leanml.yaml
        confidence: float | None = None,
        together: int = 1,
    ) -> Measurement:
        """Measure the share of all rows that the champion got right and the candidate gets wrong; lower is better.

        ``by`` counts the four kinds of row, ``details`` holds McNemar's p values. Arguments and errors as ``gain``.
        """
        self._demand_two_models()
        way = _Way("regressions", confidence=self._level(confidence), together=together)
        return self.study.measured(self.study.once(("comparison", way, slice), lambda: self._flips(way, slice)))

    def worst_slice(
        self,
        metric: str,
        *,
        slices: tuple[str, ...] | list[str] | None = None,
        relative: bool = False,
        method: str = "auto",
        confidence: float | None = None,
    ) -> Measurement:
        """Measure the smallest gain over several slices: hold it against ``-d`` and no slice may lose more than d.

        Its lower limit is the lowest of the slices' own: it covers whichever slice is truly the worst, at the level asked
        for and without any correction. Its upper limit and those under ``by`` hold for all slices at once (Bonferroni).

        Args:
            metric: one of the quality metrics.
            slices: names of slices of leanml.yaml, by default all of them.
            relative: as for ``gain``.
            method: as for ``gain``.
            confidence: as for ``gain``.

        Raises:
            ConfigError: no slices.
            LeanmlError: as for ``gain``, in any of the slices.
        """
        self._demand_two_models()
        names = tuple(self.study.settings.slices if slices is None else slices)
        if not names:
            raise ConfigError("no slices", "`data: {slices: {<name>: <filter>}}`", "declare one", key="data.slices")
        way = _Way(metric, relative, method, self._level(confidence), len(names))
        return self.study.measured(self.study.once(("comparison", way, names), lambda: self._worst(way, names)))

    def not_worse_than(self, champion: object = None, *, margin: float, **how: Any) -> Proven:
        """Demand proof that the candidate is worse by less than a margin: non-inferiority.

        The lower confidence limit of the gain must not be below ``-margin``. A claim that holds is recorded and returned;
        write it with or without ``assert``.

        Args:
            champion: the fixture of that name, for the reader's sake; there is no other model to compare with.
            margin: in the metric's unit, at least 0.
            how: ``metric`` (by default accuracy, of a regression rmse), and whatever ``gain`` takes.

        Raises:
            LimitMissedError: the candidate is worse by more: the whole interval says so.
            InconclusiveError: the interval lies across the margin; says how many rows would settle it. And as ``gain``.
            MeasurementError: no such margin, or another model than the champion. And as ``gain``.
        """
        limit = Limit(min=0.0 - demand_margin(margin), judge=Judge.BOUND)
        return self._prove(f"not worse by {margin:g}", champion, limit, how)

    def better_than(self, champion: object = None, *, margin: float = 0.0, **how: Any) -> Proven:
        """Demand proof that the candidate is better by at least a margin: superiority; otherwise as ``not_worse_than``.

        The lower confidence limit of the gain must reach ``margin``; without one it must be above 0.
        """
        least = demand_margin(margin)
        limit = Limit(min=least, judge=Judge.BOUND) if least else Limit(above=0.0, judge=Judge.BOUND)
        return self._prove(f"better by {margin:g}", champion, limit, how)

    def equivalent_to(self, champion: object = None, *, margin: float, **how: Any) -> Proven:
        """Demand proof that the candidate is within a margin of the champion: equivalence; else as ``not_worse_than``.

        Two one-sided tests at ``1 - confidence`` each (TOST; Schuirmann 1987, Journal of Pharmacokinetics and
        Biopharmaceutics 15, 657-680): both limits of the interval at ``2 * confidence - 1``, 90 % for 95 %, must lie
        within ``-margin`` and ``margin``.
        """
        how = {**how, "confidence": equivalence_level(self._level(how.get("confidence")))}
        most = demand_margin(margin)
        if not most:
            raise MeasurementError("a margin of 0 for equivalence", "a number above 0, in the metric's unit")
        return self._prove(f"within {margin:g}", champion, Limit(min=-most, max=most, judge=Judge.BOUND), how)

    def _prove(self, claim: str, champion: object, limit: Limit, how: dict[str, Any]) -> Proven:
        self._demand_champion(champion)
        metric = how.pop("metric", None) or self._usual()
        measured = self.gain(metric, **how)
        hold(measured, limit)
        return Proven(f"{measured.id}: {claim}", measured)

    def _usual(self) -> str:
        self._demand_two_models()
        settings = self.study.settings
        models = [self.study.answers(role) for role in ("candidate", "champion")]
        task = task_of(self.study.truth(), models, task=settings.task, positive=settings.positive)[0]
        return "rmse" if task is Task.REGRESSION else "accuracy"

    def _demand_champion(self, given: object) -> None:
        known = self.study.champion()
        if given is None or given is known:
            return
        if isinstance(given, str):
            raise MeasurementError(f"{given!r} as the champion", "the fixture `champion`", f'write metric="{given}"')
        if known is None or as_predictor(given, who="the champion").digest != known.digest:
            raise MeasurementError(
                "another model than the champion",
                "the fixture `champion`, or nothing: the gate knows whom it must beat",
                "to be compared with another model, name it under `model.champion`",
            )

    def _level(self, confidence: float | None) -> float:
        return self.study.settings.confidence if confidence is None else confidence

    def _demand_two_models(self) -> None:
        champion = self.study.champion()
        if champion is None and self.study.settings.first_release:
            raise FirstRelease(
                "there is no champion, and leanml.yaml declares a first release", "no comparison for this one release"
            )
        if champion is None:
            raise InconclusiveError(
                "there is no champion to compare with",
                "the model that the environment's alias names",
                "for the first release of a model, set `model: {name: ..., first_release: true}`",
                key="model.first_release",
            )
        if champion.digest == self.study.candidate().digest:
            raise MeasurementError(
                f"candidate and champion are the same model ({champion.digest})",
                "two models",
                "register the new model as candidate, or correct the URIs",
            )

    def _pair(self, needs: str, slice_: str | None) -> tuple[Sample, Sample]:
        candidate, champion = self.study.pair(needs)
        if slice_ is None:
            return candidate, champion
        rows = self.study.slice_mask(slice_)
        least, found = self.study.settings.min_group, int(rows.sum())
        if found < least:
            raise InconclusiveError(
                f"the slice {slice_} has {found} rows",
                f"at least {least} (`data.min_group`)",
                "let it match more rows, or leave it out",
                key="data.slices",
            )
        return candidate.take(rows), champion.take(rows)

    def _estimate(self, way: _Way, slice_: str | None, level: float) -> Estimate:
        candidate, champion = self._pair(known_metric(way.metric).needs, slice_)
        return gain(
            way.metric,
            candidate,
            champion,
            relative=way.relative,
            confidence=level,
            seed=self.study.settings.seed,
            method=way.method,
        )

    def _record(self, way: _Way, slice_: str | None) -> MeasurementRecord:
        estimate = self._estimate(way, slice_, way.level)
        return _record_of(way.metric, slice_, estimate, way)

    def _flips(self, way: _Way, slice_: str | None) -> MeasurementRecord:
        candidate, champion = self._pair(Needs.LABELS, slice_)
        return _record_of(way.metric, slice_, regressions(candidate, champion, confidence=way.level), way)

    def _worst(self, way: _Way, names: tuple[str, ...]) -> MeasurementRecord:
        alone, at_once = (self._each(way, names, level) for level in (way.confidence, way.level))
        estimate = worst_of(alone, at_once)
        record = _record_of("worst_slice", None, estimate, way)
        worst = min(alone, key=lambda name: alone[name].value)
        more = {"slice": worst, "metric": way.metric}
        fact = {**record.section["comparison"]["worst_slice"], **more, "slices": slice_facts(estimate)}
        section = {"comparison": {"worst_slice": fact}}
        return replace(record, section=section, details={**record.details, **more})

    def _each(self, way: _Way, names: tuple[str, ...], level: float) -> dict[str, Estimate]:
        found = {}
        for name in names:
            with in_slice(name):
                found[name] = self._estimate(way, name, level)
        return found


def _record_of(metric: str, slice_: str | None, estimate: Estimate, way: _Way) -> MeasurementRecord:
    part = None if slice_ is None else encode_group(slice_)
    how = f"{estimate.interval or 'no interval'}, {'relative' if way.relative else 'absolute'}"
    details = {**estimate.details, **({"together": float(way.together)} if way.together > 1 else {})}
    section = {"comparison": {with_part(metric, part): _fact(metric, estimate)}}
    name = with_part(f"comparison.{metric}", part)
    return record_of(name, estimate, section=section, metric=metric, method=how, details=details)


def _fact(metric: str, estimate: Estimate) -> dict[str, Any]:
    fact = {
        "share" if metric == "regressions" else "gain": float(estimate.value),
        "low": estimate.low,
        "high": estimate.high,
        "rows": int(estimate.n),
        "method": estimate.interval,
    }
    if metric == "regressions":
        fact |= {name: int(estimate.details[name]) for name in ("gained", "lost")}
    return {name: value for name, value in fact.items() if value is not None}


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    comparison, asked = Comparison(study), spec.settings
    level = equivalence_level(spec.limit.confidence) if asked.get("within") else spec.limit.confidence
    if spec.metric == "regressions":
        return comparison.regressions(slice=spec.slice, confidence=level)
    how: dict[str, Any] = {
        "relative": asked.get("relative", False),
        "method": asked.get("method", "auto"),
        "confidence": level,
    }
    if spec.metric == "worst_slice":
        return comparison.worst_slice(asked["metric"], slices=asked["slices"], **how)
    return comparison.gain(spec.metric, slice=spec.slice, **how)
