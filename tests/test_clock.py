from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from pytest_leanml.clock import new_run_id, now, stamp


def test_the_time_is_utc():
    assert now().utcoffset() == timedelta(0)


def test_a_stamp_is_rfc_3339_in_utc_to_the_second():
    there = datetime(2026, 11, 24, 1, 30, 59, 999_999, timezone(timedelta(hours=2)))
    assert stamp(there) == "2026-11-23T23:30:59Z"


def test_run_ids_are_ulids_that_sort_by_time_and_never_repeat():
    first = datetime(2026, 11, 24, tzinfo=UTC)
    made = [new_run_id(first + timedelta(milliseconds=step)) for step in range(100)]
    assert made == sorted(made)
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", each) for each in made)
    assert len({new_run_id(first) for _ in range(100)}) == 100


def test_a_run_id_tells_its_time_as_the_ulid_specification_has_it():
    # https://github.com/ulid/spec: 01ARZ3NDEKTSV4RRFFQ69G5FAV was made at 1469922850259 ms.
    made = new_run_id(datetime.fromtimestamp(1_469_922_850.259, UTC))
    assert made[:10] == "01ARZ3NDEK"
