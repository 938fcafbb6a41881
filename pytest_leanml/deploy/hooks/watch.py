"""The judgement of one window: each metric is read at each interval, and over the whole window at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.hooks.prometheus import Prometheus, UnansweredError
from pytest_leanml.errors import DeployError, InconclusiveError
from pytest_leanml.stats.rank_test import least_p, rank_test

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.deploy.hook import HookContext
    from pytest_leanml.deploy.hooks.analysis import AnalysisConfig, MetricConfig
    from pytest_leanml.deploy.hooks.prometheus import Points, Reading

_POLL = 0.05
# Steps by which the newest point of a window may lie before its end.
_FRESH = 2.5


class Outcome(StrEnum):
    """How a window ended; only ``pass`` lets a release go on."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a window has shown.

    Attributes:
        outcome: how it ended.
        told: a sentence for a person.
        numbers: by metric: its value, limits, samples, points, and the rank test's p, delta, n and m.
    """

    outcome: Outcome
    told: str
    numbers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of one metric."""

    outcome: Outcome
    told: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    reading: Reading | None = None


def preflight(config: AnalysisConfig, context: HookContext) -> None:
    """Ask every query once, before anything is changed; that there is no data yet is no fault.

    Raises:
        DeployError: Prometheus does not answer, or refuses a query.
    """
    prometheus = Prometheus(config, context)
    for metric in config.metrics:
        for query in (metric.query, metric.samples, metric.baseline):
            if query is None:
                continue
            try:
                prometheus.instant(query)
            except UnansweredError as error:
                raise DeployError(error.given) from None
            except InconclusiveError:
                continue


def judge(config: AnalysisConfig, context: HookContext, window: float) -> Verdict:
    """Watch for ``window`` seconds, and tell the audit log how it ended.

    A limit that is missed, with enough samples, ends it at once. Everything else is decided at the end: each metric must
    be on the good side of its ``pass`` then, have its points over the window, and not be worse than its baseline.

    Args:
        config: what is watched.
        context: asked whether to stop.
        window: seconds.

    Returns:
        The verdict; nothing that can be read is a pass.
    """
    try:
        verdict = _watched(config, context, window)
    except DeployError as error:
        verdict = Verdict(Outcome.INCONCLUSIVE, error.given)
    told = {"outcome": str(verdict.outcome), "told": verdict.told, "window": window, "metrics": verdict.numbers}
    context.audit("analysis", told)
    return verdict


def _watched(config: AnalysisConfig, context: HookContext, window: float) -> Verdict:
    prometheus, started, count = Prometheus(config, context), time.monotonic(), config.intervals(window)
    for number in range(1, count + 1):
        if not _slept(context, started + window * number / count):
            return _cut(context, time.monotonic() - started, window)
        found = {metric.name: _read(metric, prometheus) for metric in config.metrics}
        context.progress(
            f"{'; '.join(each.told for each in found.values())} ({window * number / count:g} of {window:g} s)"
        )
        if any(each.outcome is Outcome.FAIL for each in found.values()):
            return _verdict(found)
    whole = {metric.name: _over(metric, found[metric.name], prometheus, window, count) for metric in config.metrics}
    return _verdict(whole)


def _slept(context: HookContext, until: float) -> bool:
    while not context.stopping():
        left = until - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, _POLL))
    return False


def _cut(context: HookContext, after: float, window: float) -> Verdict:
    late = time.monotonic() > context.deadline
    why = "the hook's time was over" if late else "stopped as asked"
    return Verdict(
        Outcome.INCONCLUSIVE if late else Outcome.STOPPED, f"{why} after {after:.0f} of {window:g} s of the window"
    )


def _verdict(found: Mapping[str, _Found]) -> Verdict:
    """The worst of all metrics is the verdict, and its sentence tells of those that are so."""
    outcome = next(
        (each for each in (Outcome.FAIL, Outcome.INCONCLUSIVE) if any(one.outcome is each for one in found.values())),
        Outcome.PASS,
    )
    told = "; ".join(one.told for one in found.values() if one.outcome is outcome)
    return Verdict(outcome, told, {name: {**one.numbers, "outcome": str(one.outcome)} for name, one in found.items()})


