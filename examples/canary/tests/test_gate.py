"""What leanml.yaml cannot say is a test, with plain asserts."""

import pytest


@pytest.mark.quality_check(id="worst_digit")
def test_no_digit_is_often_missed(candidate, evaluation_data, evidence):
    scans = evaluation_data.drop(columns="digit")
    right = evaluation_data["digit"].to_numpy() == candidate.predict(scans)
    found = min(right[evaluation_data["digit"] == digit].mean() for digit in range(10))
    assert evidence.record("worst_digit", found, n=len(right)) >= 0.75
