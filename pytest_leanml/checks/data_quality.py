"""Whether the data is what its schema says, and how much of it there is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.choice import choose
from pytest_leanml.checks.custom import load
from pytest_leanml.checks.schemas import failures, schema_of, schema_of_file
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import ConfigError
from pytest_leanml.sources.columns import row_count
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.vocabulary import with_part

if TYPE_CHECKING:
    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord

DEFAULT = "evaluation"
_YAML = (".yaml", ".yml")


class DataQuality:
    """Measures the data itself.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def rows(self, data: str = DEFAULT) -> Measurement:
        """Count the rows; an empty table has none, and misses ``{min: 1}``.

        Args:
            data: train, evaluation or production.

        Raises:
            ConfigError: it is not declared.
            SourceError: it cannot be read.
        """
        count = row_count(self.study.table(data).frame)
        return self.study.measured(_exact(_id("rows", data), float(count), count))

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
        asked = self.study.settings.schema if schema is None else schema
        key = ("schema", asked if isinstance(asked, str) else id(asked), data)
        # The schema is kept with its record, so that its id is not given to another one.
        record, _ = self.study.once(key, lambda: (self._record(asked, data), asked))
        return self.study.measured(record)

    def _record(self, asked: Any, data: str) -> MeasurementRecord:
        frame = self.study.rows_of(data)
        found = failures(self._schema(asked), frame, data)
        details = {"first": "; ".join(found.first)} if found.first else {}
        return _exact(_id("schema", data), float(found.count), row_count(frame), details, found.by)

    def _schema(self, asked: Any) -> Any:
        if asked is None:
            raise ConfigError(
                "there is no schema", "`data: {schema: <module:Class or path.yaml>}`", "name one", key="data.schema"
            )
        if isinstance(asked, Path) or (isinstance(asked, str) and asked.lower().endswith(_YAML)):
            return schema_of_file(self.study.settings.root / asked)
        found = load(asked, self.study.settings.root, key="data.schema") if isinstance(asked, str) else asked
        return schema_of(found)


def _id(metric: str, data: str) -> str:
    return with_part(f"data_quality.{metric}", None if data == DEFAULT else data)


def _exact(
    name: str, value: float, rows: int, details: dict[str, Any] | None = None, by: dict[str, Any] | None = None
) -> MeasurementRecord:
    # A count of all rows is exact: nothing was sampled, so the interval is the value.
    estimate = Estimate(value, rows, value, value, "exact", unit="row" if "rows" in name else "failure")
    return record_of(name, estimate, details=details or {}, by=by or {})


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    checks = DataQuality(study)
    return choose(spec, {"schema": checks.schema, "rows": checks.rows})()
