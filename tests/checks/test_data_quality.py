from __future__ import annotations

import sys
import textwrap

import pandas as pd
import pandera.pandas as pa
import pandera.polars as pp
import polars as pl
import pytest

from pytest_leanml.checks import rules
from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.checks.run import run_spec
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.config import check_specs, load_config
from pytest_leanml.errors import ConfigError, InconclusiveError, LeanmlError, SourceError
from pytest_leanml.sources.frames import describe

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
    with pytest.raises(ConfigError, match="expected: one of train, evaluation, production"):
        checks.rows("market")


def test_two_schemas_do_not_share_their_answers(bad, make_study):
    checks = DataQuality(make_study(bad))
    counts = [float(checks.schema(pa.DataFrameSchema({"x": pa.Column(float, pa.Check.gt(n))}))) for n in range(-3, 4)]
    assert counts == [0, 1, 2, 2, 3, 3, 4]


RULES = """\
    version: 1
    data: {train: t.csv, evaluation: e.csv, production: p.csv, time: at, ids: [id], target: late}
    checks:
      data_quality:
        rows: [{min: 3}, {min: 1, max: 2, params: {data: production}}]
        not_null: {max: 1}
        not_null_share: {max: 0.25, params: {columns: [x]}}
        between: [{max: 1, params: {columns: {x: [0, 2], nope: [0, 1]}}}, {max: 1, params: {columns: {x: [0, 2]}}}]
        between_share: {max: 0.2, params: {columns: {x: [0, 2]}}}
        in_set: {max: 0, params: {columns: {sex: [F, M]}}}
        matches: {max: 1, params: {columns: {sex: "[FM]"}}}
        unique: {max: 0, params: {columns: [id]}}
        references: {max: 0, params: {columns: {sex: {table: train, column: sex}}}}
        freshness_hours: {max: 24}
        schema_drift: {max: 0, params: {data: production}}
        duplicates: true
        constant_columns: true
        near_constant_columns: {max: 0, params: {share: 0.8}}
    """


@pytest.fixture
def declared(tmp_path):
    (tmp_path / "leanml.yaml").write_text(textwrap.dedent(RULES))
    return load_config(tmp_path / "leanml.yaml")


@pytest.fixture
def judged(declared, ledger):
    """Run each check of leanml.yaml; id -> outcome."""
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3, 4],
            "x": [0.5, -1.0, None, 2.0],
            "sex": ["F", "M", "X", "F"],
            "at": pd.to_datetime(["2026-11-23T12:00:00Z"] * 3 + ["2026-11-24T01:00:00Z"]),
            "late": [0, 1, 0, 1],
        }
    )
    frames = {"train": frame, "evaluation": frame, "production": frame.head(2).drop(columns="late")}

    def run(change=lambda name, frame: frame):
        tables = {name: describe(change(name, each), name=name) for name, each in frames.items()}
        settings = StudySettings.of(declared, evaluated_at="2026-11-24T12:00:00Z")
        study = Study(settings, candidate=None, champion=None, table=tables.get, sink=ledger)
        return {spec.id.partition(".")[2]: ended(spec, study) for spec in check_specs(declared, "production")}

    return run


def ended(spec, study):
    try:
        assert run_spec(spec, study).id == spec.id
    except (LeanmlError, AssertionError) as error:
        return type(error).__name__
    return "passed"


def test_rules_of_leanml_yaml_are_measured_and_held(judged, ledger):
    missed = dict.fromkeys(["between_share[x]", "in_set[sex]"], "LimitMissedError")
    wrong = {"between[x.nope]": "SourceError"}
    outcomes = judged()
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "passed"} == {**missed, **wrong}
    assert len(outcomes) == 16
    values = {record.id: record.value for record in ledger}
    assert values["data_quality.between[x]"] == 1
    assert values["data_quality.between_share[x]"] == 1 / 3
    assert values["data_quality.freshness_hours"] == 11


def test_each_rule_can_be_missed(judged):
    def worse(name, frame):
        if name == "production":
            return frame.assign(sex="Z")
        if name == "train":
            return frame.assign(sex="Q")
        return (
            pd.concat([frame, frame]).assign(at=pd.Timestamp("2026-11-01T00:00:00Z"), x=-1.0).iloc[[0, 0, 1, 2, 4, 4]]
        )

    outcomes = judged(worse)
    assert {name for name, outcome in outcomes.items() if outcome == "passed"} == {
        "rows[evaluation]",
        "rows[production]",
        "not_null",
        "not_null_share[x]",
        "matches[sex]",
    }


