"""Python objects with ``predict``: scikit-learn's, a project's own, MLflow's pyfunc."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.columns import row_count, to_pandas
from pytest_leanml.sources.faults import FAULTS, calling
from pytest_leanml.sources.features import feature_frame, for_estimator
from pytest_leanml.sources.outputs import checked_predictions, checked_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPAIR = "see that the model and the data belong together"


@dataclass(frozen=True, slots=True)
class EstimatorPredictor:
    """A Python object with ``predict`` and perhaps ``predict_proba`` and ``classes_``.

    Attributes:
        model: the object.
        digest: ``sha256:...`` of what it was loaded from.
        who: what to call it in messages.
        names: its features, where its file names them; the object's own ``feature_names_in_`` win.
        drop: columns that are never features.
        native: give it the frame as it came (a project's own object); else as pandas.
    """

    model: Any
    digest: str
    who: str = "the model"
    names: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    native: bool = False

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """Return ``classes_`` as plain Python values, None where there are none.

        Raises:
            SourceError: several targets at once.
        """
        found = getattr(self.model, "classes_", None)
        if found is None:
            return None
        values = np.asarray(found) if not isinstance(found, list) else np.asarray(found, dtype=object)
        if values.ndim != 1 or any(isinstance(value, np.ndarray) for value in values):
            raise SourceError(f"{self.who} predicts several targets at once", "one target")
        return tuple(value.item() if isinstance(value, np.generic) else value for value in values)

    def predict(self, frame: Any) -> NDArray[Any]:
        """Return labels or values of shape (n,); see ``Predictor.predict``."""
        raw = self._ask("predict", frame)
        return checked_predictions(raw, row_count(frame), who=self.who, classes=self.classes)

    def scores(self, frame: Any) -> NDArray[np.float64] | None:
        """Return probabilities; see ``Predictor.scores``."""
        if not callable(getattr(self.model, "predict_proba", None)):
            return None
        raw = self._ask("predict_proba", frame)
        return checked_scores(raw, row_count(frame), who=self.who, classes=self.classes)

    def _ask(self, method: str, frame: Any) -> Any:
        given = frame if self.native else to_pandas(frame)
        with calling(f"{self.who} failed in {method}", "a prediction for each row", REPAIR):
            return getattr(self.model, method)(for_estimator(given, self.model, self.names, self.drop))


@dataclass(frozen=True, slots=True)
class FunctionPredictor:
    """An MLflow pyfunc: ``predict`` alone, called with a frame.

    Attributes:
        model: the pyfunc.
        digest: ``sha256:...`` of its folder.
        names: the columns of its signature, None without one.
        drop: columns that are never features.
    """

    model: Any
    digest: str
    names: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    classes: None = None

    def predict(self, frame: Any) -> NDArray[Any]:
        """Return labels or values of shape (n,); see ``Predictor.predict``."""
        features = feature_frame(to_pandas(frame), self.names, self.drop)
        with calling("the MLflow model failed in predict", "a prediction for each row", REPAIR):
            raw = self.model.predict(features)
        return checked_predictions(raw, row_count(frame), who="the MLflow model")

    def scores(self, frame: Any) -> None:  # noqa: ARG002 - the protocol's signature
        """Return None: a pyfunc does not say what its numbers are."""
        return


def digest_of_object(obj: Any) -> str:
    """Return a digest of an object's content, or of its identity where it cannot be hashed (a lock, a session).

    One object has one digest within a run; a copy, or the same object in another run, need not have the same.
    """
    try:
        content = joblib.hash(obj, hash_name="sha1")
    except FAULTS:
        content = f"{type(obj).__module__}.{type(obj).__qualname__} at {id(obj)}"
    return f"sha256:{hashlib.sha256(f'object {content}'.encode()).hexdigest()}"
