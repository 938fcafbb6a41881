"""Read an MLflow model's MLmodel file without MLflow, whose import alone takes seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import ConfigError, LeanmlError, SourceError
from pytest_leanml.strict import load_json
from pytest_leanml.strict_yaml import load_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class MlModel:
    """What an MLmodel file says.

    Attributes:
        flavors: flavour -> its settings.
        inputs: the signature's column names in order, None where it names none.
    """

    flavors: Mapping[str, Mapping[str, Any]]
    inputs: tuple[str, ...] | None


def read_mlmodel(folder: Path) -> MlModel:
    """Read ``folder``/MLmodel.

    Raises:
        SourceError: absent or broken.
    """
    file = Path(folder) / "MLmodel"
    if not file.is_file():
        raise SourceError("the folder holds no MLmodel", "an MLflow model, or the path of one file", file=folder)
    try:
        content = load_yaml(file.read_bytes(), file=file).value
        flavors = content.get("flavors") if isinstance(content, dict) else None
        if not isinstance(flavors, dict) or not flavors or not all(isinstance(each, dict) for each in flavors.values()):
            raise _broken(file, "no `flavors`")
        return MlModel(flavors, _inputs(content.get("signature"), file))
    except (ConfigError, OSError) as fault:
        raise _broken(file, str(fault)) from fault


def _inputs(signature: Any, file: Path) -> tuple[str, ...] | None:
    """Return the names of a column-based signature: ``inputs`` is JSON text inside the YAML."""
    text = signature.get("inputs") if isinstance(signature, dict) else None
    if text is None:
        return None
    if not isinstance(text, str):
        raise _broken(file, "`signature.inputs` is no text")
    columns = load_json(text, file=file)
    if not isinstance(columns, list) or not all(isinstance(each, dict) for each in columns):
        raise _broken(file, "`signature.inputs` is no list of columns")
    names = [each.get("name") for each in columns if each.get("type") != "tensor"]
    return tuple(names) if names and all(isinstance(name, str) for name in names) else None


def inner_file(folder: Path, model: MlModel, flavor: str, key: str) -> Path:
    """Return the file that a flavour names, inside ``folder``.

    Raises:
        SourceError: no name, a path that leads out of the folder, or no such file.
    """
    name = model.flavors[flavor].get(key)
    if not isinstance(name, str) or not name:
        raise _broken(folder / "MLmodel", f"`flavors.{flavor}.{key}` names no file")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in parts:
        raise _broken(folder / "MLmodel", f"`flavors.{flavor}.{key}` leads out of the folder: {name!r}")
    return folder.joinpath(*parts)


def _broken(file: Path, why: str) -> LeanmlError:
    return SourceError(f"this MLmodel cannot be used: {why}", "one written by MLflow", "log the model again", file=file)
