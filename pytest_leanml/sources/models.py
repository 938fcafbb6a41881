"""Load the model under judgement: by what the file is, never by what its name pretends, and nothing runs unasked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.digest import digest_bytes, digest_tree
from pytest_leanml.errors import SourceError
from pytest_leanml.sources.estimators import EstimatorPredictor, FunctionPredictor, digest_of_object
from pytest_leanml.sources.frames import read_bytes
from pytest_leanml.sources.mlmodel import MlModel, inner_file, read_mlmodel
from pytest_leanml.sources.onnx_files import OnnxPredictor, load_onnx
from pytest_leanml.sources.predictions import PredictionsFile, load_predictions
from pytest_leanml.sources.predictor import Predictor, class_scores, positive_scores
from pytest_leanml.sources.python_files import load_pickle, load_skops, refuse_untrusted

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "EstimatorPredictor",
    "FunctionPredictor",
    "OnnxPredictor",
    "PredictionsFile",
    "Predictor",
    "as_predictor",
    "class_scores",
    "load_model",
    "load_predictions",
    "positive_scores",
]

# Only these check what they answer: an object that merely looks like a Predictor is wrapped in one.
OURS = (EstimatorPredictor, FunctionPredictor, OnnxPredictor, PredictionsFile)
PICKLES = frozenset({".joblib", ".pkl", ".pickle"})
SUFFIXES = ".skops, .onnx, .joblib, .pkl, .pickle, or an MLflow model folder"


def load_model(
    artifact: Path,
    *,
    digest: str,
    trust: bool = False,
    trusted_types: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> Predictor:
    """Load a model from a file or an MLflow model folder.

    ``.skops`` and ``.onnx`` load as they are; what can run code while it is read (joblib, pickle, cloudpickle, any
    MLflow flavour but scikit-learn's skops and ONNX) loads with ``trust`` alone. The types that an MLflow model
    declares trustworthy itself are not believed.

    Args:
        artifact: the private copy.
        digest: the digest it must have: ``digest_artifact(artifact)`` of when it was taken.
        trust: ``model.trust`` of leanml.yaml.
        trusted_types: ``model.trusted_types`` of leanml.yaml, beside those that skops trusts.
        drop: columns that are never features: target, ids, weights.

    Raises:
        SourceError: absent, broken, not what its name says, not trusted, or not of that digest.
    """
    artifact = Path(artifact)
    if artifact.is_dir():
        return _load_folder(artifact, digest, trust=trust, trusted_types=trusted_types, drop=drop)
    data = read_bytes(artifact, what="the model")
    _same_digest(digest_bytes(data), digest, artifact)
    suffix = artifact.suffix.lower()
    if suffix == ".onnx":
        return load_onnx(data, artifact, digest=digest, drop=drop)
    if suffix == ".skops":
        model = load_skops(data, artifact, trusted_types)
    elif suffix in PICKLES:
        model = load_pickle(data, artifact, trust=trust)
    else:
        raise SourceError(f"a model of unknown kind {suffix!r}", SUFFIXES, "save it as one of these", file=artifact)
    return EstimatorPredictor(model, digest, drop=tuple(drop))


def as_predictor(obj: Any, *, digest: str | None = None, drop: Sequence[str] = (), who: str = "the model") -> Predictor:
    """Wrap what a project's own ``candidate`` or ``champion`` fixture returns.

    Args:
        obj: a Predictor of ours (returned as it is), or anything with ``predict``: an estimator, a Pipeline, an object.
        digest: digest of what it was loaded from; by default of the object's content.
        drop: columns that are never features: target, ids, weights.
        who: what to call it in messages.

    Raises:
        SourceError: it has no ``predict``.
    """
    if isinstance(obj, OURS):
        return obj
    if isinstance(obj, type) or not callable(getattr(obj, "predict", None)):
        raise SourceError(
            f"{who} is a {type(obj).__module__}.{type(obj).__qualname__} without `predict`",
            "an object with `predict(frame)` and, for probabilities, `predict_proba(frame)` and `classes_`",
            "return a fitted model from the fixture",
        )
    return EstimatorPredictor(obj, digest or digest_of_object(obj), who, drop=tuple(drop), native=True)


def _same_digest(found: str, expected: str, artifact: Path) -> None:
    if found != expected:
        raise SourceError(
            f"the model has the digest {found}",
            f"{expected}, as when it was taken",
            "run the gate again; something wrote to the model while it ran",
            file=artifact,
        )


def _load_folder(
    folder: Path, digest: str, *, trust: bool, trusted_types: Sequence[str], drop: Sequence[str]
) -> Predictor:
    _same_digest(digest_tree(folder), digest, folder)
    found = read_mlmodel(folder)
    dropped = tuple(drop)
    if "sklearn" in found.flavors:
        model = _load_sklearn(folder, found, trust=trust, trusted_types=trusted_types)
        return EstimatorPredictor(model, digest, names=found.inputs, drop=dropped)
    if "onnx" in found.flavors:
        file = inner_file(folder, found, "onnx", "data")
        data = read_bytes(file, what="the model")
        return load_onnx(data, file, digest=digest, drop=dropped, names=found.inputs, folder=file.parent)
    flavors = ", ".join(sorted(found.flavors))
    refuse_untrusted(folder / "MLmodel", f"an MLflow model of the flavour {flavors}", trust=trust)
    return FunctionPredictor(_load_pyfunc(folder), digest, found.inputs, dropped)


def _load_sklearn(folder: Path, found: MlModel, *, trust: bool, trusted_types: Sequence[str]) -> object:
    file = inner_file(folder, found, "sklearn", "pickled_model")
    kind = found.flavors["sklearn"].get("serialization_format", "pickle")
    data = read_bytes(file, what="the model")
    if kind == "skops":
        return load_skops(data, file, trusted_types)
    return load_pickle(data, file, trust=trust)


def _load_pyfunc(folder: Path) -> object:
    import mlflow.pyfunc

    from pytest_leanml.sources.faults import calling

    todo = "install what the model needs (its requirements.txt), or gate its predictions: `model: {predictions: FILE}`"
    with calling("MLflow cannot load the model", "a whole model", todo, file=folder):
        return mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
