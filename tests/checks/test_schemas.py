from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pandera.polars as pp
import polars as pl
import pytest
from pandera.config import ValidationDepth, config_context

from pytest_leanml.checks.schemas import failures, schema_of, schema_of_file
from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError

FRAME = pd.DataFrame({"x": [1.0, -1.0], "kind": ["a", "b"]})


def column(**more):
    return pa.DataFrameSchema({"x": pa.Column(float, **more)})


def count(schema, frame=FRAME):
    return failures(schema_of(schema), frame, "evaluation").count


def read(tmp_path, text):
    (tmp_path / "schema.yaml").write_text(text)
    return schema_of_file(tmp_path / "schema.yaml")


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        (pa.DataFrameSchema(), "demands nothing"),
        (pa.DataFrameSchema({}, strict=True), "demands nothing"),
        (pa.DataFrameSchema({"x": pa.Column(float)}, drop_invalid_rows=True), "drops invalid rows"),
        (column(drop_invalid_rows=True), "drops invalid rows"),
        (column(checks=pa.Check.ge(0, raise_warning=True)), "only warns"),
        (
            pa.DataFrameSchema({"x": pa.Column(float)}, checks=pa.Check(lambda f: f.x > 0, raise_warning=True)),
            "only warns",
        ),
        (pa.DataFrameSchema({"x": pa.Column(float)}, index=pa.Index(int, pa.Check.ge(0, raise_warning=True))), "warns"),
        (pp.DataFrameSchema(), "demands nothing"),
        (pp.DataFrameSchema({"x": pp.Column(float)}, drop_invalid_rows=True), "drops invalid rows"),
    ],
)
def test_a_schema_that_could_let_anything_pass_is_refused(schema, word):
    with pytest.raises(ConfigError, match=word):
        schema_of(schema)


@pytest.mark.parametrize("thing", [None, 3, "x", int, {"x": float}, FRAME, pa.Column(float), pa.SeriesSchema(float)])
def test_what_is_no_schema(thing):
    with pytest.raises(ConfigError, match="no schema of a table"):
        schema_of(thing)


def test_a_model_that_cannot_be_built():
    class Broken(pa.DataFrameModel):
        x: float

        @pa.check("y")
        def positive(cls, values):  # noqa: N805 - pandera's own way
            return values > 0

    with pytest.raises((ConfigError, SourceError), match="Broken cannot be built"):
        schema_of(Broken)


@pytest.mark.parametrize(
    "schema",
    [
        pa.DataFrameSchema(index=pa.Index(int, pa.Check.ge(0))),
        pa.DataFrameSchema(checks=pa.Check(lambda frame: frame.x > -5)),
        pa.DataFrameSchema(unique=["kind"]),
        pa.DataFrameSchema(index=pa.MultiIndex([pa.Index(int), pa.Index(int)])),
    ],
)
def test_a_schema_without_columns_may_demand_something_else(schema):
    assert schema_of(schema) is schema


@pytest.mark.parametrize("depth", list(ValidationDepth))
def test_pandera_switched_off_still_validates(depth):
    with config_context(validation_enabled=False, validation_depth=depth):
        assert count(column(checks=pa.Check.ge(0))) == 1
        assert count(pp.DataFrameSchema({"x": pp.Column(float, pp.Check.ge(0))}), pl.from_pandas(FRAME)) == 1


