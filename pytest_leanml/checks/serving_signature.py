"""Whether the data and the answers are of the types that the model's MLflow signature promises to its callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError
from pytest_leanml.sources.columns import column, column_names
from pytest_leanml.strict import load_json
from pytest_leanml.strict_yaml import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# MLflow's types of columns -> kinds of NumPy that go in without loss, and the largest size in bytes.
_FITS: Mapping[str, Mapping[str, int]] = {
    "boolean": {"b": 1},
    "integer": {"i": 4, "u": 2},
    "long": {"i": 8, "u": 4},
    "float": {"f": 4, "i": 2, "u": 2},
    "double": {"f": 8, "i": 4, "u": 4},
    "datetime": {"M": 8},
}
_KINDS: Mapping[str, str] = {
    "boolean": "b",
    "integer": "iu",
    "long": "iu",
    "float": "f",
    "double": "f",
    "datetime": "M",
    "string": "O",
    "binary": "O",
}
_EXACT = 2**53


def problems(folder: Path, frame: Any, answers: NDArray[Any]) -> dict[str, str]:
    """Return what does not conform: column (``answers`` for the output) -> why; empty where all does.

    Args:
        folder: the MLflow model.
        frame: the rows it is called with.
        answers: what it answered, shape (n,).

    Raises:
        InconclusiveError: no MLflow model, or one without a signature.
        SourceError: a broken MLmodel.
    """
    inputs, outputs = _signature(folder)
    found = dict(_of_inputs(inputs, frame))
    return {**found, **dict(_of_outputs(outputs, answers))}


def _signature(folder: Path) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    file = folder / "MLmodel"
    if not folder.is_dir() or not file.is_file():
        raise InconclusiveError(
            "the candidate is no MLflow model, so that it has no signature", "an MLmodel file", "log it with MLflow"
        )
    try:
        content = load_yaml(file.read_bytes(), file=file).value
        signature = content.get("signature") if isinstance(content, dict) else None
        parts = [_columns(signature, name, file) for name in ("inputs", "outputs")]
    except (ConfigError, OSError) as fault:
        raise SourceError(f"this MLmodel cannot be read: {fault}", "one written by MLflow", file=file) from fault
    if not parts[0]:
        raise InconclusiveError(
            "the candidate has no signature of its inputs",
            "`signature:` in its MLmodel",
            "log it with signature=mlflow.models.infer_signature(features, model.predict(features))",
        )
    return parts[0], parts[1]


def _columns(signature: Any, name: str, file: Path) -> list[dict[str, Any]]:
    text = signature.get(name) if isinstance(signature, dict) else None
    if text is None:
        return []
    found = load_json(text, file=file) if isinstance(text, str) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise SourceError(f"`signature.{name}` is no list of columns", "one written by MLflow", file=file)
    return found


def _of_inputs(inputs: Sequence[Mapping[str, Any]], frame: Any) -> Iterator[tuple[str, str]]:
    have = column_names(frame)
    for place, each in enumerate(inputs):
        name = str(each.get("name", have[place] if place < len(have) else place))
        if each.get("type") == "tensor":
            continue  # rows of a matrix: its columns have no names to hold against
        if name not in have:
            if each.get("required", True):
                yield name, "is absent"
            continue
        why = _misfit(column(frame, name), str(each.get("type")), required=bool(each.get("required", True)))
        if why:
            yield name, why


def _misfit(values: NDArray[Any], kind: str, *, required: bool) -> str | None:
    gone = pd.isna(values)
    if required and gone.any():
        return f"{int(gone.sum())} of {len(values)} values are missing, and the signature requires it"
    present = values[~gone]
    if kind in ("string", "binary"):
        wanted = str if kind == "string" else bytes
        return None if all(isinstance(each, wanted) for each in present.tolist()) else f"holds other than {kind}"
    fits = _FITS.get(kind)
    if fits is None:
        return f"is of the type {kind}, which cannot be held against a table"
    if fits.get(present.dtype.kind, 0) >= present.dtype.itemsize or _whole_in(present, kind):
        return None
    return f"holds {values.dtype} where the signature says {kind}"


def _whole_in(values: NDArray[Any], kind: str) -> bool:
    """Tell whether whole numbers fit a double for their size; MLflow takes these."""
    return bool(
        kind == "double" and values.dtype.kind in "iu" and (values.size == 0 or int(np.abs(values).max()) <= _EXACT)
    )


def _of_outputs(outputs: Sequence[Mapping[str, Any]], answers: NDArray[Any]) -> Iterator[tuple[str, str]]:
    if not outputs:
        return
    if len(outputs) != 1:
        yield "answers", f"one value for each row, where the signature says {len(outputs)} columns"
        return
    kinds = _output_kinds(outputs[0])
    if answers.dtype.kind not in kinds:
        yield "answers", f"are {answers.dtype}, where the signature says {outputs[0].get('type')}"


def _output_kinds(output: Mapping[str, Any]) -> str:
    if output.get("type") != "tensor":
        return _KINDS.get(str(output.get("type")), "")
    spec = output.get("tensor-spec")
    named = str(spec.get("dtype")) if isinstance(spec, dict) else ""
    groups = {"int": "iu", "uint": "iu", "float": "f", "bool": "b", "str": "O", "object": "O"}
    return next((kinds for start, kinds in groups.items() if named.startswith(start)), "")
