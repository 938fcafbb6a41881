"""Suites of Great Expectations: both layouts, each supported expectation met and missed, and all the rest refused."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.checks.expectation_kinds import SUPPORTED
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError
from pytest_leanml.sources.tables import Table

DOCS = Path(__file__).parents[2] / "docs" / "checks.md"
MAKE = {
    "pandas": lambda table: table.to_pandas(),
    "polars": pl.from_arrow,
    "polars_lazy": lambda table: pl.from_arrow(table).lazy(),
    "pyarrow": lambda table: table,
    "duckdb": duckdb.from_arrow,
}
TABLE = pa.table(
    {
        "id": [1, 2, 3, 4, 5, 5],
        "x": [0.5, 1.0, None, 2.0, float("nan"), 4.5],
        "sex": ["F", "M", "X", "F", None, "F"],
        "plate": ["ABC", "AB", "abc", "A1C", "XYZ", "XYZ"],
        "none": pa.array([None] * 6, pa.string()),
        "at": pa.array([datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 7)], pa.timestamp("us", "UTC")),
        "half": [1, 1, 1, 2, None, None],
        "other": ["a", "a", "b", "b", None, "c"],
    }
)
_PREFIX = "expect_"


@pytest.fixture(params=MAKE)
def frame(request):
    return MAKE[request.param](TABLE)


def checks_of(root, evaluation, name="evaluation"):
    table = Table(name, evaluation, "sha256:" + "0" * 64, "memory")
    return DataQuality(
        Study(
            StudySettings(root=root),
            candidate=None,
            champion=None,
            table={name: table}.get,
            sink=lambda _record: None,
        )
    )


@pytest.fixture
def suite(tmp_path, frame):
    """Measure a suite of the 1.x layout on the table."""

    def measure(*expectations):
        write(tmp_path / "s.json", *expectations)
        return checks_of(tmp_path, frame).suite("s.json")

    return measure


def write(path, *expectations, **more):
    kinds = [{"type": _PREFIX + kind, "kwargs": kwargs, "meta": {}, "id": None} for kind, kwargs in expectations]
    path.write_text(json.dumps({"name": "flights", "expectations": kinds, "meta": {}, "notes": None, **more}))


# Each is met as it stands; with the second settings instead of the first it is missed. Counted by hand.
CASES = [
    ("column_values_to_not_be_null", {"column": "id"}, {"column": "x"}),
    ("column_values_to_not_be_null", {"column": "x", "mostly": 0.66}, {"column": "x", "mostly": 0.67}),
    ("column_values_to_be_null", {"column": "none"}, {"column": "x"}),
    ("column_values_to_be_null", {"column": "x", "mostly": 0.33}, {"column": "x", "mostly": 0.34}),
    ("column_values_to_be_unique", {"column": "at"}, {"column": "id"}),
    ("column_values_to_be_unique", {"column": "id", "mostly": 0.66}, {"column": "id", "mostly": 0.67}),
    (
        "column_values_to_be_in_set",
        {"column": "sex", "value_set": ["F", "M", "X"]},
        {"column": "sex", "value_set": ["F"]},
    ),
    (
        "column_values_to_be_in_set",
        {"column": "sex", "value_set": ["F"], "mostly": 0.6},
        {"column": "sex", "value_set": ["F"], "mostly": 0.61},
    ),
    ("column_values_to_not_be_in_set", {"column": "sex", "value_set": ["Z"]}, {"column": "sex", "value_set": ["X"]}),
    ("column_values_to_not_be_in_set", {"column": "id", "value_set": [0]}, {"column": "id", "value_set": [0, 5]}),
    (
        "column_values_to_be_between",
        {"column": "x", "min_value": 0.5, "max_value": 4.5},
        {"column": "x", "min_value": 0.5, "max_value": 4.5, "strict_min": True},
    ),
    (
        "column_values_to_be_between",
        {"column": "id", "max_value": 5},
        {"column": "id", "max_value": 5, "strict_max": True},
    ),
    (
        "column_values_to_be_between",
        {"column": "at", "min_value": "2026-01-01T00:00:00Z"},
        {"column": "at", "min_value": "2026-01-01T00:00:01Z"},
    ),
    (
        "column_values_to_match_regex",
        {"column": "plate", "regex": "[A-Za-z]"},
        {"column": "plate", "regex": "^[A-Z]+$"},
    ),
    ("column_values_to_match_regex", {"column": "plate", "regex": "B|1|Y|b"}, {"column": "plate", "regex": "^B"}),
    ("column_values_to_not_match_regex", {"column": "plate", "regex": "[2-9]"}, {"column": "plate", "regex": "[0-9]"}),
    (
        "column_values_to_match_regex_list",
        {"column": "plate", "regex_list": ["^[A-Z]+$", "[0-9a-z]"]},
        {"column": "plate", "regex_list": ["^[A-Z]+$", "[0-9a-z]"], "match_on": "all"},
    ),
    (
        "column_values_to_not_match_regex_list",
        {"column": "plate", "regex_list": ["[2-9]", "Q"]},
        {"column": "plate", "regex_list": ["[2-9]", "Y"]},
    ),
    (
        "column_value_lengths_to_be_between",
        {"column": "plate", "min_value": 2, "max_value": 3},
        {"column": "plate", "min_value": 2, "strict_min": True},
    ),
    ("column_value_lengths_to_be_between", {"column": "plate", "max_value": 3}, {"column": "plate", "max_value": 2}),
    ("column_value_lengths_to_equal", {"column": "sex", "value": 1}, {"column": "plate", "value": 3}),
    (
        "column_distinct_values_to_be_in_set",
        {"column": "sex", "value_set": ["F", "M", "X", "Z"]},
        {"column": "sex", "value_set": ["F", "M"]},
    ),
    (
        "column_distinct_values_to_contain_set",
        {"column": "sex", "value_set": ["F", "M"]},
        {"column": "sex", "value_set": ["F", "Z"]},
    ),
    ("column_distinct_values_to_contain_set", {"column": "id", "value_set": [5]}, {"column": "id", "value_set": ["5"]}),
    (
        "column_distinct_values_to_equal_set",
        {"column": "sex", "value_set": ["X", "F", "M"]},
        {"column": "sex", "value_set": ["F", "M", "X", "Z"]},
    ),
    (
        "column_distinct_values_to_equal_set",
        {"column": "half", "value_set": [1, 2]},
        {"column": "half", "value_set": [1]},
    ),
    (
        "column_unique_value_count_to_be_between",
        {"column": "sex", "min_value": 3, "max_value": 3},
        {"column": "sex", "min_value": 4},
    ),
    (
        "column_proportion_of_unique_values_to_be_between",
        {"column": "half", "min_value": 0.5, "max_value": 0.5},
        {"column": "half", "min_value": 0.5, "strict_min": True},
    ),
    (
        "column_min_to_be_between",
        {"column": "x", "min_value": 0.5, "max_value": 0.6},
        {"column": "x", "min_value": 0, "max_value": 0.4},
    ),
    ("column_min_to_be_between", {"column": "x", "max_value": 0.5}, {"column": "x", "min_value": 0.6}),
    (
        "column_max_to_be_between",
        {"column": "at", "min_value": "2026-01-05", "max_value": "2026-01-06"},
        {"column": "at", "min_value": "2026-01-07"},
    ),
    (
        "column_max_to_be_between",
        {"column": "id", "min_value": 5, "max_value": 5},
        {"column": "id", "max_value": 5, "strict_max": True},
    ),
    ("column_sum_to_be_between", {"column": "x", "min_value": 8, "max_value": 8}, {"column": "x", "min_value": 8.01}),
    ("column_mean_to_be_between", {"column": "x", "min_value": 2, "max_value": 2}, {"column": "x", "max_value": 1.99}),
    ("compound_columns_to_be_unique", {"column_list": ["id", "at"]}, {"column_list": ["id", "half"]}),
    (
        "compound_columns_to_be_unique",  # (1, a) twice, (1, b), (2, b), (-, -), (-, c)
        {"column_list": ["half", "other"], "mostly": 0.6},
        {"column_list": ["half", "other"], "mostly": 0.61},
    ),
    (
        "compound_columns_to_be_unique",
        {"column_list": ["half", "other"], "mostly": 0.66, "ignore_row_if": "never"},
        {"column_list": ["half", "other"], "mostly": 0.67, "ignore_row_if": "never"},
    ),
    (
        "compound_columns_to_be_unique",
        {"column_list": ["half", "other"], "mostly": 0.5, "ignore_row_if": "any_value_is_missing"},
        {"column_list": ["half", "other"], "mostly": 0.51, "ignore_row_if": "any_value_is_missing"},
    ),
    ("column_to_exist", {"column": "sex"}, {"column": "gender"}),
    ("column_to_exist", {"column": "sex", "column_index": 2}, {"column": "sex", "column_index": 1}),
    (
        "table_columns_to_match_set",
        {"column_set": [*TABLE.column_names]},
        {"column_set": [*TABLE.column_names[1:]]},
    ),
    (
        "table_columns_to_match_set",
        {"column_set": ["id"], "exact_match": False},
        {"column_set": ["id", "z"], "exact_match": False},
    ),
    (
        "table_columns_to_match_ordered_list",
        {"column_list": TABLE.column_names},
        {"column_list": TABLE.column_names[::-1]},
    ),
    ("table_column_count_to_equal", {"value": 8}, {"value": 7}),
    ("table_column_count_to_be_between", {"min_value": 1, "max_value": 8}, {"min_value": 9}),
    ("table_row_count_to_equal", {"value": 6}, {"value": 5}),
    ("table_row_count_to_be_between", {"min_value": 6}, {"min_value": 6, "strict_min": True}),
]


def test_every_supported_expectation_has_a_case_and_a_line_in_the_docs():
    assert {_PREFIX + kind for kind, *_ in CASES} == set(SUPPORTED)
    assert set(re.findall(r"`(expect_\w+)`", DOCS.read_text())) == set(SUPPORTED)


@pytest.mark.parametrize(("kind", "met", "missed"), CASES)
def test_each_expectation_met_and_missed(suite, kind, met, missed):
    assert float(suite((kind, met))) == 0
    measured = suite((kind, missed))
    assert float(measured) == 1
    (name,) = measured.by
    assert name.startswith(_PREFIX + kind)
    assert measured.details["first"].startswith(f"{name}: ")


def test_the_expectations_that_are_missed_are_counted_and_named(suite):
    measured = suite(
        ("column_values_to_not_be_null", {"column": "x"}),
        ("column_values_to_not_be_null", {"column": "id"}),
        ("column_values_to_not_be_null", {"column": "x", "mostly": 0.9}),
        ("table_row_count_to_equal", {"value": 7}),
    )
    assert float(measured) == 3
    assert (measured.unit, measured.n, measured.details["expectations"]) == ("expectation", 6, 4)
    assert measured.details["first"] == (
        "expect_column_values_to_not_be_null(x): 2 of 6 values; "
        "expect_column_values_to_not_be_null(x) #2: 2 of 6 values; expect_table_row_count_to_equal: there are 6 rows"
    )
    assert measured.id == "data_quality.suite[s.json]"


def test_the_older_layout_says_the_same(tmp_path):
    text = {
        "data_asset_type": None,
        "expectation_suite_name": "flights.warning",
        "expectations": [
            {
                "expectation_type": "expect_column_values_to_be_in_set",
                "ge_cloud_id": None,
                "kwargs": {"column": "sex", "value_set": ["F", "M"], "result_format": "BASIC", "mostly": None},
                "meta": {"notes": "seen in March"},
            },
            {"expectation_type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "meta": {}},
        ],
        "ge_cloud_id": None,
        "meta": {"great_expectations_version": "0.18.22"},
    }
    (tmp_path / "old.json").write_text(json.dumps(text))
    assert float(checks_of(tmp_path, TABLE).suite("old.json")) == 1
    assert float(checks_of(tmp_path, TABLE).suite(tmp_path / "old.json")) == 1


REFUSED = [
    ({"column_kl_divergence_to_be_less_than": {"column": "x"}}, "is not supported"),
    ({"column_values_to_be_of_type": {"column": "x", "type_": "FLOAT"}}, "is not supported"),
    ({"column_values_to_be_valid_json": {"column": "x"}}, "is not supported"),
    ({"column_values_to_not_be_null": {"column": "x", "row_condition": "id > 2"}}, "'row_condition' is not supported"),
    ({"column_values_to_be_between": {"column": "x", "min_value": {"$PARAMETER": "low"}}}, "finite numbers"),
    ({"column_values_to_be_between": {"column": "x", "min_value": 1, "auto": True}}, "'auto' is not supported"),
    ({"column_values_to_be_between": {"column": "x"}}, "at least one bound"),
    ({"column_values_to_be_between": {"column": "x", "min_value": 1, "strict_min": "yes"}}, "neither true nor false"),
    ({"column_mean_to_be_between": {"column": "x", "min_value": "a"}}, "a finite number"),
    ({"column_mean_to_be_between": {"column": "x", "min_value": 1, "mostly": 0.5}}, "'mostly' is not supported"),
    ({"column_values_to_not_be_null": {}}, "without column"),
    ({"column_values_to_not_be_null": {"column": 3}}, "the name of a column"),
    ({"column_values_to_not_be_null": {"column": "x", "mostly": 0}}, "a share above 0"),
    ({"column_values_to_not_be_null": {"column": "x", "mostly": True}}, "a share above 0"),
    ({"column_values_to_not_be_null": {"column": "x", "mostly": 95}}, "a share above 0"),
    ({"column_values_to_be_in_set": {"column": "x", "value_set": []}}, "at least one value"),
    ({"column_values_to_be_in_set": {"column": "x", "value_set": [["a"]]}}, "as a value"),
    ({"column_values_to_match_regex": {"column": "x", "regex": "(?i)a"}}, "what every engine knows"),
    ({"column_values_to_match_regex": {"column": "x", "regex": 3}}, "regular expressions, as text"),
    ({"column_values_to_match_regex_list": {"column": "x", "regex_list": ["a"], "match_on": "some"}}, "any or all"),
    ({"column_value_lengths_to_equal": {"column": "x", "value": 1.5}}, "a whole number"),
    ({"table_row_count_to_equal": {"value": -1}}, "a whole number of at least 0"),
    ({"compound_columns_to_be_unique": {"column_list": []}}, "a list of names"),
    ({"compound_columns_to_be_unique": {"column_list": ["a"], "ignore_row_if": "x"}}, "one of all_values_are_missing"),
    ({"table_columns_to_match_set": {"column_set": ["a"], "exact_match": 1}}, "true or false"),
]


@pytest.mark.parametrize(("expectation", "has"), REFUSED)
def test_what_is_not_supported_is_refused_and_never_left_out(tmp_path, expectation, has):
    ((kind, kwargs),) = expectation.items()
    write(tmp_path / "s.json", ("table_row_count_to_equal", {"value": 6}), (kind, kwargs))
    with pytest.raises(ConfigError) as caught:
        checks_of(tmp_path, TABLE).suite("s.json")
    assert has in str(caught.value)
    assert caught.value.file == tmp_path / "s.json"
    assert caught.value.key.startswith("expectations.1")


BROKEN = [
    ("", "Expecting value"),
    ("[]", "this is no suite"),
    ("{}", "this is no suite"),
    ('{"name": 3, "expectations": []}', "this is no suite"),
    ('{"name": "a", "expectation_suite_name": "a", "expectations": []}', "both expectation_suite_name and name"),
    ('{"name": "a"}', "no expectation"),
    ('{"name": "a", "expectations": []}', "no expectation"),
    ('{"name": "a", "expectations": {}}', "no expectation"),
    ('{"name": "a", "expectations": ["x"]}', "this is no suite"),
    ('{"name": "a", "suites": [1], "expectations": ["x"]}', "'suites' is not supported"),
    ('{"name": "a", "expectations": [{"type": "expect_column_to_exist", "kwargs": 3}]}', "no mapping"),
    (
        '{"name": "a", "expectations": [{"type": "expect_column_to_exist", "windows": [1]}]}',
        "'windows' is not supported",
    ),
    ('{"name": "a", "expectations": [{"type": "t", "expectation_type": "t"}]}', "both expectation_type and type"),
    ('{"name": NaN}', "NaN"),
]


@pytest.mark.parametrize(("text", "has"), BROKEN)
def test_what_is_no_suite(tmp_path, text, has):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        checks_of(tmp_path, TABLE).suite("s.json")
    assert has in str(caught.value)


def test_an_absent_suite(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        checks_of(tmp_path, TABLE).suite("s.json")


def test_a_table_or_a_column_without_values_meets_nothing(tmp_path, suite):
    write(tmp_path / "e.json", ("table_row_count_to_be_between", {"min_value": 0}))
    with pytest.raises(InconclusiveError, match="has no rows"):
        checks_of(tmp_path, TABLE.slice(0, 0)).suite("e.json")
    of_values = {kind: met for kind, met, _ in reversed(CASES) if "column" in met and not re.search("null|exist", kind)}
    assert len(of_values) > 15
    for kind, met in of_values.items():
        with pytest.raises(InconclusiveError, match="`none` of the evaluation data has no value"):
            suite((kind, {**met, "column": "none"}))


def test_columns_that_cannot_be_asked(suite):
    with pytest.raises(SourceError, match="no column `nope`"):
        suite(("column_values_to_not_be_null", {"column": "nope"}))
    with pytest.raises(SourceError, match=r"holds text.*\n.*numbers to add up"):
        suite(("column_sum_to_be_between", {"column": "sex", "min_value": 0}))
    with pytest.raises(SourceError, match="which no value of the set can be"):
        suite(("column_values_to_not_be_in_set", {"column": "sex", "value_set": [-999]}))
    # A condition on what no value of the column can be is missed by all of them.
    for kind in ("match_regex", "not_match_regex"):
        assert float(suite((f"column_values_to_{kind}", {"column": "id", "regex": "a"}))) == 1
    assert float(suite(("column_value_lengths_to_equal", {"column": "id", "value": 1}))) == 1
    assert float(suite(("column_min_to_be_between", {"column": "sex", "min_value": 0}))) == 1
    with pytest.raises(InconclusiveError, match="`none` of the evaluation data has no value"):
        suite(("compound_columns_to_be_unique", {"column_list": ["none"]}))
