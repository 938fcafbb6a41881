"""ONNX models, run by ONNX Runtime on the CPU."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.errors import GateUsageError, SourceError
from pytest_leanml.sources.columns import column, column_names, row_count, to_pandas
from pytest_leanml.sources.faults import told_as
from pytest_leanml.sources.features import feature_frame
from pytest_leanml.sources.outputs import checked_predictions, checked_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

DTYPES: Mapping[str, type] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
OLDEST = (1, 24)  # before it, a model could name tensors outside of its folder, which no digest covers
CLEAR = 1e-6  # how far a probability must lie above the others for its label to be told by it


class OnnxPredictor:
    """A Predictor over an ONNX Runtime session.

    Not frozen: the classes of a classifier stand in its answers, so they are known after the first call of ``scores``.
    """

    def __init__(self, session: Any, digest: str, names: Sequence[str] | None, drop: Sequence[str]) -> None:
        self._session = session
        self._names = tuple(names) if names is not None else None
        self._drop = tuple(drop)
        self._classes: tuple[Any, ...] | None = None
        self.digest = digest

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """Return the labels in the order of the scores; None before the first ``scores``, and for a regression."""
        return self._classes

    def features(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return which of a frame's columns the model is given."""
        each = _column_each(self._session.get_inputs(), columns)
        if each is not None:
            return each
        return self._names if self._names is not None else tuple(name for name in columns if name not in self._drop)

    def predict(self, frame: Any) -> NDArray[Any]:
        """Return labels or values of shape (n,); see ``Predictor.predict``."""
        return self._labels(self._run(frame), row_count(frame))

    def scores(self, frame: Any) -> NDArray[np.float64] | None:
        """Return probabilities; see ``Predictor.scores``.

        Raises:
            SourceError: also where the labels of the columns cannot be told for certain.
        """
        if len(self._session.get_outputs()) == 1:
            return None
        outputs = self._run(frame)
        labels = self._labels(outputs, row_count(frame))
        self._classes, raw = _probabilities(outputs[1], labels, self._classes)
        classes = self._classes
        return checked_scores(raw, row_count(frame), who="the ONNX model", classes=classes)

    def _labels(self, outputs: Sequence[Any], rows: int) -> NDArray[Any]:
        values = checked_predictions(outputs[0], rows, who="the ONNX model", classes=self._classes)
        return values.astype(np.float64) if values.dtype.kind == "f" else values

    def _run(self, frame: Any) -> list[Any]:
        feed = _feed(self._session.get_inputs(), to_pandas(frame), self._names, self._drop)
        with told_as("the ONNX model failed", "an answer for each row", "see that it fits the data", also=_faults()):
            outputs: list[Any] = self._session.run(None, feed)
        return outputs


def load_onnx(  # noqa: PLR0913 - one for each thing a model file leaves open
    data: bytes,
    file: Path,
    *,
    digest: str,
    drop: Sequence[str],
    names: Sequence[str] | None = None,
    folder: Path | None = None,
) -> OnnxPredictor:
    """Load an ONNX model from the bytes that were hashed.

    Args:
        data: the file's bytes.
        file: its path, for messages.
        digest: the digest of the artifact.
        drop: columns that are never features.
        names: its features in order (an MLflow signature's).
        folder: where tensors kept in other files may lie; None refuses them, since the digest does not cover them.

    Raises:
        GateUsageError: ONNX Runtime is not installed, or too old.
        SourceError: no ONNX model, or broken, or it points to files outside.
    """
    with tempfile.TemporaryDirectory(prefix="leanml-") as empty:
        session = _session(data, file, folder or Path(empty))
    return OnnxPredictor(session, digest, names, drop)


