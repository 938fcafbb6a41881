"""The sections of leanml.yaml, their types and their defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from pytest_leanml.config.checks import Checks
from pytest_leanml.config.deploy import Deploy  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import (
    Digest,
    Duration,
    Flag,
    Groups,
    Id,
    Ids,
    LocalPath,
    Paths,
    Section,
    Text,
    Texts,
    Whole,
    fault,
    matching,
)
from pytest_leanml.config.limits import Bounds, Override  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.metrics import threshold_problem
from pytest_leanml.errors import ConfigError
from pytest_leanml.vocabulary import EngineName, is_id

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_leanml.strict_yaml import Route, YamlDocument

RESERVED = {"fairness.group_size": "data.min_group", "history.streak": "environments.<name>.streak"}
Shipped = Literal[
    "limits",
    "no_skill",
    "data_quality",
    "drift",
    "fairness",
    "comparison",
    "behaviour",
    "leakage",
    "lineage",
    "serving",
    "model_approval",
    "approval",
    "streak",
]
Alias = Annotated[Text, matching(r"[A-Za-z0-9_-]{1,255}", "the characters A-Z a-z 0-9 _ -, as MLflow has it")]
Switch = Literal["auto", True, False]
Label = str | int | float | bool


def _not_yet(key: str, instead: str) -> Exception:
    return fault(f"{key} is not built yet", instead, "remove the key")


class PredictionColumns(Section):
    """Columns of a predictions file."""

    prediction: Text = "prediction"
    score: Text = "score"


class Model(Section):
    """The model that is judged, and how it is read."""

    name: Annotated[Text, matching(r"[^/:@\x00-\x1f]{1,256}", "a name without / : @, as MLflow has it")] | None = None
    candidate: Text | None = None
    champion: Text | None = None
    first_release: Flag = False
    predictions: LocalPath | None = None
    columns: PredictionColumns = PredictionColumns()
    task: Literal["auto", "binary", "multiclass", "regression"] = "auto"
    positive: Any = "auto"
    trust: Flag = False
    trusted_types: Texts = ()
    registry: Text | None = None

    @field_validator("task", mode="before")
    @classmethod
    def _later(cls, value: object) -> object:
        if value in ("multilabel", "ranking"):
            raise _not_yet(f"the task {value}", "auto, binary, multiclass or regression")
        return value

    @field_validator("positive")
    @classmethod
    def _is_label(cls, value: object) -> object:
        if not isinstance(value, Label):
            raise fault(f"{value!r} is no label", "auto, text, a number, true or false")
        return value

    @field_validator("registry")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value and "@" in urlsplit(value).netloc:
            raise fault(
                "a URI with credentials in it", "a URI without them", "set MLFLOW_TRACKING_USERNAME and _PASSWORD"
            )
        return value

    @model_validator(mode="after")
    def _has_name(self) -> Model:
        if self.name is None and self.predictions is None:
            raise fault(
                "a model without a name", "name: and the model's name in the registry", "write `model: flights`"
            )
        return self


class Source(Section):
    """A file of data, and what is known of it."""

    path: LocalPath
    digest: Digest | None = None
    format: Literal["parquet", "csv", "arrow"] | None = None
    lazy: Flag = False


def _short(key: str, what: str) -> BeforeValidator:
    """Let text stand for a mapping of one key."""

    def whole(value: object) -> object:
        if value is not None and not isinstance(value, str | dict):
            raise fault(f"{value!r} is no {what}", f"a {key} in quotes, or a mapping that begins with `{key}:`")
        return {key: value} if isinstance(value, str) else value

    return BeforeValidator(whole)


OptionalSource = Annotated[Source | None, _short("path", "file of data")]


class Data(Section):
    """The data, and what its columns mean."""

    train: OptionalSource = None
    evaluation: OptionalSource = None
    production: OptionalSource = None
    target: Text | None = None
    groups: Groups = ()
    weights: Text | None = None
    time: Text | None = None
    ids: Texts = ()
    schema_: Text | None = Field(default=None, alias="schema")
    slices: dict[str, Any] = Field(default_factory=dict)
    min_group: Whole = Field(default=30, ge=2)

    @field_validator("slices")
    @classmethod
    def _filters(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, each in value.items():
            if not name or not each or not isinstance(each, str | dict):
                raise fault(f"the slice {name!r}: {each!r}", "a filter such as \"origin == 'JFK'\", or {column: value}")
        return value

    @model_validator(mode="after")
    def _target_is_apart(self) -> Data:
        used = {*self.ids, *(column for group in self.groups for column in group)}
        if self.target is not None and self.target in {*used, self.weights}:
            raise fault(
                f"{self.target!r} is the target and also among groups, ids or weights", "the target in one place"
            )
        if self.weights is not None and self.weights in used:
            raise fault(f"{self.weights!r} is the weight and also among groups or ids", "the weight in one place")
        return self


class Policy(Section):
    """What decides."""

    engine: EngineName = EngineName.EMBEDDED
    environment: Text = "production"
    paths: Paths = ()
    use: tuple[Shipped, ...] = ()
    thresholds: dict[Id, Bounds] = Field(default_factory=dict)
    digest: Digest | None = None
    shadow: Texts = ()
    timeout: Duration = Field(default="10s", validate_default=True)
    waivers: LocalPath | None = None
    waiver_days: Whole = Field(default=30, ge=1)

    @field_validator("thresholds")
    @classmethod
    def _not_ours(cls, value: dict[str, Bounds]) -> dict[str, Bounds]:
        for each, section in value.items():
            if each in RESERVED:
                raise fault(f"the id {each}", f"it to be set by {RESERVED[each]}", "remove it here")
            problem = threshold_problem(each, section.bounds())
            if problem:
                raise fault(*problem)
        return value


class Streak(Section):
    """Successful validations of a version that must come first."""

    count: Whole = Field(ge=1)
    distinct: Literal["run", "day", "evaluation"] = "run"
    environment: Text | None = None


class Environment(Section):
    """What differs in one environment."""

    alias: Alias
    use: tuple[Shipped, ...] = ()
    limits: dict[str, Override] = Field(default_factory=dict)
    streak: Streak | None = None

    @field_validator("alias")
    @classmethod
    def _can_be_moved(cls, value: str) -> str:
        if value in ("candidate", "latest") or (value[:1] == "v" and value[1:].isdigit()):
            raise fault(
                f"the alias {value}", "a name of the environment's own", "`candidate`, `latest` and v1 are taken"
            )
        return value


class Store(Section):
    """Journal, locks and how old a decision may be."""

    journal: Text | None = None
    lock_timeout: Duration = Field(default="60s", validate_default=True)
    max_decision_age: Duration = Field(default="24h", validate_default=True)


class Promote(Section):
    """What remains after a promotion."""

    keep: Whole = 10

    @field_validator("keep")
    @classmethod
    def _later(cls, value: int) -> int:
        if value != 10:  # noqa: PLR2004 - its default
            raise _not_yet("removing old versions", "keep: 10, which removes none")
        return value


class Report(Section):
    """What is written besides evidence.json and decision.json."""

    formats: tuple[Literal["md", "junit"], ...] = ("md", "junit")
    github: Switch = "auto"
    gitlab: Switch = "auto"

    @field_validator("formats", mode="before")
    @classmethod
    def _later(cls, value: object) -> object:
        if isinstance(value, list) and "html" in value:
            raise _not_yet("the HTML report", "md, junit")
        return value


def _with_alias(value: object) -> object:
    # What is not said about production is as if it had not been mentioned at all.
    if isinstance(value, dict) and isinstance(value.get("production"), dict):
        return {**value, "production": {"alias": "champion", **value["production"]}}
    return value


Environments = Annotated[dict[str, Environment], BeforeValidator(_with_alias), Field(min_length=1)]


class Config(Section):
    """leanml.yaml, read and checked. Paths are as written; ``resolve`` finds them."""

    version: Literal[1]
    paths: Paths = ()
    require: Ids = ()
    seed: Whole = Field(default=0, ge=0, lt=2**32)
    timeout: Duration = Field(default="30m", validate_default=True)
    model: Annotated[Model | None, _short("name", "model")] = None
    data: Data = Data()
    checks: Checks = Checks()
    policy: Policy = Policy()
    environments: Environments = Field(default={"production": {"alias": "champion"}}, validate_default=True)
    store: Store = Store()
    promote: Promote = Promote()
    deploy: Deploy = ()
    report: Report = Report()

    _path: Path = PrivateAttr()
    _digest: str = PrivateAttr()
    _document: YamlDocument = PrivateAttr()

    @field_validator("environments")
    @classmethod
    def _names(cls, value: dict[str, Environment]) -> dict[str, Environment]:
        for name in value:
            if not is_id(name):
                raise fault(f"the environment {name!r}", "the characters A-Z a-z 0-9 . _ -", "rename it")
        return value

    @property
    def path(self) -> Path:
        """The file it was read from."""
        return self._path

    @property
    def root(self) -> Path:
        """The folder of that file, to which its paths are relative."""
        return self._path.parent

    @property
    def digest(self) -> str:
        """Digest of that file's bytes."""
        return self._digest

    def resolve(self, path: Path | str) -> Path:
        """Return where a path of the file leads."""
        return self.root / path

    def bind(self, path: Path, digest: str, document: YamlDocument) -> Config:
        """Remember where it was read from; ``load_config`` calls it once."""
        self._path, self._digest, self._document = path, digest, document
        return self

    def place(self, route: Route, *, key: bool = False) -> tuple[int, int] | None:
        """Return line and column of a value (or its key), else of the nearest thing around it."""
        return self._document.nearest(route, key=key)

    def fault(self, route: Route, given: str, expected: str, todo: str = "") -> ConfigError:
        """Return an error that names the place of ``route`` in the file."""
        line, column = self.place(route, key=True) or (None, None)
        key = ".".join(str(part) for part in route) or None
        return ConfigError(given, expected, todo, file=self.path, line=line, column=column, key=key)
