from __future__ import annotations

import pytest

from pytest_leanml.excuses import Allowance, category_of

SOFT = """
import pytest

@pytest.mark.quality_check(id="soft", severity="warning")
def test_soft(evidence):
    assert evidence.record("cost", 3.0) <= 2.5
"""


@pytest.fixture
def project(pytester):
    """Return a function that writes one test file."""

    def write(text, name="test_it"):
        (pytester.path / f"{name}.py").write_text(text)

    return write


def raised(error):
    with pytest.raises(BaseException) as caught:
        raise error
    return category_of(caught)


def test_each_exception_has_its_category():
    from pytest_leanml.errors import FirstRelease, InconclusiveError

    assert category_of(None) is None
    assert raised(FirstRelease("x")) == "first_release"
    assert raised(InconclusiveError("x")) == "inconclusive"
    assert raised(AssertionError()) == "assert"
    assert raised(pytest.skip.Exception("x")) == "skip"
    assert raised(pytest.exit.Exception("x")) == "exit"
    assert raised(ValueError()) == raised(KeyboardInterrupt()) == "error"


def test_a_waiver_covers_the_check_itself_or_all_of_its_parts():
    allowed = Allowance({"parity": "known", "parity[EWR]": "seen"})
    assert allowed.waiver_of("parity[JFK]") == "known"
    assert allowed.waiver_of("parity[EWR]") == "seen"
    assert allowed.waiver_of("paritys") is None
    assert Allowance({"parity[EWR]": "seen"}).waiver_of("parity") is None


def test_a_missed_limit_of_a_warning_is_expected_with_and_without_the_gate(project, plain, shown):
    project(SOFT + "\ndef test_hard(evidence):\n    assert evidence.record('speed', 3.0) >= 2.5\n")
    result = plain("-rx")
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.fnmatch_lines(["*missed limit, severity warning*"])
    result, decision = shown()
    result.assert_outcomes(passed=1, xfailed=1)
    assert decision["own"] == set()
    assert "soft" in [each["check"] for each in decision["warnings"]]


@pytest.mark.parametrize(
    "body",
    ["raise ValueError('x')", "assert 3 < 2", "evidence.record('cost', 3.0) <= 2.5\n    raise ValueError('after')"],
    ids=["error", "nothing-measured", "error-after-a-miss"],
)
def test_nothing_but_a_missed_limit_of_a_warning_is_excused(project, plain, shown, body):
    project(SOFT.replace('assert evidence.record("cost", 3.0) <= 2.5', body))
    plain().assert_outcomes(failed=1)
    result, decision = shown()
    result.assert_outcomes(failed=1)
    assert decision["own"] >= {"G4.exit_status"}


def test_an_inconclusive_warning_is_excused_where_a_limit_was_missed(project, plain):
    project(
        SOFT.replace(
            "    assert evidence", "    from pytest_leanml.errors import InconclusiveError\n    evidence"
        ).replace("<= 2.5", "<= 2.5\n    raise InconclusiveError('not proven')")
    )
    plain().assert_outcomes(xfailed=1)


FIRST = (
    "def test_it(evidence):\n    from pytest_leanml.errors import FirstRelease\n    raise FirstRelease('no champion')\n"
)


def test_a_first_release_that_nobody_declared_fails(project, plain):
    project(FIRST)
    plain().assert_outcomes(failed=1)


WAIVER = (
    "- {{rule: {rule}, model: flights, environment: production, ticket: ML-1, reason: known, owner: risk, "
    "approved_by: head, expires: '2099-01-01'}}\n"
)


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        ("parity", ("parity", True)),
        ("limits.parity", ("parity", True)),
        ("parity", ("parity[EWR]", True)),
        ("parity", ("speed", False)),
        ("fairness.parity", ("parity", False)),
    ],
)
def test_a_live_waiver_covers_the_limit_of_a_test(flights, project, shown, rule, case):
    id_, excused = case
    text = f"import pytest\n@pytest.mark.fairness_check(id='{id_}')\ndef test_parity(evidence):\n"
    project(text + f"    assert evidence.record('{id_}', 0.3) <= 0.1\n")
    path = flights / "leanml.yaml"
    path.write_text(path.read_text() + "policy: {waivers: waivers.yaml, waiver_days: 36500}\n")
    (flights / "waivers.yaml").write_text(WAIVER.format(rule=rule))
    result, decision = shown()
    result.assert_outcomes(**({"passed": 2, "xfailed": 1} if excused else {"passed": 2, "failed": 1}))
    assert (decision["own"] == set()) == excused
    assert [each["reason"] for each in decision["waived"]] == (["known"] if excused else [])


