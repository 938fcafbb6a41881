"""The shape of evidence.json, as a published JSON Schema and as the check before any engine sees a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pytest_leanml.evidence.document import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

# The published id. Nothing is ever fetched from there.
SCHEMA_ID = "https://pytest-leanml.readthedocs.io/schema/evidence.schema.json"

Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True)]
Text = Annotated[str, StringConstraints(strict=True)]
Digest = Annotated[str, StringConstraints(strict=True, pattern=r"^sha256:[0-9a-f]{6,64}$")]
Moment = Annotated[
    str,
    StringConstraints(
        strict=True,
        pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
    ),
]
Flag = Annotated[bool, Field(strict=True)]


class _Open(BaseModel):
    """Anything may be added to it."""

    model_config = ConfigDict(extra="allow", frozen=True)


class _Closed(BaseModel):
    """Nothing else may stand in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(_Open):
    """The candidate or the champion; empty without a model."""

    name: Text | None = None
    version: Text | None = None
    uri: Text | None = None
    run_id: Text | None = None
    digest: Digest | None = None


class Metadata(_Open):
    """What the registry says of the candidate's version."""

    annotations: dict[str, Text] = Field(default_factory=dict)


class Approval(_Open):
    """Who approved which bytes, and when; empty when nobody did."""

    by: Text | None = None
    at: Text | None = None
    digest: Text | None = None


class Source(_Open):
    """A table that was measured on."""

    digest: Digest
    rows: Count
    columns: Count
    newest: Moment | None = None


class Baseline(_Open):
    """What a model without skill, and a simple one trained on the training data, reach on the same rows."""

    no_skill: dict[str, Finite] = Field(default_factory=dict)
    simple: dict[str, Finite] = Field(default_factory=dict)


class Histogram(_Open):
    """Both sides' rows of one column, for reports: in bins between edges, or of each label, then others, then new."""

    type: Literal["number", "time", "category"]
    edges: Annotated[list[Finite], Field(max_length=64)] | None = None
    labels: Annotated[list[Text], Field(max_length=64)] | None = None
    reference: Annotated[list[Count], Field(max_length=66)]
    current: Annotated[list[Count], Field(max_length=66)]
    missing: Annotated[list[Count], Field(min_length=2, max_length=2)]


class DriftedColumn(_Open):
    """One column as it was compared; what a policy wants of it is for the policy to say."""

    histogram: Histogram | None = None


class DriftedSlice(_Open):
    """How far the rows of one slice have moved."""

    share: Finite | None = None
    prediction: Finite | None = None
    target: Finite | None = None
    domain_classifier: Finite | None = None
    new_categories: Finite | None = None
    vanished_categories: Finite | None = None
    column: dict[str, Finite] = Field(default_factory=dict)
    columns: dict[str, DriftedColumn] = Field(default_factory=dict)
    prediction_histogram: Histogram | None = None
    target_histogram: Histogram | None = None


class Drift(DriftedSlice):
    """How far recent rows are from the training data."""

    slices: dict[str, DriftedSlice] = Field(default_factory=dict)


class Regressions(_Open):
    """Rows that the champion got right and the candidate gets wrong."""

    share: Finite
    low: Finite | None = None
    high: Finite | None = None
    rows: Count | None = None
    method: Text | None = None
    gained: Count | None = None
    lost: Count | None = None


class Gain(_Open):
    """The candidate's gain over the champion in one metric, ``[slice]`` appended, or in the worst slice."""

    gain: Finite
    low: Finite | None = None
    high: Finite | None = None
    rows: Count | None = None
    method: Text | None = None


class Compared(_Open):
    """One comparison with a limit."""

    comparator: Literal[">=", "<=", ">", "<", "==", "!="]
    threshold: Finite
    passed: Flag
    settled: Flag | None = None
    rowsToSettle: Count | None = None  # noqa: N815 - as sampleSize


class Measurement(_Open):
    """One number and how sure it is; the words of in-toto's eval-result."""

    metric: Text
    value: Finite
    low: Finite | None = None
    high: Finite | None = None
    confidence: Annotated[float, Field(gt=0, lt=1)] | None = None
    interval: Text | None = None
    sampleSize: Count | None = None  # noqa: N815 - in-toto's word
    unit: Text | None = None
    by: dict[str, dict[str, Finite]] | None = None
    comparator: Literal[">=", "<=", ">", "<", "==", "!="] | None = None
    threshold: Finite | None = None
    passed: Flag | None = None
    settled: Flag | None = None
    rowsToSettle: Count | None = None  # noqa: N815 - as sampleSize
    comparisons: list[Compared] | None = None
    check: Text | None = None


class Check(_Closed):
    """One check and how it ended."""

    id: Text
    kind: Text
    nodeid: Text
    outcome: Literal["passed", "failed", "error", "not_run", "inconclusive"]
    severity: Literal["error", "warning"]
    owner: Text | None = None
    measurements: list[Text]
    message: Text | None = None
    seconds: Annotated[float, Field(ge=0)]


class Run(_Open):
    """pytest's counts and exit status."""

    collected: Count
    passed: Count
    failed: Count
    errors: Count
    skipped: Count
    xfailed: Count
    deselected: Count
    not_run: Count
    exit_status: int | None
    workers: Count


class EvidenceV1(_Open):
    """One evidence document. What is absent makes no claim."""

    model_config = ConfigDict(extra="allow", frozen=True, title=SCHEMA)

    schema_: Literal["leanml.evidence/v1"] = Field(alias="schema")
    run_id: Text
    evaluated_at: Moment
    environment: Text | None = None
    subject: Model
    champion: Model | None = None
    harness: dict[str, Text]
    metadata: Metadata
    approval: Approval = Approval()
    training_date: Moment | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Source]
    metrics: dict[str, Finite]
    baseline: Baseline
    bias: dict[str, Finite]
    drift: Drift = Drift()
    comparison: dict[str, Gain | Regressions] = Field(default_factory=dict)
    lineage: dict[str, Any] = Field(default_factory=dict)
    budget: dict[str, Any] = Field(default_factory=dict)
    history: dict[str, Any] = Field(default_factory=dict)
    measurements: dict[str, Measurement]
    checks: list[Check]
    run: Run


def evidence_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``leanml.evidence/v1``."""
    schema = EvidenceV1.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def schema_problems(document: Mapping[str, Any]) -> list[str]:
    """Say what does not match the schema: path, what was given, what was expected; empty when all does."""
    try:
        EvidenceV1.model_validate(document)
    except ValidationError as error:
        return [_told(each["loc"], each["msg"], each["input"]) for each in error.errors()]
    return []


def _told(place: tuple[int | str, ...], message: str, given: object) -> str:
    path = ".".join(str(part) for part in place)
    shown = repr(given)
    return f"evidence: {path} is {shown if len(shown) < 80 else shown[:77] + '...'}; expected: {message}"  # noqa: PLR2004 - one line
