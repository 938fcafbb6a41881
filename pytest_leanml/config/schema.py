"""The JSON Schema of leanml.yaml, made from the models: for editors, and for the names in error messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.config.data_kinds import NO_FAILURE
from pytest_leanml.config.limits import BOUNDS, MARGINS, Judging
from pytest_leanml.config.metrics import HELD
from pytest_leanml.config.models import Config

if TYPE_CHECKING:
    from collections.abc import Iterable

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string", "minLength": 1}
_BOUNDED = ("Bounds", "LimitSection", "CustomSection", "ByGroupSection", "Override")
_MARGINS = ("ComparisonSection", "SignOffSection")
_LIMITS = ("DataQuality", "Quality", "Fairness", "Drift", "Comparison", "Behaviour", "Leakage", "Serving", "Lineage")


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of leanml.yaml, with the short forms it allows."""
    schema = Config.model_json_schema()
    definitions = schema["$defs"]
    _add_short_forms(schema["properties"], definitions)
    for name in _BOUNDED:
        enough = (*BOUNDS, *Judging.model_fields) if name == "Override" else BOUNDS
        definitions[name]["anyOf"] = [{"required": [key]} for key in enough]
    for name in _MARGINS:
        kinds = MARGINS if name == "ComparisonSection" else MARGINS[:-1]
        definitions[name]["oneOf"] = [{"required": [key]} for key in kinds]
    del definitions["SignOffSection"]["properties"]["within"]
    for name in (*_LIMITS, *_BOUNDED, *_MARGINS):
        _refuse_null(definitions[name]["properties"])
    return {"$schema": _DRAFT, "title": "leanml.yaml", **_tidy(schema)}


def _add_short_forms(top: dict[str, Any], definitions: dict[str, Any]) -> None:
    top["model"]["anyOf"].insert(0, _TEXT)
    data = definitions["Data"]["properties"]
    for name in ("train", "evaluation", "production"):
        data[name]["anyOf"].insert(0, _TEXT)
    for name in NO_FAILURE:
        definitions["DataQuality"]["properties"][name]["anyOf"].insert(0, {"type": "boolean"})
    for name in HELD:
        definitions["Lineage"]["properties"][name]["anyOf"].insert(0, {"type": "boolean"})
    definitions["Environment"]["required"] = []  # production has one by default
    definitions["Promote"]["properties"]["keep"] = {"const": 10, "default": 10}
    definitions["Drift"]["properties"]["columns"]["default"] = "all"


def _refuse_null(properties: dict[str, Any]) -> None:
    for name, each in properties.items():
        if name != "owner" and {"type": "null"} in each.get("anyOf", []):
            each["anyOf"].remove({"type": "null"})
            each.pop("default", None)


def _tidy(value: Any) -> Any:
    """Drop pydantic's titles, the defaults of whole sections, and alternatives of which only one is left."""
    if isinstance(value, list):
        return [_tidy(each) for each in value]
    if not isinstance(value, dict):
        return value
    noise = {key for key in ("title", "default") if isinstance(value.get(key), str if key == "title" else dict)}
    kept = {key: _tidy(each) for key, each in value.items() if key not in noise}
    alternatives = kept.get("anyOf", [])
    return {**kept.pop("anyOf")[0], **kept} if len(alternatives) == 1 else kept


def names_at(route: Iterable[str | int]) -> list[str]:
    """Return the keys that leanml.yaml knows at ``route``, in the order of the models."""
    schema = config_schema()
    nodes = [schema]
    for part in route:
        nodes = [inner for node in nodes for inner in _inside(node, part, schema)]
    return [name for node in nodes for name in node.get("properties", {})]


def _inside(node: dict[str, Any], part: str | int, schema: dict[str, Any]) -> list[dict[str, Any]]:
    if isinstance(part, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(part) or node.get("additionalProperties")
    return _expanded(found, schema) if isinstance(found, dict) else []


def _expanded(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    if "properties" in node or not {"anyOf", "oneOf"} & set(node):
        return [node]
    either = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    return [inner for each in either for inner in _expanded(each, schema)]
