"""Whether the data and the answers are of the types that the model's MLflow signature promises to its callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError
from pytest_leanml.sources.columns import column, column_names, series
from pytest_leanml.strict import load_json
from pytest_leanml.strict_yaml import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# MLflow's types of columns -> kinds of NumPy that go in without loss, and the largest size in bytes; MLflow enforces these.
_FITS: Mapping[str, Mapping[str, int]] = {
    "boolean": {"b": 1},
    "integer": {"i": 4, "u": 2},
    "long": {"i": 8, "u": 4},
    "float": {"f": 4},
    "double": {"f": 8, "i": 4, "u": 4},
    "datetime": {"M": 8},
}
_TEXTS: Mapping[str, type] = {"string": str, "binary": bytes}
# MLflow's types of answers -> kinds of NumPy; MLflow does not enforce them.
_ANSWERS: Mapping[str, str] = {
    "boolean": "b",
    "integer": "iu",
    "long": "iu",
    "float": "f",
    "double": "f",
    "string": "O",
}
_ROWS: tuple[list[int], ...] = ([-1], [-1, 1])


def problems(folder: Path, frame: Any, features: Sequence[str], answers: NDArray[Any]) -> dict[str, str]:
    """Return what does not conform: column (``answers`` for the output) -> why; empty where all does.

    Args:
        folder: the MLflow model.
        frame: the rows it is called with.
        features: its columns that are features.
        answers: what it answered, shape (n,).

    Raises:
        InconclusiveError: no MLflow model, or one without a signature of inputs and outputs.
        SourceError: a broken MLmodel.
    """
    inputs, outputs = _signature(folder)
    found = dict(_of_inputs(inputs, frame, features))
    return {**found, **dict(_of_outputs(outputs, answers))}


def _signature(folder: Path) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    file = folder / "MLmodel"
    if not file.is_file():
        raise InconclusiveError(
            "the candidate is no MLflow model, so that it has no signature", "an MLmodel file", "log it with MLflow"
        )
    try:
        content = load_yaml(file.read_bytes(), file=file).value
        signature = content.get("signature") if isinstance(content, dict) else None
        parts = {name: _columns(signature, name, file) for name in ("inputs", "outputs")}
    except (ConfigError, OSError) as fault:
        raise SourceError(f"this MLmodel cannot be read: {fault}", "one written by MLflow", file=file) from fault
    for name, columns in parts.items():
        if not columns:
            raise InconclusiveError(
                f"the candidate has no signature of its {name}",
                "`signature:` with inputs and outputs in its MLmodel",
                "log it with signature=mlflow.models.infer_signature(features, model.predict(features))",
            )
    return parts["inputs"], parts["outputs"]


def _columns(signature: Any, name: str, file: Path) -> list[dict[str, Any]]:
    text = signature.get(name) if isinstance(signature, dict) else None
    if text is None:
        return []
    found = load_json(text, file=file) if isinstance(text, str) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise SourceError(f"`signature.{name}` is no list of columns", "one written by MLflow", file=file)
    return found


def _of_inputs(inputs: Sequence[Mapping[str, Any]], frame: Any, features: Sequence[str]) -> Iterator[tuple[str, str]]:
    have = column_names(frame)
    if len(inputs) == 1 and "name" not in inputs[0] and inputs[0].get("type") == "tensor":
        yield from _of_matrix(inputs[0], frame, features)
        return
    for place, each in enumerate(inputs):
        # Without names, the columns are meant in their order.
        name = str(each.get("name", features[place] if place < len(features) else place))
        required = bool(each.get("required", not each.get("optional", False)))
        why = _misfit(frame, name, each, required=required) if name in have else "is absent" if required else None
        if why:
            yield name, why


def _misfit(frame: Any, name: str, told: Mapping[str, Any], *, required: bool) -> str | None:
    values, kind = column(frame, name), str(told.get("type"))
    gone = pd.isna(values)
    if required and gone.any():
        return f"has {int(gone.sum())} of {len(values)} values missing, and the signature requires it"
    if kind == "tensor":
        dtype, shape = _tensor(told)
        fits = shape in _ROWS and dtype == values.dtype.name
        return None if fits else f"holds {values.dtype} where the signature says {dtype} of the shape {shape}"
    present = values[~gone]
    if kind in _TEXTS:
        return None if all(isinstance(each, _TEXTS[kind]) for each in present.tolist()) else f"holds other than {kind}"
    fits = kind in _FITS and _goes_in(values if required else present, kind)
    if fits and kind == "datetime":
        fits = getattr(series(frame, name).dtype, "tz", None) is None
    return None if fits else f"holds {series(frame, name).dtype} where the signature says {kind}"


def _goes_in(values: NDArray[Any], kind: str) -> bool:
    if _FITS[kind].get(values.dtype.kind, 0) >= values.dtype.itemsize:
        return True
    # MLflow takes whole numbers for others where they are flags.
    return kind in ("float", "double") and values.dtype == np.int64 and bool(np.isin(values, (0, 1)).all())


def _of_matrix(told: Mapping[str, Any], frame: Any, features: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Hold all features together against a tensor without a name: a row of the matrix each."""
    dtype, shape = _tensor(told)
    if shape != [-1, len(features)]:
        yield "inputs", f"are {len(features)} features, where the signature says the shape {shape}"
    kinds = {name: column(frame, name).dtype for name in features}
    for name, kind in kinds.items():
        if kind.kind not in "iufb":
            yield name, f"holds {kind}, where the signature says a matrix of {dtype}"
    numbers = [kind for kind in kinds.values() if kind.kind in "iufb"]
    if numbers and np.result_type(*numbers).name != dtype:
        yield "inputs", f"are {np.result_type(*numbers)} together, where the signature says {dtype}"


def _tensor(told: Mapping[str, Any]) -> tuple[str, Any]:
    spec = told.get("tensor-spec")
    return (str(spec.get("dtype")), spec.get("shape")) if isinstance(spec, dict) else ("nothing", None)


def _of_outputs(outputs: Sequence[Mapping[str, Any]], answers: NDArray[Any]) -> Iterator[tuple[str, str]]:
    if len(outputs) != 1:
        yield "answers", f"are one value for each row, where the signature says {len(outputs)} columns"
        return
    told = outputs[0]
    if told.get("type") != "tensor":
        fits, said = answers.dtype.kind in _ANSWERS.get(str(told.get("type")), ""), told.get("type")
    else:
        dtype, shape = _tensor(told)
        fits, said = shape in _ROWS and _same_kind(dtype, answers), f"{dtype} of the shape {shape}"
    if not fits:
        yield "answers", f"are {answers.dtype}, where the signature says {said}"


def _same_kind(dtype: str, answers: NDArray[Any]) -> bool:
    groups = {"int": "iu", "uint": "iu", "float": "f", "bool": "b", "str": "O", "object": "O"}
    return answers.dtype.kind in next((kinds for start, kinds in groups.items() if dtype.startswith(start)), "")
