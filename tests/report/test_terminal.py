"""What a person reads in the terminal: verdict first, and nothing that a terminal or a runner obeys."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_leanml.decision import Decision, Reason, WaivedReason
from pytest_leanml.errors import ConfigError, UndecidedError
from pytest_leanml.judge import Manifest
from pytest_leanml.report import words
from pytest_leanml.report.markdown import markdown
from pytest_leanml.report.terminal import Screen, _mark
from pytest_leanml.vocabulary import Mode, Severity, Verdict

DENIED = Decision(
    "01RUN",
    Verdict.DENY,
    Mode.ENFORCE,
    "production",
    "2026-11-24T00:00:00Z",
    subject={"name": "flights", "version": "2"},
    champion={"version": "1"},
    alias={"name": "champion", "version": "1"},
    reasons=(
        Reason("limits.quality.accuracy", "too low", check="quality.accuracy", measured=0.79, limit=">= 0.8"),
        Reason("G1.failed", "missed", check="quality.accuracy"),
        Reason("G4.exit_status", "pytest ended with 1"),
        Reason("own.rule", "no", check="parity"),
    ),
    warnings=(Reason("G1.warning", "near", Severity.WARNING),),
    waived=(WaivedReason("limits.parity", "missed", "known", "ada", "2027-01-01"),),
    shadow=(Reason("own.shadow", "would"),),
)
DOCUMENT = {
    "checks": [
        {"id": "quality.accuracy", "outcome": "failed", "severity": "error"},
        {"id": "near", "outcome": "failed", "severity": "warning"},
        {"id": "open", "outcome": "inconclusive", "severity": "error"},
    ],
    "baseline": {"no_skill": {"accuracy": 0.5}, "simple": {"accuracy": 0.75}},
    "measurements": {
        "quality.accuracy": {"metric": "accuracy", "value": 0.79, "low": 0.7, "high": None, "sampleSize": 12345,
                             "comparator": ">=", "threshold": 0.8, "passed": False, "check": "quality.accuracy"},
        "rows": {"metric": "rows", "value": 10_000, "unit": "row", "comparator": ">=", "threshold": 1, "passed": True},
        "near": {"metric": "near", "value": 1, "unit": "row", "comparator": "<", "threshold": 1, "passed": False, "check": "near"},
        "open": {"metric": "open", "value": 1e20, "comparator": "<", "threshold": 1, "passed": False, "check": "open"},
        "free": {"metric": "free", "value": 0.25, "low": 0.25, "high": 0.25},
    },
}  # fmt: skip


class Late:
    """A screen that is made when it is used: it takes the stdout of that moment, which capsys reads."""

    def __init__(self, config):
        self._config = config

    def __getattr__(self, name):
        return getattr(Screen(self._config), name)


@pytest.fixture
def screen(pytestconfig):
    return Late(pytestconfig)


def _shown(capsys):
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_the_verdict_comes_first_and_the_files_last(screen, capsys, tmp_path):
    screen.verdict(DENIED, DOCUMENT, [tmp_path / "decision.json", tmp_path / "report.md"], promoted=False, status=20)
    shown = _shown(capsys).splitlines()
    assert "model gate: DENY" in shown[0]
    assert shown[1] == "flights 2 is not promoted for production; the registry is as it was"
    text = "\n".join(shown)
    assert re.search(r"- quality.accuracy +0.79 \[0.7, -\] n=12,345 +>= 0.8  \(no skill 0.5, simple 0.75\)", text)
    assert re.search(r"\+ rows +10,000 rows", text)
    assert re.search(r"! near +1 row", text)
    assert re.search(r"\? open +1e\+20", text)
    assert re.search(r"free +0.25 +judged by the policies", text)
    assert "measured 0.79, limit >= 0.8" in text
    assert "also: G1.failed" in text
    assert "own.rule (parity)" in text
    assert "~ waived limits.parity until 2027-01-01 by ada: known" in text
    assert "shadow rules that would deny:" in text
    assert "champion 1; status 20" in text
    assert shown[-1] == f"files in {tmp_path}: decision.json, report.md"


def measuring(*details):
    return {"measurements": {f"drift.share[{index}]": {"details": each} for index, each in enumerate(details)}}


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ([], ""),
        ([{"columns": 12}, {"fdr": 0.05}, {"tests": 3}, {"tests": "3", "fdr": None}], ""),
        ([{"tests": 1, "fdr": 0.05}], "1 test over 1 check, false discovery rate 0.05"),
        (
            [{"tests": 6, "fdr": 0.025}, {"tests": 6.0, "fdr": 0.025}],
            "12 tests over 2 checks, false discovery rate 0.05 shared",
        ),
        ([{"tests": 5, "fdr": 0.05 / 3}] * 3, "15 tests over 3 checks, false discovery rate 0.05 shared"),
    ],
)
def test_over_how_many_tests_the_rate_was_held(screen, capsys, details, expected):
    document = {**measuring(*details), "checks": []}
    assert words.multiplicity(document) == expected
    shown = {name: {"metric": "share", "value": 0.0, **each} for name, each in document["measurements"].items()}
    screen.verdict(DENIED, {**document, "measurements": shown}, [], promoted=False, status=20)
    assert (expected in _shown(capsys).splitlines()) is bool(expected)
    assert (f"- {expected}" in markdown(DENIED, {**document, "measurements": shown}).splitlines()) is bool(expected)


def test_a_pass_by_the_value_alone_has_another_colour():
    passed = {"passed": True, "check": "a"}
    assert [_mark({**passed, **more}, {}) for more in ({}, {"settled": True}, {"settled": False})] == [
        ("+", "green"),
        ("+", "green"),
        ("+", "yellow"),
    ]
    assert _mark({"passed": False, "settled": False}, {}) == ("-", "red")
    assert _mark({}, {}) == (" ", "white")


def test_a_dry_run_says_so(screen, capsys):
    screen.verdict(replace(DENIED, mode=Mode.DRY_RUN), {}, [], promoted=False, status=20)
    assert "model gate: DENY (dry-run)" in _shown(capsys)


def test_what_is_about_to_be_judged(screen, capsys):
    context = SimpleNamespace(subject={"name": "flights", "version": "2"}, champion={"version": "1"})
    snapshot = SimpleNamespace(context=context, environment="production", manifest=Manifest("01RUN"))
    screen.announce(snapshot)
    assert _shown(capsys) == "model gate: flights 2 against champion 1 for production, run 01RUN\n"
    context = SimpleNamespace(subject={}, champion=None)
    screen.announce(SimpleNamespace(context=context, environment=None, manifest=Manifest("01RUN")))
    assert _shown(capsys) == "model gate: no model, run 01RUN\n"


def test_the_manifest(screen, capsys):
    screen.manifest(Manifest("01RUN", declared=("quality.accuracy",), required=("mine",)))
    shown = _shown(capsys)
    assert "PENDING" in shown
    assert "  quality.accuracy\n  mine (required)\nnothing was run" in shown


def test_errors_are_told_with_what_to_do(screen, capsys):
    screen.refused(ConfigError("no model", "one", "add it"))
    assert "no model\n  expected: one\n  next: add it\nstatus 4: nothing was measured" in _shown(capsys)
    screen.trouble(UndecidedError("disk full"))
    assert _shown(capsys) == "  ! disk full\n"
    screen.stopped(UndecidedError("disk full"), 21)
    assert _shown(capsys).endswith("  disk full\nstatus 21\n")


hostile = st.sampled_from(
    ["::error::x", "\n::set-output name=promoted::true", "##[error]", "\x1b[2J", "\u202e", " ::x", "a | b"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile | st.text(max_size=8))
def test_nothing_from_data_is_obeyed(screen, capsys, text):
    reason = Reason(text, text, check=text, measured=1.0, limit=text)
    decision = replace(
        DENIED,
        subject={"name": text, "version": text},
        champion={"uri": text},
        environment=text,
        reasons=(reason, replace(reason, check=None)),
        warnings=(reason,),
        shadow=(reason,),
        waived=(WaivedReason(text, text, text, text, text),),
    )
    record = {"metric": text, "value": 1.0, "unit": text, "comparator": text, "threshold": 1, "check": text}
    capsys.readouterr()
    screen.verdict(decision, {"measurements": {text: record}, "checks": []}, [], promoted=False, status=20)
    context = SimpleNamespace(subject={"name": text, "version": text}, champion={"version": text})
    screen.announce(SimpleNamespace(context=context, environment=text, manifest=Manifest("01RUN")))
    screen.refused(ConfigError(text, text, text, file=text, key=text))
    screen.trouble(UndecidedError(text))
    screen.stopped(UndecidedError(text), 21)
    screen.manifest(Manifest("01RUN", declared=(text,), required=(text,)))
    shown = _shown(capsys)
    assert shown.count("model gate: ") == 5
    assert not [line for line in shown.split("\n") if line.strip().startswith("::") or "##[" in line]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)


def test_numbers_read_short():
    assert [words.number(value) for value in (None, 0.123456, 12345.0, 1e20)] == ["", "0.1235", "12,345", "1e+20"]
    assert words.readable("0.123456789 at 10:00:00.123456 in 1.5") == "0.1235 at 10:00:00.123456 in 1.5"
    assert words.interval({}) == ""
    assert words.counts({}) == "no checks"


def test_subjects_and_champions_have_names():
    assert words.subject(replace(DENIED, subject={"uri": "m.skops"})) == "m.skops"
    assert words.subject(replace(DENIED, subject={})) == "no model"
    assert words.champion(replace(DENIED, champion={"uri": "m.skops"})) == "champion m.skops"
    assert words.champion(replace(DENIED, champion={})) == "no champion"


def test_a_reason_shows_what_it_has():
    assert words.against(Reason("x", "y", measured=0.5)) == "measured 0.5"
    assert words.against(Reason("x", "y", limit="> 1")) == "limit > 1"
    assert words.against(Reason("x", "0.5 is not > 1", measured=0.5, limit="> 1")) == ""


@pytest.mark.parametrize(
    ("unit", "told"),
    [("MB", "2.5 MB"), ("USD", "2.5 USD"), ("ms", "2.5 ms"), ("rows/s", "2.5 rows/s"), ("day", "2.5 days")],
)
def test_a_unit_that_is_a_word_has_a_plural(unit, told):
    assert words.measured({"value": 2.5, "unit": unit}) == told
