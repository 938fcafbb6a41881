"""Manifests read strictly from YAML or JSON, with facts of the release put where a text asks for them.

Facts stand as ``${leanml.version}`` inside of texts, and are put there after the file was read: no value can change what
the file is. Braces and dollars of the manifests' own stay as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import ConfigError, DeployError
from pytest_leanml.strict_yaml import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_leanml.deploy.hook import HookContext

_FACT = re.compile(r"\$\{leanml\.([^}]*)\}")
_FACTS = {
    "alias": "alias",
    "before": "before",
    "digest": "digest",
    "environment": "environment",
    "model": "model",
    "release": "key",
    "run_id": "run_id",
    "version": "version",
}
# A line that begins so ends a document, inside of a block of text too (YAML 1.2, section 9.1.2).
_BORDER = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_SUFFIXES = {".yaml", ".yml", ".json"}
_PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
_MOST = 4096


def manifests(paths: Iterable[Path], values: Mapping[str, Path], context: HookContext) -> list[dict[str, Any]]:
    """Read all manifests of files and folders, in order.

    Args:
        paths: relative to leanml.yaml; of a folder all ``.yaml``, ``.yml`` and ``.json`` files in it, by name.
        values: files whose content is put where ``${leanml.values.NAME}`` stands.
        context: of the release.

    Raises:
        DeployError: a file cannot be read, or holds something that is not applied.
    """
    more = {f"values.{name}": _content(context.root / path, path) for name, path in values.items()}
    found = [each for path in paths for file in _files(context.root / path, path) for each in _objects(file, path)]
    if not found:
        raise DeployError(f"{', '.join(str(path) for path in paths)} holds no manifest")
    filled = [
        _filled(each, {**more, **{name: getattr(context, key) or "" for name, key in _FACTS.items()}}) for each in found
    ]
    for each in filled:
        _demand_named(each)
    names = [identity(each) for each in filled]
    if twice := next((name for index, name in enumerate(names) if name in names[:index]), None):
        raise DeployError(f"{twice} stands in the manifests twice")
    return filled


def identity(manifest: Mapping[str, Any]) -> str:
    """Return kind, group and name, which tell objects of one namespace apart."""
    return f"{kind_of(manifest)}/{manifest['metadata']['name']}"


def kind_of(manifest: Mapping[str, Any]) -> str:
    """Return the kind as kubectl takes it without a doubt: ``deployment.v1.apps``, ``configmap.v1.``."""
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    return f"{str(manifest['kind']).lower()}.{version}.{group}"


def unpinned(value: Any) -> Iterator[str]:
    """Yield the images of containers, at any depth, that have no digest."""
    if isinstance(value, list):
        for each in value:
            yield from unpinned(each)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in {"containers", "initContainers", "ephemeralContainers"} and isinstance(inner, list):
                images = [str(each.get("image")) for each in inner if isinstance(each, dict)]
                yield from (image for image in images if not _PINNED.fullmatch(image))
            yield from unpinned(inner)


def _files(path: Path, named: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES and each.is_file())
    if not found:
        raise DeployError(f"the folder {named} has no .yaml, .yml or .json file")
    return found


def _content(path: Path, named: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DeployError(f"{named} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8'}") from None


def _objects(file: Path, named: Path) -> Iterator[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeployError(f"{named} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8'}") from None
    start = 0
    for end in [*(each.start() for each in _BORDER.finditer(text)), len(text)]:
        # Empty lines before it keep the line numbers of messages.
        piece = "\n" * text.count("\n", 0, start) + text[start:end]
        start = end
        try:
            value = load_yaml(piece, file=named).value
        except ConfigError as error:
            raise DeployError(" ".join(str(error).split())) from None
        yield from _flat(value, named)


def _flat(value: Any, named: Path) -> Iterator[dict[str, Any]]:
    if value is None:
        return
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("apiVersion", "kind")):
        raise DeployError(f"{named} holds something without `apiVersion` and `kind`")
    if value["kind"].endswith("List") and isinstance(value.get("items"), list):
        for each in value["items"]:
            yield from _flat(each, named)
    else:
        yield value


def _filled(value: Any, facts: Mapping[str, str]) -> Any:
    if isinstance(value, str):

        def fact(found: re.Match[str]) -> str:
            if found[1] not in facts:
                raise DeployError(f"{found[0]} names no fact of the release; there are {', '.join(sorted(facts))}")
            return str(facts[found[1]])

        return _FACT.sub(fact, value)
    if isinstance(value, dict):
        return {key: _filled(each, facts) for key, each in value.items()}
    return [_filled(each, facts) for each in value] if isinstance(value, list) else value


def _demand_named(manifest: Mapping[str, Any]) -> None:
    metadata, kind = manifest.get("metadata"), manifest["kind"]
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise DeployError(f"a {kind} of the manifests has no `metadata.name`, by which it could be taken back")
    if kind == "Secret":
        raise DeployError(
            f"the manifests hold the Secret {metadata['name']}: what was there before would be journalled; "
            "let the cluster's own secret store make it"
        )
    annotations = metadata.get("annotations")
    if annotations is not None and not isinstance(annotations, dict):
        raise DeployError(f"the annotations of {kind} {metadata['name']} are no mapping")
