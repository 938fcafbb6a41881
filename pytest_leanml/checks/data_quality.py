"""Whether the data is what its schema and its rules say, and how much of it there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks import rules
from pytest_leanml.checks.custom import load
from pytest_leanml.checks.rules_asked import find, question, rows_of
from pytest_leanml.checks.schemas import failures, schema_of, schema_of_file
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.config.facts import param_problem
from pytest_leanml.config.metrics import DATA_QUALITY
from pytest_leanml.config.rule_params import DEFAULT, SHARE, part_of, rule_problem
from pytest_leanml.errors import ConfigError, LeanmlError
from pytest_leanml.sources.columns import row_count
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.vocabulary import with_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.checks.rules import Found, Question, Tally
    from pytest_leanml.checks.rules_rows import Rows
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord

_YAML = (".yaml", ".yml")
_COLUMNS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule with its settings, as leanml.yaml or a test asks for it.

    Attributes:
        metric: its name, with ``_share`` behind it for the largest share of a column instead of the count.
        params: its settings.
        id: of its measurement.
    """

    metric: str
    params: Mapping[str, Any]
    id: str

    @property
    def base(self) -> str:
        """The metric without ``_share``."""
        return self.metric.removesuffix(SHARE)

    @property
    def data(self) -> str:
        """Train, evaluation or production."""
        return str(self.params.get("data", DEFAULT))

    @property
    def key(self) -> tuple[str, str, str]:
        """What two rules share that find the same."""
        told = {name: value for name, value in self.params.items() if name not in ("name", "data")}
        return self.base, self.data, repr(sorted(told.items()))


