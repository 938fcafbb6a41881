"""Spark in a session of its own on this machine: the same counts as from a frame in memory."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import ks_2samp

from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.checks.drift import Drift
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.sources.columns import column_names, row_count
from pytest_leanml.sources.frames import describe
from pytest_leanml.sources.lazy import engine_of, is_lazy, schema_of
from pytest_leanml.sources.lazy_counts import deviations, rows_up_to
from pytest_leanml.sources.lazy_tables import label_counts, newest_moment, summary_digest
from pytest_leanml.sources.lazy_times import times_as_numbers
from pytest_leanml.sources.narrowing import Extent, extents, narrowed
from pytest_leanml.stats.cells import contending, widest_gap

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RANDOM = np.random.default_rng(5)


def frame_of(shift: float) -> pa.Table:
    return pa.table(
        {
            "value": np.where(RANDOM.random(2000) < 0.1, np.nan, RANDOM.normal(shift, 1, 2000)),
            "whole": RANDOM.integers(0, 9, 2000),
            "text": pa.array(RANDOM.choice(np.array(["a", "b", None], dtype=object), 2000, p=[0.5, 0.3, 0.2])),
            "time": pa.array([NOON + timedelta(microseconds=each) for each in range(2000)], pa.timestamp("us", "UTC")),
            "naive": pa.array([datetime(2026, 3, 1)] * 2000, pa.timestamp("us")),  # noqa: DTZ001 - what is tested
            "day": pa.array([date(1970, 1, 2)] * 2000),
        }
    )


TABLES = (frame_of(0.0), frame_of(0.5))


@pytest.fixture(scope="module")
def frames(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    for place, table in enumerate(TABLES):
        pq.write_table(table, folder / f"{place}.parquet")
    return tuple(spark.read.parquet(str(folder / f"{place}.parquet")) for place in range(2))


def test_names_rows_labels_and_times(frames):
    frame = frames[0]
    assert is_lazy(frame)
    assert engine_of(frame) == "pyspark"
    assert column_names(frame) == tuple(TABLES[0].column_names)
    assert row_count(frame) == 2000
    found = label_counts(frame, ["text", "whole"], schema_of(frame))
    for name, side in found.items():
        values = TABLES[0][name].to_pylist()
        assert side.present == Counter(each for each in values if each is not None)
        assert side.missing == values.count(None)
    assert newest_moment(frame, "time") == NOON + timedelta(microseconds=1999)
    assert summary_digest(frame) == summary_digest(frame) != summary_digest(frames[1])


def test_times_are_those_of_no_time_zone_but_utc(frames):
    plain = times_as_numbers(frames[0])
    found = extents(plain, ["time", "naive", "day"], schema_of(plain))
    midnight = datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1e6
    assert found["time"] == Extent(2000, 0, NOON.timestamp() * 1e6, NOON.timestamp() * 1e6 + 1999)
    assert found["naive"] == Extent(2000, 0, midnight, midnight)
    assert found["day"] == Extent(2000, 0, 86_400e6, 86_400e6)


def test_distance_counts_and_spread_are_those_of_the_rows(frames):
    names, schemas = ["value", "whole"], tuple(schema_of(frame) for frame in frames)
    ends = [extents(frame, names, schema) for frame, schema in zip(frames, schemas, strict=True)]
    known = {name: (ends[0][name], ends[1][name]) for name in names}
    cells = narrowed(frames, known, schemas, dict.fromkeys(names, contending))
    arrays = {name: [table[name].to_numpy() for table in TABLES] for name in names}
    spread = deviations(frames[0], ends[0], schemas[0])
    below = rows_up_to(frames[0], {"value": np.array([-0.5, 0.5])}, schemas[0])
    for name, (old, new) in arrays.items():
        present = [side[~np.isnan(side)] for side in (old, new)]
        distance = ks_2samp(*present, method="asymp").statistic
        assert widest_gap(cells[name]) == pytest.approx((distance, distance), abs=1e-12)
        assert spread[name] == pytest.approx(np.nanstd(old), rel=1e-9)
    assert below["value"].tolist() == [(arrays["value"][0] <= edge).sum() for edge in (-0.5, 0.5)]


def study_of(old, new, records) -> Study:
    tables = {"train": describe(old, name="train"), "evaluation": describe(new, name="evaluation")}
    settings = StudySettings(drift_columns=("value", "whole", "text", "time"), evaluated_at="2026-03-02T12:00:00Z")
    return Study(settings, candidate=lambda: None, champion=lambda: None, table=tables.get, sink=records.append)


def test_rules_count_what_they_count_in_memory(frames):
    def counted(old, new):
        rules = DataQuality(study_of(old, new, []))
        found = [
            rules.not_null(),
            rules.unique("whole", "time"),
            rules.between({"value": [-1, 1], "whole": [1, 7]}),
            rules.in_set("text", ["a"]),
            rules.matches("text", "[ac]"),
            rules.references({"text": {"table": "train", "column": "text"}}),
            rules.schema_drift(),
            rules.duplicates("whole", "text"),
            rules.constant_columns(),
            rules.near_constant_columns(share=0.6),
            rules.freshness_hours("time"),
        ]
        return {each.id: (float(each), each.n) for each in found}

    assert counted(*frames) == counted(*(table.to_pandas() for table in TABLES))


def test_drift_is_that_of_frames_in_memory(frames):
    def share(old, new):
        records = []
        Drift(study_of(old, new, records)).share(settled=False)
        return records[-1].section["drift"]

    spark, memory = share(*frames), share(*(table.to_pandas() for table in TABLES))
    assert spark["share"] == memory["share"] > 0
    for name, fact in memory["columns"].items():
        assert spark["columns"][name]["effect"] == pytest.approx(fact["effect"], abs=1e-9)
        assert spark["columns"][name]["p_value"] == pytest.approx(fact["p_value"], rel=1e-6)
        assert spark["columns"][name]["histogram"]["reference"] == fact["histogram"]["reference"]
