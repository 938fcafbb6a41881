"""The gain of a candidate over a champion on the same rows, with an interval that knows they are the same rows.

Two models err on the same hard rows, so their difference is known far better than two separate intervals suggest.

The estimate's ``interval`` names the method:

- accuracy: "newcombe-paired", see ``joint.newcombe_paired``; relative: "paired-bootstrap".
- precision, recall, f1_score: "paired-bootstrap", see ``joint.bootstrap_limits``; multiclass: of their plain means.
- roc_auc: "paired-delong" (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44, 837-845), with Student's t of
  the rarest class; multiclass: of the plain mean of each class against the rest, rows drawn at large.
- log_loss: "paired-hall-t", Hall's interval (1992, JRSS B 54, 221-228) on the differences row by row: they are skewed.
- brier_score, mae: "paired-t" on the differences row by row.
- rmse, r2: "paired-delta", Student's t on what each row moves the metric by, to first order.
- the last three lines, relative: "paired-delta", by the slopes of the quotient.

Where the models differ alike in every row, t would give an interval of width zero. A bounded metric then gets
"binomial-bound": with the confidence asked for, at most a share 1 - ((1 - confidence) / 2) ** (1 / n) of rows can
differ from those seen, by no more than the metric allows. An unbounded one (mae, rmse, r2) gets no interval; nor
does an RMSE of exactly 0, nor a bootstrap in which more than 5 % of the resamples are undefined.

Two other methods can be asked for: "bootstrap" takes the paired bootstrap for every metric; "permutation" widens the
default interval, where need be, to that of the paired permutation test (``permutation``), so that no gain above 0 is
proven which that test does not find at the same level: "paired-permutation".

``details`` holds what the rows say beside the interval: both values, the flips and McNemar's p values (metrics of
labels), DeLong's z and p value (roc_auc), the p value of Student's t (all others), and what the method adds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from scipy import special

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.agreement import agreement
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.influence import HALL, influence_of
from pytest_leanml.stats.intervals import critical_t, skewed
from pytest_leanml.stats.joint import accuracy_limits, bootstrap_limits, joint_cells
from pytest_leanml.stats.pairs import demand_same, translation
from pytest_leanml.stats.permutation import permute
from pytest_leanml.stats.probabilities import codes_of
from pytest_leanml.stats.quality import Needs, measure, metric_for
from pytest_leanml.stats.resampling import bootstrap_rows
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from typing import TypeAlias

    from pytest_leanml.stats.influence import Influence
    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import IntArray, Sample

    # Limits, the name of their method, and the details that the tests add.
    _Found: TypeAlias = tuple[Limits | None, str, dict[str, float]]

METHODS = ("auto", "bootstrap", "permutation")
PAIRED = ("accuracy", "precision", "recall", "f1_score", "roc_auc", "log_loss", "brier_score", "rmse", "mae", "r2")


@dataclass(frozen=True, slots=True)
class _Gain:
    """What is asked for.

    Attributes:
        metric: its name.
        ours: the candidate's value.
        theirs: the champion's value.
        sign: 1 where higher is better, else -1.
        relative: divided by the champion's value.
        confidence: two-sided level.
        method: one of ``METHODS``.
        seed: of resampling and permuting.
    """

    metric: str
    ours: float
    theirs: float
    sign: int
    relative: bool
    confidence: float
    method: str
    seed: int

    @property
    def value(self) -> float:
        """The gain; positive where the candidate is better."""
        return self.sign * (self.ours - self.theirs) / (self.theirs if self.relative else 1.0)

    @property
    def slopes(self) -> tuple[float, float]:
        """How much the gain moves with the candidate's value, and with the champion's."""
        if not self.relative:
            return float(self.sign), -float(self.sign)
        return self.sign / self.theirs, -self.sign * (self.ours / self.theirs) / self.theirs


def gain(  # noqa: PLR0913 - keyword only
    metric: str,
    candidate: Sample,
    champion: Sample,
    *,
    relative: bool = False,
    confidence: float = 0.95,
    seed: int = 0,
    method: str = "auto",
) -> Estimate:
    """Return how much better the candidate is than the champion; positive where it is better.

    Args:
        metric: one of ``PAIRED``.
        candidate: the new model's answers.
        champion: the present model's, on the same rows in the same order.
        relative: divide the gain by the champion's value.
        confidence: two-sided level.
        seed: of the resampling; the same seed gives the same interval.
        method: auto, bootstrap or permutation; see above.

    Returns:
        The gain in the metric's unit, "1" when relative; details: candidate and champion (their values), and the tests.

    Raises:
        InconclusiveError: the metric is undefined for either model, or relative to a champion's value not above 0.
        MeasurementError: not the same rows, tasks or positive labels; the metric or the method does not fit them; not
            finite.
    """
    facts = metric_for(metric, candidate)
    demand_same(candidate, champion)
    if metric not in PAIRED:
        raise MeasurementError(f"a gain in {metric}", f"one of {', '.join(PAIRED)}", "compare another metric")
    if method not in METHODS:
        raise MeasurementError(f"the method {method!r}", f"one of {', '.join(METHODS)}")
    ours, theirs = (measure(metric, each, confidence=confidence).value for each in (candidate, champion))
    if relative and not theirs > 0:
        raise InconclusiveError(
            f"a gain in {metric} relative to the champion's {theirs:.6g}",
            "a champion's value above 0",
            "use relative: false",
        )
    sign = 1 if facts.higher_is_better else -1
    asked = _Gain(metric, ours, theirs, sign, relative, confidence, method, seed)
    with np.errstate(over="ignore", invalid="ignore"):
        limits, name, tests = (_of_labels if facts.needs is Needs.LABELS else _of_rows)(asked, candidate, champion)
        if method == "permutation":
            limits, name, tests = _permuted(asked, candidate, champion, (limits, name, tests))
    return _estimate(asked, limits, name, len(candidate), unit="1" if relative else facts.unit, tests=tests)


def _estimate(  # noqa: PLR0913 - private
    asked: _Gain, limits: Limits | None, method: str | None, n: int, *, unit: str, tests: dict[str, float]
) -> Estimate:
    details = {"candidate": asked.ours, "champion": asked.theirs, **tests}
    _demand_finite(asked.metric, asked.value, *(limits or ()))
    if limits is None:
        return Estimate(asked.value, n, confidence=asked.confidence, unit=unit, details=details)
    # Percentiles need not hold the value itself; widening them to it can only make them more careful.
    low, high = min(limits[0], asked.value), max(limits[1], asked.value)
    return Estimate(asked.value, n, low, high, method, asked.confidence, unit, details=details)


def _permuted(asked: _Gain, candidate: Sample, champion: Sample, found: _Found) -> _Found:
    """Widen the limits to those of the permutation test: the value, give or take what chance stays below."""
    limits, _, tests = found
    permuted = permute(asked.metric, candidate, champion, seed=asked.seed)
    reach = permuted.reach(asked.confidence) * (1 / asked.theirs if asked.relative else 1.0)
    tests = {**tests, **permuted.details()}
    if limits is None or not math.isfinite(reach):
        return None, "", tests
    return (min(limits[0], asked.value - reach), max(limits[1], asked.value + reach)), "paired-permutation", tests


def _of_labels(asked: _Gain, candidate: Sample, champion: Sample) -> _Found:
    # Both models' labels are there, or their values could not have been measured.
    truth, ours = codes_of(candidate), cast("IntArray", candidate.pred_codes)
    theirs = translation(candidate, champion)[cast("IntArray", champion.pred_codes)]
    cells = joint_cells(truth, ours, theirs)
    tests = agreement(candidate, champion).details()
    if asked.metric == "accuracy" and not asked.relative and asked.method != "bootstrap":
        return accuracy_limits(cells, asked.confidence), "newcombe-paired", tests
    labels = _averaged(candidate, truth, ours), _averaged(candidate, truth, theirs)
    limits = bootstrap_limits(
        asked.metric, cells, labels, relative=asked.relative, confidence=asked.confidence, seed=asked.seed
    )
    return limits, "paired-bootstrap", tests


def _averaged(sample: Sample, truth: IntArray, given: IntArray) -> IntArray:
    """Return the classes that a metric is the mean over: the positive one, or all that truth or answers have."""
    if sample.task is Task.BINARY:
        return np.array([sample.classes.index(sample.positive)], dtype=np.intp)
    return np.union1d(truth, given)


def _of_rows(asked: _Gain, candidate: Sample, champion: Sample) -> _Found:
    influence = influence_of(asked.metric, candidate, champion)
    tests = {} if influence is None else _test(asked, influence)
    if asked.method == "bootstrap":
        limits = bootstrap_rows(
            asked.metric,
            candidate,
            champion,
            sign=asked.sign,
            relative=asked.relative,
            confidence=asked.confidence,
            seed=asked.seed,
        )
        if limits is not None:
            return limits, "paired-bootstrap", tests
    return *_row_limits(asked, influence), tests


def _test(asked: _Gain, influence: Influence) -> dict[str, float]:
    """Return the test of no gain at all that goes with the influences; nothing where no row differs from another.

    DeLong's z is referred to the normal distribution, as R's ``pROC::roc.test`` does; the interval refers it to Student's
    t of the rarest class, which is the more careful with few rows.
    """
    error = influence.error((float(asked.sign), -float(asked.sign)))
    if error is None:
        return {}
    quotient = asked.sign * (asked.ours - asked.theirs) / error
    if asked.metric == "roc_auc":
        return {"delong_z": quotient, "delong_p": float(2 * special.ndtr(-abs(quotient)))}
    return {"t": quotient, "t_p": float(2 * special.stdtr(influence.known - 1, -abs(quotient)))}


def _row_limits(asked: _Gain, influence: Influence | None) -> tuple[Limits | None, str]:
    if influence is None:
        return None, ""
    error, blind = influence.error(asked.slopes), influence.blind(asked.slopes, asked.confidence)
    if not math.isfinite(blind):
        return None, ""
    if error is None:
        return (asked.value - blind, asked.value + blind), "binomial-bound"
    if influence.method == HALL and not asked.relative:
        skew = influence.skew(asked.slopes)
        return skewed(asked.value, error, influence.known, skew, asked.confidence), HALL
    margin = critical_t(asked.confidence, influence.known - 1) * error + blind
    method = "paired-delta" if asked.relative and influence.method in ("paired-t", HALL) else influence.method
    return (asked.value - margin, asked.value + margin), method


def _demand_finite(metric: str, *values: float) -> None:
    if not all(map(math.isfinite, values)):
        raise MeasurementError(
            f"the gain in {metric} is not finite", "values whose squares fit a float", "rescale the target"
        )