class DataQuality:
    """Measures the data itself; every count is exact.

    Each rule takes ``data``: train, evaluation (the default) or production, and ``name``, which stands in its id instead
    of the data and the columns. With ``share=True`` it measures the largest share of failing values of any column, instead
    of the number of failing values. Missing values (null and NaN) are ignored save by ``not_null``, ``duplicates`` and the
    constant columns; a column of nothing else is inconclusive. An absent column is a SourceError, a table without rows
    inconclusive, a setting that makes no rule a ConfigError.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def rows(self, data: str = DEFAULT) -> Measurement:
        """Count the rows; an empty table has none, and misses ``{min: 1}``.

        Raises:
            ConfigError: the data is not declared.
            SourceError: it cannot be read.
        """
        return self.rule("rows", {"data": data})

    def schema(self, schema: Any = None, data: str = DEFAULT) -> Measurement:
        """Count the failures of a pandera schema: every failing value of every check, and every missing column.

        Args:
            schema: a pandera schema or model, ``module:Class`` of one, or a path to a schema in YAML; by default
                ``data.schema``.
            data: train, evaluation or production.

        Raises:
            ConfigError: no schema, or one that cannot be used.
            InconclusiveError: the table has no rows, or a column of the schema has no value at all.
            SourceError: a check of the schema raised an error, or the table cannot be read.
        """
        return self._schema(self.study.settings.schema if schema is None else schema, _rule("schema", {"data": data}))

    def not_null(self, *columns: str, share: bool = False, **more: Any) -> Measurement:
        """Count missing values, null and NaN, in some columns or in all."""
        return self._listed("not_null", columns, more, share=share)

    def unique(self, *columns: str, key: Sequence[str] = (), share: bool = False, **more: Any) -> Measurement:
        """Count the rows whose value other rows have too: of each column by itself, or of a composite ``key``."""
        return self._listed("unique", columns, {**more, **({"key": list(key)} if key else {})}, share=share)

    def between(
        self, columns: str | Mapping[str, Any], low: Any = None, high: Any = None, *, share: bool = False, **more: Any
    ) -> Measurement:
        """Count the values outside of bounds: ``between("age", 0, 120)``, or ``between({"age": {"above": 0}})``.

        Bounds are numbers, texts, or times in ISO 8601; None for no bound. Infinity lies outside of any.
        """
        return self._mapped("between", columns, [low, high], more, share=share)

    def in_set(
        self, columns: str | Mapping[str, Any], values: Sequence[Any] = (), *, share: bool = False, **more: Any
    ) -> Measurement:
        """Count the values that are not in a set: ``in_set("origin", ["EWR", "JFK"])``, or a mapping."""
        return self._mapped("in_set", columns, list(values), more, share=share)

    def matches(
        self, columns: str | Mapping[str, Any], pattern: str = "", *, share: bool = False, **more: Any
    ) -> Measurement:
        """Count the values that a regular expression does not match as a whole: ``matches("plate", "[A-Z]{3}")``."""
        return self._mapped("matches", columns, pattern, more, share=share)

    def references(self, columns: Mapping[str, Mapping[str, str]], *, share: bool = False, **more: Any) -> Measurement:
        """Count the values that are no value of a column of another table or file.

        Args:
            columns: column -> ``{"table": "train", "column": "code"}`` or ``{"path": "codes.csv", "column": "code"}``.
            share: see the class.
            more: data and name.
        """
        return self._mapped("references", columns, None, more, share=share)

    def freshness_hours(self, column: str | None = None, **more: Any) -> Measurement:
        """Measure the hours from the newest value of a column, by default ``data.time``, to this run.

        Raises:
            MeasurementError: it is in the future of this run.
        """
        return self.rule("freshness_hours", {**more, **({} if column is None else {"column": column})})

    def schema_drift(self, *, ignore: Sequence[str] = (), levels: int | None = None, **more: Any) -> Measurement:
        """Count the differences to the training data: columns gone or new, other kinds of value, new categories.

        Args:
            ignore: columns that may be on one side only and whose categories are not compared.
            levels: a column of text with more distinct values in training is free text; by default 1000.
            more: data and name.
        """
        asked = {**({"ignore": list(ignore)} if ignore else {}), **({} if levels is None else {"levels": levels})}
        return self.rule("schema_drift", {**more, **asked})

    def duplicates(self, *columns: str, share: bool = False, **more: Any) -> Measurement:
        """Count the rows that repeat an earlier one in some columns, by default in all but ``data.ids``."""
        return self._listed("duplicates", columns, more, share=share)

    def constant_columns(self, *columns: str, **more: Any) -> Measurement:
        """Count the columns with at most one value beside missing ones."""
        return self._listed("constant_columns", columns, more)

    def near_constant_columns(self, *columns: str, share: float = 0.99, **more: Any) -> Measurement:
        """Count the columns of which one value, or missing, makes up at least ``share`` of the rows."""
        return self._listed("near_constant_columns", columns, {**more, "share": share})

    def suite(self, path: str | Path, **more: Any) -> Measurement:
        """Count the expectations of a Great Expectations suite (its JSON file) that the data does not meet."""
        return self.rule("suite", {**more, "path": str(path)})

    def rule(self, metric: str, params: Mapping[str, Any] | None = None) -> Measurement:
        """Measure a rule by its metric's name and its settings, as leanml.yaml writes them.

        Raises:
            ConfigError: no such rule, or settings that make none.
            InconclusiveError: no rows, or a column without any value.
            SourceError: an absent column, or data that cannot be read.
        """
        return self.measured(_rule(metric, params or {}))

    def measured(self, rule: Rule) -> Measurement:
        """Measure a rule whose settings are known to make one; see ``rule``."""
        if rule.base == "schema":
            return self._schema(rule.params.get("schema", self.study.settings.schema), rule)
        if rule.base == "rows":
            count = row_count(self.study.table(rule.data).frame)
            return self.study.measured(_exact(rule.id, float(count), count, unit="row"))
        found = self.study.once(("rule", rule.key), lambda: self._found(rule))
        return self.study.measured(_of_found(rule, found))

    def _listed(
        self, metric: str, columns: Sequence[str], more: Mapping[str, Any], *, share: bool = False
    ) -> Measurement:
        named = {"columns": list(columns)} if columns else {}
        return self.rule(metric + SHARE * share, {**more, **named})

    def _mapped(
        self, metric: str, columns: str | Mapping[str, Any], given: Any, more: Mapping[str, Any], *, share: bool
    ) -> Measurement:
        named = {columns: given} if isinstance(columns, str) else dict(columns)
        return self.rule(metric + SHARE * share, {**more, "columns": named})

    def _found(self, rule: Rule) -> Found:
        rows = rows_of(self.study, rule.data)
        asked = question(rule.base, rule.params, rows)
        if asked is None:
            return find(rule.base, rule.params, self.study, rows)
        return rules.found_by(rows, asked, self._counted(rule, asked))

    def _counted(self, rule: Rule, asked: Question) -> Mapping[str, Tally]:
        """Count what fails, for a rule of leanml.yaml together with all others of its table."""
        rows = rows_of(self.study, rule.data)
        declared = [_rule(metric, params) for metric, params in self.study.settings.data_rules]
        if rule.key in {each.key for each in declared}:
            together = self.study.once(("data rules", rule.data), lambda: self._together(declared, rule.data))
            if rule.key in together:
                return together[rule.key]
        return rules.tallies(rows, [asked])[0]

    def _together(self, declared: Sequence[Rule], data: str) -> dict[tuple[str, str, str], Mapping[str, Tally]]:
        """Ask all rules of a table in one pass; one that cannot be asked is left to tell so by itself."""
        rows = rows_of(self.study, data)
        asked: dict[tuple[str, str, str], Question] = {}
        for rule in declared:
            if rule.data == data:
                asked.update(_asked(rule, rows))
        try:
            return dict(zip(asked, rules.tallies(rows, list(asked.values())), strict=True))
        except LeanmlError:
            return {}

    def _schema(self, asked: Any, rule: Rule) -> Measurement:
        key = ("schema", asked if isinstance(asked, str) else id(asked), rule.id)
        # The schema is kept with its record, so that its id is not given to another one.
        record, _ = self.study.once(key, lambda: (self._record(asked, rule), asked))
        return self.study.measured(record)

    def _record(self, asked: Any, rule: Rule) -> MeasurementRecord:
        frame = self.study.rows_of(rule.data)
        found = failures(self._pandera(asked), frame, rule.data)
        details = {"first": "; ".join(found.first)} if found.first else {}
        return _exact(rule.id, float(found.count), row_count(frame), details, found.by, unit="failure")

    def _pandera(self, asked: Any) -> Any:
        if asked is None:
            raise ConfigError(
                "there is no schema", "`data: {schema: <module:Class or path.yaml>}`", "name one", key="data.schema"
            )
        if isinstance(asked, Path) or (isinstance(asked, str) and asked.lower().endswith(_YAML)):
            return schema_of_file(self.study.settings.root / asked)
        found = load(asked, self.study.settings.root, key="data.schema") if isinstance(asked, str) else asked
        return schema_of(found)


def _rule(metric: str, params: Mapping[str, Any], name: str | None = None) -> Rule:
    """Make a rule.

    Raises:
        ConfigError: no such rule, or settings that make none.
    """
    facts = DATA_QUALITY.get(metric)
    if facts is None:
        raise ConfigError(f"no rule is named {metric!r}", f"one of {', '.join(DATA_QUALITY)}", "correct the name")
    wrong = param_problem(facts, params)
    if wrong:
        where, given, expected = wrong
        raise ConfigError(given, expected, key=where)
    problem = rule_problem(metric, params)
    if problem:
        place, *told = problem
        raise ConfigError(*told, key=".".join(place) or None)
    return Rule(metric, params, name or with_part(f"data_quality.{metric}", part_of(params)))


def _asked(rule: Rule, rows: Rows) -> dict[tuple[str, str, str], Question]:
    try:
        found = question(rule.base, rule.params, rows)
    except LeanmlError:
        return {}
    return {} if found is None else {rule.key: found}


def _of_found(rule: Rule, found: Found) -> MeasurementRecord:
    share = rule.metric.endswith(SHARE)
    value = found.share if share else float(found.failing if found.number is None else found.number)
    failing = {name: each for name, each in found.tallies.items() if each.failing}
    by = {
        name: {"value": each.share if share else float(each.failing), "n": each.present}
        for name, each in list(failing.items())[:_COLUMNS_SHOWN]
    }
    first = {"first": found.first} if found.first else {}
    more = {"failing_columns": float(len(failing))} if failing else {}
    details = {**more, **found.details, **first}
    return _exact(rule.id, value, found.rows, details, by, unit="1" if share else found.unit)


def _exact(  # noqa: PLR0913 - the parts of a record
    name: str,
    value: float,
    rows: int,
    details: Mapping[str, Any] | None = None,
    by: Mapping[str, Any] | None = None,
    *,
    unit: str,
) -> MeasurementRecord:
    # A count of all rows is exact: nothing was sampled, so the interval is the value.
    estimate = Estimate(value, rows, value, value, "exact", unit=unit)
    return record_of(name, estimate, details=details or {}, by=by or {})


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    return DataQuality(study).measured(_rule(spec.metric, spec.settings.get("params", {}), spec.id))