def test_pandera_switched_off_by_the_environment_still_validates():
    code = (
        "import pandas as pd, pandera.pandas as pa\n"
        "from pytest_leanml.checks.schemas import failures, schema_of\n"
        "schema = schema_of(pa.DataFrameSchema({'x': pa.Column(float, pa.Check.ge(0))}))\n"
        "print(failures(schema, pd.DataFrame({'x': [-1.0]}), 'evaluation').count)"
    )
    env = {**os.environ, "PANDERA_VALIDATION_ENABLED": "False", "PANDERA_VALIDATION_DEPTH": "SCHEMA_ONLY"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_importing_the_checks_imports_no_pandera_and_warns_of_nothing(tmp_path):
    code = (
        "import sys, pytest_leanml.checks.run\n"
        "assert not {'pandera', 'polars', 'mlflow', 'sklearn'} & set(sys.modules)\n"
        "from pathlib import Path\n"
        "from pytest_leanml.checks.schemas import schema_of_file\n"
        "Path('s.yaml').write_text('columns: {x: {dtype: float64}}')\n"
        "schema_of_file(Path('s.yaml'))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def broken(_values):
    raise KeyError("zz")


@pytest.mark.parametrize(
    ("schema", "frame"),
    [
        (column(checks=pa.Check(broken)), FRAME),
        (pa.DataFrameSchema({"x": pa.Column(float)}, checks=pa.Check(broken)), FRAME),
        (pp.DataFrameSchema({"x": pp.Column(float, pp.Check(broken))}), pl.from_pandas(FRAME)),
        (pp.DataFrameSchema({"x": pp.Column(float)}, checks=pp.Check(broken)), pl.from_pandas(FRAME)),
    ],
)
def test_an_error_inside_a_check_is_no_failure_of_the_data(schema, frame):
    with pytest.raises(SourceError, match="a check of the schema raised an error"):
        count(schema, frame)


def test_a_check_that_breaks_on_a_column_of_the_wrong_type_is_a_failure_of_the_data():
    frame = FRAME.assign(x=["one", "two"])
    assert count(column(checks=pa.Check.ge(0)), frame) >= 1


@pytest.mark.parametrize(("name", "values"), [("x", [np.nan, np.nan]), ("x1", [None, None])])
def test_a_demanded_column_without_any_value_is_inconclusive(name, values):
    schema = pa.DataFrameSchema({"x.*": pa.Column(float, pa.Check.ge(0), nullable=True, regex=True)})
    with pytest.raises(InconclusiveError, match=f"`{name}` of the evaluation data has no value"):
        count(schema, pd.DataFrame({name: pd.Series(values, dtype=float), "y": [1, 2]}))


def test_a_column_that_nobody_demands_may_be_empty():
    assert count(column(), FRAME.assign(notes=None)) == 0


def test_the_frame_is_not_changed():
    frame = FRAME.copy()
    schema = pa.DataFrameSchema(
        {"x": pa.Column(int, coerce=True), "new": pa.Column(int, default=1)}, add_missing_columns=True
    )
    assert count(schema, frame) == 0
    pd.testing.assert_frame_equal(frame, FRAME)


def test_warnings_of_a_check_do_not_leak():
    def loud(values):
        warnings.warn("loud", stacklevel=1)
        return values > -5

    assert count(column(checks=pa.Check(loud))) == 0


GOOD = [
    ("columns: {x: {dtype: float64, checks: {greater_than: 0}}}", 1),
    ("columns: {x: {dtype: float64, greater_than: 0}}", 1),
    ("columns: {x: {dtype: float64, checks: {in_range: {min_value: 0, max_value: 5}}}}", 1),
    ("columns: {x: {dtype: int64}, z: {dtype: str, required: false}}", 1),
    ("columns: {x: {dtype: float64}, absent: {dtype: str}}", 1),
    ("schema_type: dataframe\nversion: 0.35.0\nstrict: true\ncolumns: {x: {dtype: float64}}", 1),
    ("columns: {x: {dtype: float64, nullable: false, unique: true}}\nunique: [kind]", 0),
    ("columns: {x: {dtype: float64, drop_invalid_rows: false}}\ndrop_invalid_rows: false", 0),
]


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_schemas_in_yaml(tmp_path, text, expected):
    assert failures(read(tmp_path, text), FRAME, "evaluation").count == expected


def test_what_pandera_itself_writes_is_read(tmp_path):
    from pandera.io.pandas_io import to_yaml

    schema = pa.DataFrameSchema(
        {"x": pa.Column(float, pa.Check.ge(0)), "kind": pa.Column(str, pa.Check.isin(["a"]))},
        index=pa.Index(int),
        name="flights",
    )
    assert failures(read(tmp_path, to_yaml(schema)), FRAME, "evaluation").count == 2


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no mapping"),
        ("- x", "no mapping"),
        ("columns: {}", "demands nothing"),
        ("name: flights", "demands nothing"),
        ("column: {x: {dtype: float64}}", r"unknown key `column` \(did you mean `columns`\?\)"),
        ("columns: {x: {dtype: float64, nulable: false}}", "unknown key `nulable`"),
        ("columns: {x: {dtype: float64, check: {greater_than: 0}}}", "unknown key `check`"),
        ("columns: {x: {dtype: float64, greter_than: 0}}", "unknown key `greter_than`"),
        ("columns: {x: {dtype: float64, _x: 0}}", "unknown key `_x`"),
        ("columns: {x: {dtype: float64, greater_than: 0, checks: {less_than: 1}}}", "two places"),
        ("columns: {x: }", "None"),
        ("columns: {x: float64}", "'float64'"),
        ("columns: [x]", "`columns` is no mapping"),
        ("columns: {x: {dtype: nosuch}}", "cannot be built"),
        ("columns: {x: {dtype: float64, checks: {nosuch: 1}}}", "cannot be built"),
        ("columns: {x: {dtype: float64}}\ndrop_invalid_rows: true", "drops invalid rows"),
        ("columns: {x: {dtype: float64, drop_invalid_rows: true}}", "drops invalid rows"),
        ("columns: {x: {dtype: float64}, x: {dtype: str}}", "x"),
        ("columns: [", "schema.yaml"),
    ],
)
def test_yaml_that_could_demand_less_than_it_seems(tmp_path, text, word):
    with pytest.raises((ConfigError, SourceError), match=word):
        read(tmp_path, text)


def test_a_schema_file_that_is_not_there(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        schema_of_file(tmp_path / "none.yaml")


def test_a_schema_that_cannot_be_applied():
    class Odd(pa.DataFrameSchema):
        def validate(self, *_args, **_more):
            raise TypeError("odd")

    with pytest.raises(SourceError, match="cannot be applied"):
        count(Odd({"x": pa.Column(float)}))
