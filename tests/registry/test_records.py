from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.clock import new_run_id
from pytest_leanml.errors import MeasurementError
from pytest_leanml.registry.records import PREFIX, count_streak, ordered, past_decision, read_tags, tag_of
from pytest_leanml.registry.refs import PastDecision, Streak

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def decided(minute: int, verdict: str = "ALLOW", **changes) -> PastDecision:
    found = PastDecision(
        run_id=f"R{minute:03}",
        version="7",
        verdict=verdict,
        mode="enforce",
        environment="staging",
        decided_at=f"2026-11-{20 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00Z",
        digest=DIGEST,
        policy="sha256:p",
        evidence="sha256:e",
        evaluation=f"sha256:data{minute}",
    )
    return replace(found, **changes)


def document(**changes):
    return {
        "run_id": "R1",
        "verdict": "ALLOW",
        "mode": "enforce",
        "environment": "staging",
        "decided_at": "2026-11-23T22:10:04Z",
        "subject": {"digest": DIGEST},
        "policy": {"digest": "sha256:p"},
        "evidence": {"digest": "sha256:e"},
        **changes,
    }


def streak(*found, **options) -> int:
    return count_streak(found, **{"digest": DIGEST, "environment": "staging", "distinct": "run", **options}).count


def test_a_decision_survives_its_tag():
    found = past_decision(document(), version="7", evaluation="sha256:d")
    key, value = tag_of(found)
    assert key == "leanml.decision.R1"
    assert "\n" not in value
    assert read_tags({key: value, "approval": "signed"}, "7") == [found]


def test_a_decision_without_an_environment_survives_too():
    found = past_decision(document(environment=None), version=None, evaluation=None)
    assert found.environment == ""
    assert read_tags(dict([tag_of(found)]), None) == [found]


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "dry-run"},
        {"mode": "policy-only"},
        {"mode": None},
        {"verdict": "PENDING"},
        {"verdict": "allow"},
        {"verdict": None},
        {"decided_at": "yesterday"},
        {"decided_at": "2026-11-23T22:10:04"},
        {"decided_at": "2026-02-30T00:00:00Z"},
        {"subject": {}},
        {"subject": None},
        {"run_id": "a/b"},
        {"run_id": ""},
        {"run_id": "x" * 101},
    ],
)
def test_what_is_no_enforced_decision_is_not_recorded(changes):
    with pytest.raises(MeasurementError, match="cannot be recorded"):
        past_decision(document(**changes), version="7", evaluation=None)


def test_no_decisions_are_no_streak():
    assert count_streak([], digest=DIGEST, environment="staging", distinct="run") == Streak(0, (), "registry")


def test_the_streak_names_its_runs_oldest_first():
    found = count_streak([decided(3), decided(1), decided(2)], digest=DIGEST, environment="staging", distinct="run")
    assert found == Streak(3, ("R001", "R002", "R003"), "registry")


def test_a_deny_ends_the_streak_whatever_the_order_of_the_tags():
    assert streak(decided(1), decided(2, "DENY"), decided(3)) == 1
    assert streak(decided(3), decided(1), decided(2, "DENY")) == 1
    assert streak(decided(1), decided(2), decided(3, "DENY")) == 0


def test_a_deny_in_the_same_second_is_the_later_one():
    at = decided(2).decided_at
    assert streak(decided(1), decided(2), decided(0, "DENY", decided_at=at)) == 0
    assert streak(decided(1), decided(2), decided(9, "DENY", decided_at=at)) == 0


def test_zones_are_understood():
    later = decided(0, "DENY", decided_at="2026-11-20T09:02:00+09:00")
    assert streak(decided(1), later, decided(3)) == 1


def test_other_environments_neither_count_nor_end_it():
    assert streak(decided(1), decided(2, "DENY", environment="production"), decided(3)) == 2
    assert streak(decided(1, environment="production"), decided(2)) == 1