def test_the_rules_of_a_table_are_counted_in_one_pass(judged, monkeypatch):
    asked = []
    real = rules.tallies
    monkeypatch.setattr(rules, "tallies", lambda rows, questions: asked.append(len(questions)) or real(rows, questions))
    judged()
    # Six rules, of which between and its share are one; what cannot be asked is not among them.
    assert asked == [5]


def test_a_rule_of_a_test_is_asked_by_itself(bad, make_study):
    checks = DataQuality(make_study(bad, data_rules=(("not_null", {}), ("not_null", {"columns": ["nope"]}))))
    assert float(checks.between("x", 0, 1)) == 3
    assert float(checks.not_null()) == 0
    assert float(checks.not_null(name="again")) == 0
    assert checks.not_null(name="again").id == "data_quality.not_null[again]"


def test_one_rule_that_cannot_be_counted_takes_no_other_with_it(make_study):
    """An engine that cannot answer one of the questions is asked each by itself."""
    frame = pd.DataFrame({"x": [1.0, 2.0], "at": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    declared = (("between", {"columns": {"x": [0, 1]}}), ("between", {"columns": {"at": ["soon", None]}}))
    checks = DataQuality(make_study(frame, data_rules=declared))
    assert float(checks.rule(*declared[0])) == 1
    with pytest.raises(ConfigError, match="'soon'"):
        checks.rule(*declared[1])


def test_a_test_asks_wrongly(bad, make_study):
    checks = DataQuality(make_study(bad))
    for ask, has in (
        (lambda: checks.rule("nulls"), "no rule is named 'nulls'"),
        (lambda: checks.not_null(columns="x"), "columns: 'x'"),
        (lambda: checks.not_null(where="x"), "where: the setting 'where'"),
        (lambda: checks.between("x"), r"columns\.x: the bounds"),
        (lambda: checks.between("x", "a", 3), "columns.x"),
        (lambda: checks.in_set("x"), "at least one value"),
        (lambda: checks.matches("x", "("), "no regular expression"),
        (checks.unique, "neither columns nor key"),
        (checks.freshness_hours, "no column of times"),
        (lambda: checks.near_constant_columns(share=2), "share"),
        (lambda: checks.references({"x": {"table": "train"}}), "in which column"),
        (checks.schema_drift, "there is no train data"),
        (lambda: checks.rows("market"), "one of train"),
    ):
        with pytest.raises(ConfigError, match=has):
            ask()


def test_a_schema_of_its_own_for_another_table(bad, make_study, tmp_path):
    (tmp_path / "production.yaml").write_text("columns: {x: {dtype: float64}}\n")
    checks = DataQuality(make_study(bad, production=bad, root=tmp_path))
    measured = checks.rule("schema", {"data": "production", "schema": "production.yaml"})
    assert (float(measured), measured.id) == (0, "data_quality.schema[production]")


def test_the_gate_holds_each_entry_of_a_list_against_its_own_limit(flights, gate):
    text = (flights / "leanml.yaml").read_text().partition("checks:")[0]
    rules_text = """\
    checks:
      data_quality:
        in_set:
          - {max: 0, params: {columns: {origin: [EWR, JFK]}}}
          - {max: 5, severity: warning, params: {name: newark, columns: {origin: [EWR]}}}
        between: {max: 0, params: {columns: {delay: [0, 39]}}}
        between_share: {max: 0.5, params: {columns: {delay: [0, 19]}}}
    """
    (flights / "leanml.yaml").write_text(text + textwrap.dedent(rules_text))
    _, decision = gate("--gate-dry-run")
    assert decision["verdict"] == "ALLOW"
    warned = {each["rule"] for each in decision["warnings"]}
    assert warned == {"G1.warning", *(f"{each}.data_quality.in_set[newark]" for each in ("data_quality", "limits"))}
    (flights / "leanml.yaml").write_text(text + textwrap.dedent(rules_text.replace("[EWR, JFK]", "[EWR, LGA]")))
    _, decision = gate("--gate-dry-run")
    assert decision["verdict"] == "DENY"
    denied = {each["rule"] for each in decision["reasons"]}
    assert "data_quality.data_quality.in_set[origin]" in denied
    assert not any("newark" in rule or "between" in rule for rule in denied)