def test_a_waived_check_that_misses_another_limit_denies(flights, project, shown):
    project(
        "import pytest\n@pytest.mark.fairness_check(id='parity')\ndef test_parity(evidence):\n"
        "    other = evidence.record('other', 9.0) <= 1\n    assert evidence.record('parity', 0.3) <= 0.1 and other\n"
    )
    path = flights / "leanml.yaml"
    path.write_text(path.read_text() + "policy: {waivers: waivers.yaml, waiver_days: 36500}\n")
    (flights / "waivers.yaml").write_text(WAIVER.format(rule="parity"))
    _, decision = shown()
    assert decision["own"] == {"limits.other"}


def test_a_failing_assert_tells_value_interval_limit_and_groups(project, plain):
    project(
        "def test_it(evidence):\n"
        "    gap = evidence.record('gap', 0.3, low=0.2, high=0.4, n=60, by={'EWR': 0.1, 'JFK': 0.4})\n"
        "    assert gap <= 0.1\n"
    )
    result = plain()
    result.stdout.fnmatch_lines(
        ["*assert 0.3 <= 0.1*", "*gap is 0.3; limit <= 0.1: missed*", "*0.2, 0.4*60 rows*", "*JFK 0.4*"]
    )


def test_a_failing_assert_with_the_limit_on_the_left_is_told_too(project, plain):
    project("def test_it(evidence):\n    assert 0.1 >= evidence.record('gap', 0.3)\n")
    plain().stdout.fnmatch_lines(["*gap is 0.3*"])


def test_other_floats_are_compared_as_always(project, plain):
    project("def test_it():\n    assert 0.3 <= 0.1\n")
    plain().stdout.fnmatch_lines(["*assert 0.3 <= 0.1*"])


def test_a_failure_that_does_not_name_what_missed_is_completed(project, plain):
    project(
        "def test_it(evidence):\n    gap = evidence.record('gap', 0.3)\n"
        "    if gap >= 0.2 and not gap <= 0.1:\n        raise AssertionError('no')\n"
    )
    result = plain()
    result.stdout.fnmatch_lines(["*measured gap = 0.3*", "value >= 0.2: held", "value <= 0.1: missed"])


def test_an_error_of_ours_shows_the_line_of_the_project_and_no_frame_of_ours(project, plain):
    project("def test_it(evidence):\n    if evidence.record('gap', 0.3):\n        pass\n")
    result = plain()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*write*>=*", "*test_it.py:2*"])
    assert "pytest_leanml/" not in result.stdout.str()


def test_an_error_of_ours_without_a_line_of_the_project_is_its_text(project, plain):
    project("def test_it(candidate): pass\n")
    result = plain()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*there is no candidate*"])
    assert "pytest_leanml/" not in result.stdout.str()


def test_a_wrong_option_is_told_as_text_in_a_plain_run(project, plain):
    project("def test_it(quality): pass\n")
    result = plain("-o", "gate_engine=prolog")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*gate_engine is 'prolog'; expected: one of embedded, opa, both*"])
    assert "options.py" not in result.stdout.str()


def test_measurements_are_properties_of_junit_xml(project, plain, pytester):
    project("def test_it(evidence):\n    assert evidence.record('gap', 0.3) <= 1\n")
    plain("--junitxml=out.xml").assert_outcomes(passed=1)
    assert '<property name="gap" value="0.3"' in (pytester.path / "out.xml").read_text()
