from __future__ import annotations

import sys
import textwrap

import pandas as pd
import pandera.pandas as pa
import pandera.polars as pp
import polars as pl
import pytest

from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError

YAML = "columns:\n  x: {dtype: float64, checks: {less_than: 2.0}}\n  sex: {dtype: str, nullable: false}\n"


class Rows(pa.DataFrameModel):
    x: float = pa.Field(ge=0)
    sex: str = pa.Field(isin=["F", "M"])


class PolarsRows(pp.DataFrameModel):
    x: float = pp.Field(ge=0)
    sex: str = pp.Field(isin=["F", "M"])


@pytest.fixture
def bad():
    return pd.DataFrame({"x": [0.5, -1.0, -2.0, 3.0], "sex": ["F", "M", "X", "F"], "late": [0, 1, 0, 1]})


def polars_of(frame):
    return pl.from_pandas(frame)


@pytest.mark.parametrize("schema", [Rows, Rows.to_schema(), PolarsRows, PolarsRows.to_schema()])
@pytest.mark.parametrize("convert", [lambda frame: frame, polars_of])
def test_failures_are_counted_in_pandas_and_polars(bad, make_study, ledger, schema, convert):
    measured = DataQuality(make_study(convert(bad))).schema(schema)
    assert float(measured) == 3
    assert (measured.id, measured.n, measured.interval) == ("data_quality.schema", 4, "exact")
    assert float(measured.low) == float(measured.high) == 3
    assert measured.by == {"sex": {"value": 1.0}, "x": {"value": 2.0}}
    assert "column x" in measured.details["first"]
    assert "-1.0" in measured.details["first"]
    assert ledger[-1].section == {}


@pytest.mark.parametrize("convert", [lambda frame: frame, polars_of])
def test_data_without_failures(bad, make_study, convert):
    measured = DataQuality(make_study(convert(bad.head(1)))).schema(Rows)
    assert float(measured) == 0
    assert (measured.by, measured.details) == ({}, {})


def test_all_failures_are_counted_not_the_first_one(make_study):
    frame = pd.DataFrame({"x": [-1.0] * 10_000, "sex": ["F"] * 10_000})
    measured = DataQuality(make_study(frame)).schema(Rows)
    assert float(measured) == 10_000
    assert len(measured.details["first"]) < 1200


def test_a_missing_column_is_a_failure(bad, make_study):
    measured = DataQuality(make_study(bad.drop(columns="sex"))).schema(Rows)
    assert float(measured) == 3
    assert measured.by["table"] == {"value": 1.0}
    assert "table: column_in_dataframe failed for 'sex'" in measured.details["first"]


def test_the_schema_of_the_configuration(bad, make_study, tmp_path):
    (tmp_path / "schema.yaml").write_text(YAML)
    for schema in ("schema.yaml", str(tmp_path / "schema.yaml")):
        measured = DataQuality(make_study(bad, schema=schema, root=tmp_path)).schema()
        assert float(measured) == 1
    assert float(DataQuality(make_study(bad, root=tmp_path)).schema(tmp_path / "schema.yaml")) == 1
    assert float(DataQuality(make_study(polars_of(bad), root=tmp_path)).schema("schema.yaml")) == 1


def test_a_class_by_its_name(bad, make_study, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    source = """
    import pandera.pandas as pa

    class Flights(pa.DataFrameModel):
        x: float = pa.Field(lt=1)
    """
    (tmp_path / "leanml_schemas_of_a_project.py").write_text(textwrap.dedent(source))
    checks = DataQuality(make_study(bad, schema="leanml_schemas_of_a_project:Flights", root=tmp_path))
    assert float(checks.schema()) == 1
    with pytest.raises(SourceError, match="has no `Flight`"):
        checks.schema("leanml_schemas_of_a_project:Flight")
    with pytest.raises(SourceError, match="cannot be imported"):
        checks.schema("leanml_schemas_of_nobody:Flights")
    with pytest.raises(ConfigError, match="no name of an object"):
        checks.schema("Flights")


def test_no_schema(bad, make_study):
    with pytest.raises(ConfigError, match=r"data\.schema: there is no schema"):
        DataQuality(make_study(bad)).schema()


def test_an_empty_table_is_inconclusive_by_schema_and_counts_no_rows(bad, make_study):
    checks = DataQuality(make_study(bad.head(0)))
    with pytest.raises(InconclusiveError, match="has no rows"):
        checks.schema(Rows)
    assert float(checks.rows()) == 0
    assert not checks.rows() >= 1


def test_other_tables_have_ids_of_their_own(bad, make_study):
    checks = DataQuality(make_study(bad, train=bad.head(1), production=bad.head(2)))
    assert (checks.rows().id, float(checks.rows())) == ("data_quality.rows", 4)
    assert (checks.rows("train").id, float(checks.rows("train"))) == ("data_quality.rows[train]", 1)
    assert float(checks.schema(Rows, "train")) == 0
    assert float(checks.schema(Rows, "production")) == 1
    assert checks.schema(Rows, "production").id == "data_quality.schema[production]"
    with pytest.raises(ConfigError, match="there is no market data"):
        checks.rows("market")


def test_two_schemas_do_not_share_their_answers(bad, make_study):
    checks = DataQuality(make_study(bad))
    counts = [float(checks.schema(pa.DataFrameSchema({"x": pa.Column(float, pa.Check.gt(n))}))) for n in range(-3, 4)]
    assert counts == [0, 1, 2, 2, 3, 3, 4]
