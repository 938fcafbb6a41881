from __future__ import annotations

import sys
import textwrap

import pytest

from pytest_leanml.checks.custom import Custom
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError

MODULE = "leanml_checks_of_a_project"
SOURCE = """
    import numpy as np

    LIMIT = 3

    def share_late(evaluation_data):
        return evaluation_data["late"].mean()

    def disagreement(candidate, champion, evaluation_data):
        return float(np.mean(candidate.predict(evaluation_data) != champion.predict(evaluation_data)))

    def above(study, *, threshold, slack=0.0, **more):
        return float((study.sample("scores").scores > threshold + slack).mean())

    def of_quality(study):
        from pytest_leanml.checks.quality import Quality
        return Quality(study).accuracy()

    def careless(evaluation_data):
        evaluation_data["late"] = 0
        del evaluation_data["x"]
        return 1

    def asserting(evaluation_data):
        assert len(evaluation_data) > 10**9, "not enough"

    def exiting(evaluation_data):
        raise SystemExit(0)

    def stranger(evaluation_frame):
        return 1.0

    def failing():
        raise ValueError("of the project's own")

    def nan(): return float("nan")
    def text(): return "0.5"
    def true(): return True
    def nothing(): pass
"""


@pytest.fixture
def custom(tmp_path, frame, make_study, told, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    (tmp_path / f"{MODULE}.py").write_text(textwrap.dedent(SOURCE))
    yield Custom(make_study(frame, champion=told("sha256:two", "other"), root=tmp_path))
    sys.modules.pop(MODULE, None)


def call(custom, function, params=None):
    return custom.measure("mine", f"{MODULE}:{function}", params)


def test_what_a_function_returns_is_recorded(custom, frame, ledger):
    measured = call(custom, "share_late")
    assert float(measured) == pytest.approx(frame.late.mean())
    record = ledger[-1]
    assert (record.id, record.metric, record.method, record.user) == (
        *("custom.mine", "mine", f"{MODULE}:share_late", True),
    )


def test_parameters_say_what_it_gets(custom, frame):
    assert float(call(custom, "disagreement")) == pytest.approx((frame.answer != frame.other).mean())
    assert float(call(custom, "above", {"threshold": 0.5})) == pytest.approx((frame.score > 0.5).mean())
    shifted = call(custom, "above", {"threshold": 0.5, "slack": 0.2})
    assert float(shifted) == pytest.approx((frame.score > 0.7).mean())


def test_what_a_function_changes_reaches_no_other_check(custom, frame):
    before = frame.copy()
    assert call(custom, "careless") == 1
    assert custom.study.rows_of("evaluation").equals(before)


def test_a_measurement_may_be_returned(custom, frame):
    assert float(call(custom, "of_quality")) == pytest.approx((frame.late == frame.answer).mean())


@pytest.mark.parametrize(
    ("function", "params", "word"),
    [
        ("stranger", None, "nothing is known for the parameter `evaluation_frame`"),
        ("above", None, "nothing is known for the parameter `threshold`"),
        ("share_late", {"treshold": 1}, "has no parameter 'treshold'"),
        ("LIMIT", None, "is a int"),
    ],
)
def test_a_call_that_does_not_fit(custom, function, params, word):
    with pytest.raises(ConfigError, match=word):
        call(custom, function, params)


@pytest.mark.parametrize("function", ["nan", "text", "true", "nothing"])
def test_what_is_no_finite_number_is_no_measurement(custom, ledger, function):
    with pytest.raises(MeasurementError, match=f"what `{MODULE}:{function}` returned"):
        call(custom, function)
    assert not ledger


def test_an_assertion_is_a_fault_and_no_missed_limit(custom):
    with pytest.raises(MeasurementError, match="raised AssertionError: not enough"):
        call(custom, "asserting")


def test_the_end_of_the_process_is_a_fault(custom):
    with pytest.raises(MeasurementError, match="raised SystemExit: 0") as caught:
        call(custom, "exiting")
    assert isinstance(caught.value.__cause__, SystemExit)


def test_errors_of_the_project_keep_their_traceback(custom):
    with pytest.raises(ValueError, match="of the project's own"):
        call(custom, "failing")


@pytest.mark.parametrize("name", ["share_late", f"{MODULE}:", ":share_late", ""])
def test_what_is_no_name(custom, name):
    with pytest.raises(ConfigError, match=r"checks\.custom\.mine\.call"):
        custom.measure("mine", name)


def test_a_function_or_module_that_is_not_there(custom):
    with pytest.raises(SourceError, match="has no `absent`"):
        call(custom, "absent")
    with pytest.raises(SourceError, match="cannot be imported"):
        custom.measure("mine", "leanml_nobodys_module:x")


def test_an_empty_table_never_reaches_the_function(frame, make_study, custom):
    empty = Custom(make_study(frame.head(0), root=custom.study.settings.root))
    with pytest.raises(InconclusiveError, match="has no rows"):
        call(empty, "share_late")