def _read(metric: MetricConfig, prometheus: Prometheus) -> _Found:
    """Read a metric as it is now, and go by its limits."""
    numbers: dict[str, Any] = {}
    try:
        reading = prometheus.instant(metric.query)
        numbers["value"] = reading.value
        if metric.samples is not None:
            numbers["samples"] = prometheus.instant(metric.samples).value
    except InconclusiveError as error:
        return _Found(Outcome.INCONCLUSIVE, f"{metric.name}: {error.given}", numbers)
    if metric.samples is not None and numbers["samples"] < (metric.min_samples or 0):
        told = f"{metric.name} has {numbers['samples']:.4g} samples, fewer than {metric.min_samples}"
        return _Found(Outcome.INCONCLUSIVE, told, numbers, reading)
    return _limited(metric, reading, numbers)


def _limited(metric: MetricConfig, reading: Reading, numbers: dict[str, Any]) -> _Found:
    value, good, bad = reading.value, metric.pass_, metric.limit
    if good is None or bad is None:
        return _Found(Outcome.PASS, f"{metric.name} is {value:.4g}", numbers, reading)
    numbers |= {"pass": good, "fail": bad}
    sign = 1 if metric.higher_is_worse else -1
    better, worse = ("below", "above") if metric.higher_is_worse else ("above", "below")
    if sign * value > sign * bad:
        return _Found(Outcome.FAIL, f"{metric.name} is {value:.4g}, {worse} {bad:g}", numbers, reading)
    if sign * value < sign * good:
        return _Found(Outcome.PASS, f"{metric.name} is {value:.4g}, {better} {good:g}", numbers, reading)
    told = f"{metric.name} is {value:.4g}, neither {better} {good:g} nor {worse} {bad:g}"
    return _Found(Outcome.INCONCLUSIVE, told, numbers, reading)


def _over(metric: MetricConfig, last: _Found, prometheus: Prometheus, window: float, count: int) -> _Found:
    """Look back over the window: were there points all along, and are they worse than the baseline's?"""
    if last.outcome is not Outcome.PASS or last.reading is None:
        return last
    end, step = last.reading.at, window / count
    try:
        own = _enough(metric, prometheus.points(metric.query, end, window, step), end, step, count)
        numbers = {**last.numbers, "points": len(own)}
        if metric.baseline is None:
            return _Found(Outcome.PASS, last.told, numbers)
        other = _enough(metric, prometheus.points(metric.baseline, end, window, step), end, step, count)
    except InconclusiveError as error:
        return _Found(Outcome.INCONCLUSIVE, f"{metric.name}: {error.given}", last.numbers)
    return _compared(metric, own, other, numbers)


def _enough(metric: MetricConfig, points: Points, end: float, step: float, count: int) -> tuple[float, ...]:
    needed = metric.points(count + 1)
    if len(points.values) < needed:
        raise InconclusiveError(f"{len(points.values)} points in the window, fewer than {needed}")
    if points.newest < end - _FRESH * step:
        raise InconclusiveError(f"stale: the newest point is {end - points.newest:.1f} s old")
    return points.values


def _compared(
    metric: MetricConfig, own: tuple[float, ...], other: tuple[float, ...], numbers: dict[str, Any]
) -> _Found:
    """Worse is what is so by size and by chance; what is so by size alone is not settled."""
    if least_p(len(own), len(other)) > metric.alpha:
        told = f"{metric.name}: {len(own)} and {len(other)} points can show nothing at alpha {metric.alpha:g}"
        return _Found(Outcome.INCONCLUSIVE, told, numbers)
    found = rank_test(own, other) if metric.higher_is_worse else rank_test(other, own)
    numbers |= {"p": found.p_value, "delta": found.delta, "n": len(own), "m": len(other), "method": found.method}
    seen = f"Cliff's delta {found.delta:.3g}, p {found.p_value:.3g}, {len(own)} and {len(other)} points"
    if found.delta < metric.effect or found.delta <= 0:
        return _Found(Outcome.PASS, f"{metric.name} is no worse than its baseline ({seen})", numbers)
    if found.p_value <= metric.alpha:
        return _Found(Outcome.FAIL, f"{metric.name} is worse than its baseline ({seen})", numbers)
    return _Found(Outcome.INCONCLUSIVE, f"{metric.name} may be worse than its baseline ({seen})", numbers)
