"""Which waivers live."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pytest_leanml.config import load_config
from pytest_leanml.errors import ConfigError
from pytest_leanml.policy.waivers import Waivers, live_waivers, read_waivers

NOW = datetime(2026, 11, 23, 22, 10, 4, tzinfo=UTC)
PACKAGES = ["gate.limits", "gate.model_approval", "mine"]
WAIVER = {
    "rule": "quality.accuracy",
    "model": "flights",
    "environment": "production",
    "reason": "a storm",
    "owner": "ann",
    "ticket": "ML-7",
    "approved_by": "bob",
    "expires": "2026-12-01",
}


@pytest.fixture
def decide(tmp_path):
    def run(*changes, days=30, model="flights", environment="production", at=NOW):
        waivers = [{key: value for key, value in (WAIVER | each).items() if value is not None} for each in changes]
        (tmp_path / "waivers.json").write_text(json.dumps(waivers), encoding="utf-8")
        path = tmp_path / "leanml.yaml"
        path.write_text(
            f"version: 1\nmodel: {model}\npolicy: {{waivers: waivers.json, waiver_days: {days}}}\n", encoding="utf-8"
        )
        return live_waivers(load_config(path), environment, evaluated_at=at, packages=PACKAGES)

    return run


def test_a_live_one_covers_the_check_in_every_package(decide):
    found = decide({})
    assert sorted(found.live) == [
        "limits.quality.accuracy",
        "mine.quality.accuracy",
        "model_approval.quality.accuracy",
        "quality.accuracy",
    ]
    assert found.live["limits.quality.accuracy"] == {
        "reason": "a storm", "owner": "ann", "ticket": "ML-7", "approved_by": "bob", "expires": "2026-12-01",
    }  # fmt: skip
    assert found.expired == ()


def test_a_rule_id_is_kept_as_it_is(decide):
    assert "limits.drift.share[a]" in decide({"rule": "limits.drift.share[a]"}).live


@pytest.mark.parametrize("change", [{"model": "other"}, {"environment": "staging"}])
def test_another_models_or_environments_is_no_concern(decide, change):
    assert decide(change, change | {"expires": "2020-01-01"}) == Waivers({}, ())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expires": "2026-11-22"}, "ended on 2026-11-22"),
        ({"expires": "2026-11-23T22:10:04Z"}, "ended on"),
        ({"expires": "2026-12-24"}, "longer than 30 days"),
        ({"expires": "2026-12-23T22:10:05Z"}, "longer than 30 days"),
        ({"approved_by": "ann"}, "approved by its own owner"),
        ({"approved_by": " ANN "}, "approved by its own owner"),
    ],
)
def test_a_dead_one_is_a_reason_to_deny(decide, change, said):
    found = decide(change)
    assert found.live == {}
    [reason] = found.expired
    assert (reason.rule, said in reason.message) == ("waiver.quality.accuracy", True)
    assert "ML-7" in reason.message


@pytest.mark.parametrize("expires", ["2026-11-23", "2026-11-23T22:10:05Z", "2026-12-22", "2026-12-23T23:10:04+01:00"])
def test_the_last_moments_of_a_live_one(decide, expires):
    assert len(decide({"expires": expires}).live) == 4


def test_a_dead_one_beside_a_live_one_still_denies(decide):
    found = decide({}, {"expires": "2026-01-01"})
    assert len(found.live) == 4
    assert len(found.expired) == 1


@pytest.mark.parametrize("key", WAIVER)
@pytest.mark.parametrize("value", [None, "", "  ", 3, [], True])
def test_each_field_is_needed_and_is_text(decide, key, value):
    with pytest.raises(ConfigError) as caught:
        decide({key: value})
    assert f"0.{key}" in str(caught.value)
    assert "waivers.json" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"extra": "x"},
        {"expires": "soon"},
        {"expires": "20261201"},
        {"expires": "2026-02-30"},
        {"expires": "9999-12-31"},
        {"expires": "2026-W48-1"},
        {"rule": "quality accuracy"},
        {"rule": "*"},
    ],
)
def test_a_field_that_means_nothing(decide, change):
    with pytest.raises(ConfigError):
        decide(change)


def test_without_configuration_or_waivers_none_live(tmp_path):
    assert live_waivers(None, None, evaluated_at=NOW, packages=PACKAGES) == Waivers({}, ())
    path = tmp_path / "leanml.yaml"
    path.write_text("version: 1\n", encoding="utf-8")
    assert live_waivers(load_config(path), None, evaluated_at=NOW, packages=PACKAGES) == Waivers({}, ())


def test_a_gate_without_model_has_no_waivers_of_one(tmp_path):
    (tmp_path / "waivers.json").write_text(json.dumps([WAIVER]), encoding="utf-8")
    path = tmp_path / "leanml.yaml"
    path.write_text("version: 1\npolicy: {waivers: waivers.json}\n", encoding="utf-8")
    assert live_waivers(load_config(path), "production", evaluated_at=NOW, packages=PACKAGES) == Waivers({}, ())


def test_an_absent_file_is_an_error(tmp_path):
    path = tmp_path / "leanml.yaml"
    path.write_text("version: 1\nmodel: flights\npolicy: {waivers: gone.yaml}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        live_waivers(load_config(path), "production", evaluated_at=NOW, packages=PACKAGES)


def write(tmp_path, text):
    path = tmp_path / "waivers.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_is_read_with_places(tmp_path):
    lines = [f"  {key}: {value}" for key, value in WAIVER.items()]
    path = write(tmp_path, "-\n" + "\n".join(lines) + "\n")
    [found] = read_waivers(path)
    assert found.model_dump() == WAIVER
    lines[4] = "  owner: ''"
    path = write(tmp_path, "-\n" + "\n".join(lines) + "\n")
    with pytest.raises(ConfigError) as caught:
        read_waivers(path)
    assert (caught.value.line, caught.value.key) == (6, "0.owner")


def test_an_empty_file_holds_none(tmp_path):
    assert read_waivers(write(tmp_path, "")) == ()
    assert read_waivers(write(tmp_path, "[]")) == ()


@pytest.mark.parametrize("text", ["rule: x", "- x", "- [", "- rule: a\n  rule: b", "3"])
def test_a_file_of_another_shape(tmp_path, text):
    with pytest.raises(ConfigError, match=r"waivers\.yaml"):
        read_waivers(write(tmp_path, text))