def test_the_present_run_never_counts():
    assert streak(decided(1), decided(2), exclude_run_id="R002") == 1
    assert streak(decided(1), decided(2, "PENDING"), exclude_run_id="R002") == 1


def test_a_record_that_was_never_finished_ends_it():
    assert streak(decided(1), decided(2, "PENDING")) == 0


def test_other_bytes_under_the_same_version_end_it():
    assert streak(decided(1), decided(2, digest=OTHER), decided(3)) == 1


def test_a_day_counts_once():
    days = [decided(0), decided(1), decided(1440), decided(2880)]
    assert streak(*days, distinct="day") == 3
    assert streak(*days, distinct="run") == 4


def test_an_evaluation_set_counts_once_and_an_unknown_one_not_at_all():
    found = [decided(0), decided(1, evaluation="sha256:data0"), decided(2, evaluation=None), decided(3)]
    assert streak(*found, distinct="evaluation") == 2
    assert streak(decided(0), decided(1, "DENY", evaluation=None), decided(2), distinct="evaluation") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"verdict":"ALLOW"',
        "[]",
        '"ALLOW"',
        "null",
        '{"verdict":"ALLOW","verdict":"DENY"}',
        '{"verdict":"ALLOW","x":NaN}',
        "[" * 100_000,
    ],
)
def test_a_record_that_is_no_json_ends_it(text):
    assert streak(*read_tags({PREFIX + "R009": text}, "7"), decided(1)) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "Allow"},
        {"verdict": ["ALLOW"]},
        {"verdict": None},
        {"mode": "dry-run"},
        {"mode": None},
        {"environment": None},
        {"environment": 3},
        {"decided_at": None},
        {"decided_at": "2026-11-20"},
        {"decided_at": 20261120},
        {"digest": None},
        {"digest": ""},
        {"run_id": "R001"},
        {"version": "6"},
        {"version": None},
    ],
)
def test_a_record_that_was_tampered_with_ends_it(changes):
    key, value = tag_of(decided(5))
    plain = {**json.loads(value), **changes}
    found = read_tags({key: json.dumps({k: v for k, v in plain.items() if v is not None})}, "7")
    assert found[0].broken
    assert streak(*found, decided(1), decided(9)) == 0


def test_the_run_id_tells_when_a_broken_record_was_made():
    from datetime import UTC, datetime

    early = new_run_id(datetime(2026, 11, 20, 0, 1, tzinfo=UTC))
    broken = read_tags({PREFIX + early: "{"}, "7")
    assert streak(*broken, decided(0), decided(2), decided(3)) == 2
    assert ordered([decided(2), *broken, decided(0)])[1] == broken[0]


def test_a_broken_record_of_unknown_time_is_the_newest():
    for run_id in ("nonsense", "Z" * 26, "7" + "Z" * 25):
        broken = read_tags({PREFIX + run_id: "{"}, "7")
        assert ordered([*broken, decided(2)])[-1] == broken[0]


@given(st.lists(st.tuples(st.sampled_from(["ALLOW", "DENY", "PENDING"]), st.sampled_from(["staging", "production"]))))
def test_the_streak_is_the_run_of_allows_at_the_end(history):
    found = [decided(at, verdict, environment=where) for at, (verdict, where) in enumerate(history)]
    expected = 0
    for verdict, where in history:
        if where == "staging":
            expected = expected + 1 if verdict == "ALLOW" else 0
    assert streak(*reversed(found)) == expected


@given(st.lists(st.sampled_from(["ALLOW", "DENY"]), min_size=1), st.data())
def test_a_broken_record_never_makes_a_streak_longer(verdicts, data):
    found = [decided(at, verdict) for at, verdict in enumerate(verdicts)]
    at = data.draw(st.integers(0, len(found) - 1))
    broken = replace(found[at], broken="changed")
    assert streak(*found[:at], broken, *found[at + 1 :]) <= streak(*found)