def _session(data: bytes, file: Path, folder: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as fault:
        todo = "python -m pip install 'pytest-leanml[onnx]'"
        raise GateUsageError("ONNX Runtime is not installed", "the package onnxruntime", todo, file=file) from fault
    _check_version(onnxruntime.__version__, file)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its C++ log goes straight to the terminal; what matters arrives as an exception
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    with told_as(
        "this is no ONNX model", "a whole, self-contained ONNX file", "export it again", file=file, also=_faults()
    ):
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _check_version(version: str, file: Path) -> None:
    """Refuse an ONNX Runtime that reads more than the digest covers."""
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise GateUsageError(
            f"ONNX Runtime {version} reads tensors outside of a model's folder",
            f"{oldest} or newer",
            "python -m pip install --upgrade 'pytest-leanml[onnx]'",
            file=file,
        )


def _faults() -> tuple[type[Exception], ...]:
    """Return ONNX Runtime's own exceptions, which derive from Exception alone."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (value for value in vars(state).values() if isinstance(value, type))
    return tuple(kind for kind in found if issubclass(kind, Exception))


def _feed(
    inputs: Sequence[Any], frame: Any, names: Sequence[str] | None, drop: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return one array for each input: a column each, or one matrix of all features."""
    wanted = _column_each(inputs, column_names(frame))
    if wanted is not None:
        features = feature_frame(frame, wanted, drop)
        return {
            each.name: _cast(column(features, name)[:, None], each) for each, name in zip(inputs, wanted, strict=True)
        }
    features = feature_frame(frame, names, drop)
    width = _width(inputs[0])
    found = column_names(features)
    if width is not None and width != len(found):
        raise SourceError(
            f"the ONNX model takes {width} features, the data has {len(found)} ({', '.join(found[:12])})",
            f"{width} columns beside target, ids and weights",
            "log it with a signature that names its columns, or keep only these columns",
        )
    return {inputs[0].name: np.column_stack([_cast(column(features, name), inputs[0]) for name in found])}


def _column_each(inputs: Sequence[Any], columns: Sequence[str]) -> tuple[str, ...] | None:
    """Return the column that each input means, None where one input takes all features."""
    wanted = tuple(_column_of(each.name, columns) for each in inputs)
    alone = len(inputs) == 1 and not (wanted[0] in columns and _width(inputs[0]) in (1, None))
    return None if alone else wanted


def _column_of(name: str, columns: Sequence[str]) -> str:
    """Return the column an input means: of its name, or the only one that exporters turn into it ("a b" to a_b)."""
    alike = [each for each in columns if re.sub(r"\W", "_", each) == name]
    return alike[0] if name not in columns and len(alike) == 1 else name


def _width(given: Any) -> int | None:
    """Return the static number of columns of an input, None where it is open."""
    shape = given.shape
    return shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None  # noqa: PLR2004 - rows, columns


def _cast(values: NDArray[Any], given: Any) -> NDArray[Any]:
    dtype = DTYPES.get(given.type)
    if dtype is None:
        raise SourceError(
            f"the input `{given.name}` of the ONNX model is a {given.type}", f"one of {', '.join(DTYPES)}"
        )
    if dtype is np.object_:
        return _texts(values, given)
    # A number that does not fit must not turn into another one in silence.
    wrong = f"the data does not fit the input `{given.name}` ({given.type})"
    with told_as(wrong, "numbers that fit"), np.errstate(over="raise", invalid="raise"):
        return values.astype(dtype)


def _texts(values: NDArray[Any], given: Any) -> NDArray[Any]:
    missing = int(np.count_nonzero(pd.isna(values)))
    if missing:
        raise SourceError(
            f"{missing} texts for the input `{given.name}` of the ONNX model are missing",
            "text in each row: an ONNX model knows no missing text",
            "fill them as the training did",
        )
    return values.astype(str).astype(object)


def _probabilities(
    raw: Any, labels: NDArray[Any], known: tuple[Any, ...] | None
) -> tuple[tuple[Any, ...], NDArray[Any]]:
    """Return the classes and the matrix of probabilities: of a ZipMap's list of mappings, or of a tensor."""
    if isinstance(raw, list):
        with told_as("the probabilities of the ONNX model cannot be read", "a mapping of label to probability"):
            classes = tuple(raw[0])
            return classes, np.array([[row[label] for label in classes] for row in raw], dtype=np.float64)
    values = np.asarray(raw)
    if values.ndim != 2 or values.dtype.kind != "f" or len(values) != len(labels):  # noqa: PLR2004 - rows, classes
        raise SourceError(
            f"the second output of the ONNX model has the shape {values.shape}", "probabilities: (rows, classes)"
        )
    return _told_by(values, labels, known), values


def _told_by(values: NDArray[Any], labels: NDArray[Any], known: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """Tell which label each column stands for: the label given where its probability is clearly the largest.

    Labels 0 to k-1 may stand for themselves where nothing says otherwise; what an earlier call told holds as long as
    nothing contradicts it.
    """
    ranked = np.sort(values, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > CLEAR if values.shape[1] > 1 else np.ones(len(values), dtype=bool)
    pairs = set(zip(values.argmax(axis=1)[clear].tolist(), labels[clear].tolist(), strict=True))
    told = dict(pairs)
    places = range(values.shape[1])
    if len(told) == len(pairs) == len(set(told.values())):
        if len(told) == len(places):
            known = tuple(told[place] for place in places)
        elif known is None and told and labels.dtype.kind in "iu":
            known = tuple(places)
        if known is not None and all(place in places and known[place] == label for place, label in pairs):
            return known
    raise SourceError(
        "which label each probability of the ONNX model belongs to cannot be told from its answers",
        "probabilities whose largest one belongs to the label given",
        "export it with a ZipMap (skl2onnx: options={'zipmap': True}), or save it as skops",
    )
