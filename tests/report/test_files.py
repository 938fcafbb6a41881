"""What is written for people and runners, and what is left alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_leanml.decision import Decision, Reason, WaivedReason
from pytest_leanml.errors import UndecidedError
from pytest_leanml.report.ci import dotenv, outputs, workflow_commands, write_github
from pytest_leanml.report.files import Wanted, write_reports
from pytest_leanml.report.markdown import markdown
from pytest_leanml.report.words import baselines
from pytest_leanml.vocabulary import Mode, Severity, Verdict

NASTY = "::set-output name=promoted::true\n##[error]x | `y` @all <b>\x1b[31m\u202e"
DOCUMENT = {
    "checks": [{"id": "quality.accuracy", "outcome": "failed", "severity": "warning"}],
    "baseline": {"no_skill": {"accuracy": 0.5}, "simple": {"accuracy": 0.75}},
    "measurements": {
        "quality.accuracy": {
            "metric": "accuracy",
            "value": 0.79,
            "low": 0.7,
            "high": 0.8,
            "interval": "wilson",
            "sampleSize": 100,
            "comparator": ">=",
            "threshold": 0.8,
            "side": "low",
            "passed": False,
        },
        NASTY: {"metric": "mine", "value": 1.0, "unit": NASTY, "interval": NASTY},
    },
}


def _decision(text=NASTY, verdict=Verdict.DENY, **more):
    given = {
        "subject": {"name": text, "version": text, "digest": "sha256:aa"},
        "champion": {"uri": text},
        "alias": {"name": "champion"},
        "reasons": (Reason(text, text, check=text, measured=0.5, limit=text),),
        "warnings": (Reason(text, text, Severity.WARNING),),
        "waived": (WaivedReason(text, text, text, text, text),),
        "shadow": (Reason(text, text),),
        "engine": {"name": text, "version": text},
    }
    given |= {"environment": text, **more}
    return Decision("01RUN", verdict, Mode.ENFORCE, decided_at="2026-11-24T00:00:00Z", **given)


def _commands(text):
    return [line for line in text.splitlines() if line.strip().startswith("::")]


def _read_github(text):
    """Read GITHUB_OUTPUT as the runner does."""
    found, lines = {}, iter(re.split(r"\r\n|\n|\r", text))
    for line in lines:
        if not line:
            continue
        name, delimiter = line.split("<<", 1)
        value = []
        for each in lines:
            if each == delimiter:
                break
            value.append(each)
        else:
            raise AssertionError(f"no end of {name}")
        found[name] = "\n".join(value)
    return found


hostile = st.lists(
    st.sampled_from([NASTY, "\n", "promoted<<x\ntrue\nx", "promoted=true", "::error::", "leanml_", "=", "\r"])
    | st.text(max_size=6),
    max_size=5,
).map("".join)


@settings(deadline=None)
@given(hostile, st.booleans())
def test_no_value_breaks_out_of_the_outputs(tmp_path_factory, text, promoted):
    target = tmp_path_factory.mktemp("github") / "output"
    target.write_text("earlier=1")  # a step that left its last line open
    values = outputs(_decision(text), promoted=promoted, status=20)
    write_github({"GITHUB_OUTPUT": str(target)}, values, "")
    found = _read_github(target.read_text().removeprefix("earlier=1"))
    assert list(found) == list(values)
    assert found["promoted"] == ("true" if promoted else "false")
    assert found["verdict"] == "DENY"


@settings(deadline=None)
@given(hostile, st.booleans())
def test_the_dotenv_file_stays_one_value_a_line(text, promoted):
    written = dotenv(outputs(_decision(text), promoted=promoted, status=20)).splitlines()
    found = dict(line.split("=", 1) for line in written)
    assert len(found) == len(written) == 9
    assert all(re.fullmatch(r"LEANML_[A-Z_]+", name) for name in found)
    assert found["LEANML_PROMOTED"] == ("true" if promoted else "false")


@settings(deadline=None)
@given(hostile)
def test_a_workflow_command_for_each_reason_and_no_other(text):
    reasons = (Reason(text, text),) * 12
    written = list(workflow_commands(_decision(text, reasons=reasons)))
    assert len(written) == 11
    assert all(re.fullmatch(r"::(error|warning) title=[^:,\r\n]*::[^\r\n]*", line) for line in written)


@settings(deadline=None)
@given(hostile)
def test_the_markdown_report_is_obeyed_by_nobody(text):
    document = {**DOCUMENT, "measurements": {text: {"metric": text, "value": 1.0, "unit": text, "interval": text}}}
    report = markdown(_decision(text), document)
    assert not _commands(report)
    assert "##[" not in report
    assert "\x1b" not in report
    rows = [line for line in report.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} <= {5, 10}


def test_the_report_says_what_a_person_asks():
    report = markdown(_decision("x", subject={"name": "flights", "version": "2"}), DOCUMENT)
    assert "# Model gate: DENY\n" in report
    assert "flights 2 is not promoted" in report
    assert (
        r"| quality\.accuracy | 0\.79 | \[0\.7, 0\.8\] | wilson | 100 | lower bound &gt;= 0\.8 | 0\.5 | 0\.75 | no |"
        in report
    )
    assert r"1 checks\: 1 warned" in report
    for title in ("Reasons", "Warnings", "Waived", "Shadow rules that would deny", "Run"):
        assert f"## {title}\n" in report


def test_an_allow_needs_few_words():
    allowed = Decision("01RUN", Verdict.ALLOW, Mode.DRY_RUN, None, "2026-11-24T00:00:00Z")
    report = markdown(allowed, {})
    assert "# Model gate: ALLOW (dry-run)" in report
    assert "nothing can be promoted" in report
    assert "## Reasons" not in report
    assert "## Measurements" not in report


def test_what_became_of_the_alias_is_told():
    allowed = _decision("x", Verdict.ALLOW, environment="production")
    assert "is promoted for production: the alias 'champion' names it now" in _said(allowed, promoted=True)
    assert "whether the alias 'champion' names it now is not known" in _said(allowed, status=23)
    assert "nothing was moved" in _said(allowed, status=0)


def _said(decision, *, promoted=False, status=0):
    from pytest_leanml.report.words import outcome

    return outcome(decision, promoted=promoted, status=status)


@pytest.fixture
def output(tmp_path):
    folder = tmp_path / ".leanml"
    folder.mkdir()
    for name in ("decision.json", "evidence.json"):
        (folder / name).write_text("{}")
    return folder


def _write(output, wanted=None):
    return write_reports(output, _decision(), DOCUMENT, promoted=False, status=20, wanted=wanted)


def test_away_from_a_runner_people_alone_are_told(output, capsys):
    assert [path.name for path in _write(output)] == ["decision.json", "evidence.json", "report.md"]
    assert capsys.readouterr().out == ""


@pytest.fixture
def runner(monkeypatch, tmp_path):
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITLAB_CI", "true")
    return tmp_path


def test_each_runner_gets_its_own(output, runner, capsys):
    assert (output / "leanml.env") in _write(output)
    assert _read_github((runner / "GITHUB_OUTPUT").read_text())["promoted"] == "false"
    assert "# Model gate: DENY" in (runner / "GITHUB_STEP_SUMMARY").read_text()
    assert capsys.readouterr().out.count("::error title=model gate ") == 1


def test_what_is_switched_off_is_not_written(output, runner, capsys):
    found = _write(output, Wanted(markdown=False, github=False, gitlab=False))
    assert [path.name for path in found] == ["decision.json", "evidence.json"]
    assert not (runner / "GITHUB_OUTPUT").exists()
    assert capsys.readouterr().out == ""


def test_what_is_switched_on_is_written_without_a_runner(output, capsys):
    assert (output / "leanml.env") in _write(output, Wanted(github=True, gitlab=True))
    assert "::error " in capsys.readouterr().out


def test_a_runners_file_that_cannot_be_written_is_told(output, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path))
    with pytest.raises(UndecidedError, match="cannot be written"):
        _write(output)


def test_a_slice_has_baselines_of_its_own_and_other_kinds_have_none():
    document = {"baseline": {"no_skill": {"accuracy": 0.5}}}
    details = {"no_skill": 0.6, "simple": 0.7}
    sliced = {"metric": "accuracy", "details": details}
    assert baselines("quality.accuracy[night]", sliced, document) == {"no skill": 0.6, "simple": 0.7}
    assert baselines("quality.accuracy", sliced, document) == {"no skill": 0.5}
    assert baselines("comparison.accuracy", sliced, document) == {}
