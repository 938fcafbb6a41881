"""Metrics that a project brings: a scikit-learn scorer by name or object, or a function of truth and answers."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.custom import load
from pytest_leanml.checks.measurement import finite
from pytest_leanml.errors import ConfigError, InconclusiveError, LeanmlError, MeasurementError
from pytest_leanml.sources.faults import brief
from pytest_leanml.stats.quality import Needs
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_leanml.stats.samples import Sample

    # needs -> the sample with labels, scores or values; asked only for what the metric looks at.
    Answered = Callable[[str], Sample]
    Rows = NDArray[np.intp]


def score_of(  # noqa: PLR0913 - keyword only
    scorer: Any,
    answered: Answered,
    *,
    task: Task,
    root: Path,
    answers: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> Callable[[Rows], float]:
    """Return a function from positions of rows to the metric.

    Args:
        scorer: name of a scikit-learn scorer, ``module:attribute``, a scorer, or a function of true values and answers.
        answered: returns the model's sample of all rows.
        task: the model's.
        root: folder of leanml.yaml.
        answers: labels, scores or values, what a function gets; None for what the model predicts.
        params: further arguments of a function, by name.

    Raises:
        ConfigError: no such scorer or function, or it has no such parameter.
    """
    from sklearn.metrics import get_scorer

    named = isinstance(scorer, str) and ":" not in scorer
    if named:
        scorer, told = _by_name(scorer), scorer
    else:
        told = scorer if isinstance(scorer, str) else getattr(scorer, "__name__", repr(scorer))
        scorer = load(scorer, root, key="checks.quality.scorers") if isinstance(scorer, str) else scorer
    if not callable(scorer):
        raise ConfigError(f"`{told}` is a {type(scorer).__name__}", "a scorer, or a function of y_true and y_pred")
    call = (
        _scorer(scorer, answered, task, recoded=named)
        if isinstance(scorer, type(get_scorer("accuracy")))
        else _function(scorer, answered, task, told, answers=answers, params=params or {})
    )
    return lambda rows: _told(told, lambda: call(rows))


def _by_name(name: str) -> Any:
    from sklearn.metrics import get_scorer, get_scorer_names

    if name not in get_scorer_names():
        raise ConfigError(f"no scorer {name!r} in this scikit-learn", "one of sklearn.metrics.get_scorer_names()")
    return get_scorer(name)


def _told(name: str, call: Callable[[], object]) -> float:
    """Call a metric; what it leaves undefined is inconclusive, never the number that stands in for it.

    Raises:
        InconclusiveError: scikit-learn says that it is undefined.
        MeasurementError: it raised, whatever that was, or what it returned is no finite number.
    """
    from sklearn.exceptions import UndefinedMetricWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", UndefinedMetricWarning)
            found = call()
    except (LeanmlError, KeyboardInterrupt):
        raise
    except UndefinedMetricWarning as fault:
        raise InconclusiveError(f"`{name}` is undefined: {brief(fault)}", "rows on which it is defined") from fault
    except BaseException as fault:
        raise MeasurementError(f"`{name}` failed: {brief(fault)}", "a number", "call it by hand") from fault
    return finite(found, f"what `{name}` returned")


def _scorer(scorer: Any, answered: Answered, task: Task, *, recoded: bool) -> Callable[[Rows], object]:
    """Call a scikit-learn scorer with a model that remembers its answers; its X holds positions of rows.

    A scorer by name gets 0 and 1 (positive) or 0 to k - 1 for labels: most of them take 1 for the positive label.
    """
    needs = Needs.VALUES if task is Task.REGRESSION else Needs.LABELS
    whole = answered(needs)
    truth: NDArray[Any] = np.asarray(whole.y_true)
    if task is not Task.REGRESSION and recoded:
        truth = _codes(whole, whole.true_codes)
    model = _remembering(answered, needs, task, recoded=recoded)

    def call(rows: Rows) -> object:
        more = {} if whole.weights is None else {"sample_weight": whole.weights[rows]}
        return scorer(model, rows[:, None], truth[rows], **more)

    return call


def _codes(sample: Sample, codes: Any) -> NDArray[np.intp]:
    if sample.task is Task.BINARY:
        return np.asarray(codes == sample.classes.index(sample.positive)).astype(np.intp)
    return np.asarray(codes)


def _remembering(answered: Answered, needs: str, task: Task, *, recoded: bool) -> Any:
    """Return an estimator of scikit-learn's kind that answers for rows by their positions."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    def predicted(rows: NDArray[np.intp]) -> NDArray[Any]:
        sample = answered(needs)
        given: Any = sample.y_pred
        return np.asarray((_codes(sample, sample.pred_codes) if recoded else given)[rows[:, 0]])

    class Values(RegressorMixin, BaseEstimator):  # type: ignore[misc] # untyped
        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict(self, rows: NDArray[np.intp]) -> NDArray[Any]:
            given: Any = answered(needs).y_pred
            return np.asarray(given[rows[:, 0]])

    class Labels(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped
        def __sklearn_is_fitted__(self) -> bool:
            return True

        @property
        def classes_(self) -> NDArray[Any]:
            known = answered(needs).classes
            return np.arange(len(known)) if recoded else np.asarray(known)

        def predict(self, rows: NDArray[np.intp]) -> NDArray[Any]:
            return predicted(rows)

        def predict_proba(self, rows: NDArray[np.intp]) -> NDArray[Any]:
            scores: Any = answered(Needs.SCORES).scores
            chosen = scores[rows[:, 0]]
            return np.column_stack([1 - chosen, chosen]) if task is Task.BINARY else np.asarray(chosen)

    return Values() if task is Task.REGRESSION else Labels()


def _function(  # noqa: PLR0913 - private
    function: Callable[..., object],
    answered: Answered,
    task: Task,
    told: str,
    *,
    answers: str | None,
    params: Mapping[str, Any],
) -> Callable[[Rows], object]:
    usual = "values" if task is Task.REGRESSION else "labels"
    sample = answered(Needs(answers or usual))
    given: Any = sample.scores if answers == "scores" else sample.y_pred
    parameters = _parameters(function)
    unknown = sorted(set(params) - parameters) if parameters is not None else []
    if unknown:
        raise ConfigError(f"`{told}` has no parameter {unknown[0]!r}", "its own parameters", "correct `params`")
    weights = sample.weights
    if weights is not None and parameters is not None and "sample_weight" not in parameters:
        raise MeasurementError(
            f"`{told}` takes no sample_weight, and rows are weighted by `data.weights`",
            "a parameter `sample_weight` of shape (n,)",
            "add it, so that no weight is ignored",
        )

    def call(rows: Rows) -> object:
        more = {} if weights is None else {"sample_weight": weights[rows]}
        return function(sample.y_true[rows], given[rows], **{**params, **more})

    return call


def _parameters(function: Callable[..., object]) -> set[str] | None:
    """Return the names a function can be called with; None where it takes any, or does not say."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return None if any(each.kind is each.VAR_KEYWORD for each in found) else {each.name for each in found}
