from __future__ import annotations

import pytest

from pytest_leanml import fixtures
from pytest_leanml.collection import MEASURING

TABLE = """
import pandas as pd
import pytest

@pytest.fixture
def {name}():
    return {value}
"""


def test_every_measuring_fixture_exists():
    assert all(hasattr(fixtures, name) for name in MEASURING)


def test_every_fixture_is_listed_with_its_purpose(plain):
    ours = plain("--fixtures").stdout.str().partition("defined from pytest_leanml.fixtures")[2].partition("\n---")[0]
    for name in (*MEASURING, "candidate", "champion", "train_data", "evaluation_data", "production_data"):
        assert f"\n{name} " in ours
    assert "no docstring available" not in ours


def test_each_fixture_measures_its_kind(flights, pytester, plain):
    path = flights / "leanml.yaml"
    text = path.read_text().replace("target: late", "target: late, train: march.csv, groups: [origin], min_group: 5")
    path.write_text(text)
    pytester.makepyfile(
        """
        def test_quality(quality):
            assert quality.accuracy() == 0.9

        def test_fairness(fairness):
            assert 0 <= fairness.demographic_parity_difference("origin") <= 1

        def test_drift(drift):
            assert drift.share() == 0

        def test_data_quality(data_quality):
            assert data_quality.rows() == 40

        def test_sources(candidate, champion, train_data, evaluation_data, production_data):
            assert champion is production_data is None
            assert len(candidate.predict(evaluation_data)) == len(train_data) == 40
        """
    )
    plain().assert_outcomes(passed=5)


def test_comparison_and_lineage_need_what_is_not_there(flights, pytester, plain):
    pytester.makepyfile(
        """
        import pytest
        from pytest_leanml.errors import LeanmlError

        def test_comparison(comparison):
            with pytest.raises(LeanmlError, match="champion"):
                comparison.gain("f1_score")

        def test_lineage(lineage):
            with pytest.raises(LeanmlError, match="train"):
                lineage.training_age_days()
        """
    )
    plain().assert_outcomes(passed=2)


def test_predictions_are_made_once_for_all_checks(pytester, plain):
    pytester.makeconftest(
        """
        import pandas as pd, pytest

        class Counting:
            calls = 0
            def predict(self, frame):
                Counting.calls += 1
                return [0] * len(frame)

        @pytest.fixture(scope="session")
        def candidate():
            return Counting()

        @pytest.fixture(scope="session")
        def evaluation_data():
            return pd.DataFrame({"late": [0, 0, 1, 1] * 10, "delay": range(40)})
        """
    )
    (pytester.path / "leanml.yaml").write_text("version: 1\ndata: {target: late}\n")
    pytester.makepyfile(
        """
        def test_accuracy(quality):
            assert quality.accuracy() == 0.5

        def test_recall(quality, candidate):
            assert quality.recall() == 0
            assert candidate.calls == 1
        """
    )
    plain().assert_outcomes(passed=2)


ENDING = """
import pytest

class Odd(BaseException):
    pass

class Model:
    def predict(self, frame):
        raise {fault}

@pytest.fixture(scope="session")
def candidate():
    return Model()
"""


@pytest.mark.parametrize("fault", ["SystemExit(0)", "Odd('tired')", "pytest.skip.Exception('today')"])
def test_a_model_that_ends_the_process_is_an_error_of_each_check(flights, pytester, shown, fault):
    pytester.makeconftest(ENDING.format(fault=fault))
    pytester.makepyfile("def test_it(quality):\n    assert quality.accuracy() > 0\n")
    result, decision = shown()
    assert {"G1.error"} <= decision["own"]
    assert not {"G4.interrupt", "G4.internal_error", "G1.skipped"} & decision["own"]
    found = {each["check"]: each["message"] for each in decision["reasons"] if each["rule"] == "G1.error"}
    assert {"quality.accuracy", "quality.f1_score"} < set(found)
    assert all(each.startswith("the candidate failed in predict: ") for each in found.values())
    text = result.stdout.str()
    assert "next: " in text
    assert "estimators.py" not in text
    assert "Traceback" not in text


def test_a_module_that_overrides_the_data_measures_on_its_own(flights, pytester, plain):
    pytester.makepyfile(
        test_all="def test_it(data_quality):\n    assert data_quality.rows() == 40\n",
        test_few=TABLE.format(name="evaluation_data", value="pd.DataFrame({'late': [0, 1]})")
        + "\ndef test_it(data_quality):\n    assert data_quality.rows() == 2\n",
    )
    plain().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("fixture", "rule"),
    [
        (("candidate", "type('M', (), {'predict': lambda self, frame: [0] * len(frame)})()"), "G10.candidate"),
        (("evaluation_data", "pd.DataFrame({'late': [0, 1] * 20})"), "G10.data"),
    ],
)
def test_what_a_project_puts_in_place_of_model_or_data_is_told(flights, pytester, shown, fixture, rule):
    pytester.makeconftest(TABLE.format(name=fixture[0], value=fixture[1]))
    (flights / "leanml.yaml").write_text((flights / "leanml.yaml").read_text().replace("0.85", "0.1"))
    _, decision = shown("-k", "accuracy or rows")
    assert rule in {each["rule"] for each in decision["warnings"]}


def test_two_values_of_one_measurement_deny(flights, pytester, shown):
    pytester.makeconftest("")
    pytester.makepyfile(
        TABLE.format(name="evaluation_data", value="pd.DataFrame({'late': [1] * 40})")
        + "\ndef test_it(quality):\n    assert quality.accuracy() >= 0\n"
    )
    _, decision = shown()
    assert "G6.conflict" in decision["own"]
