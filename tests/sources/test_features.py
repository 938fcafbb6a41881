from __future__ import annotations

import pandas as pd
import pytest

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.features import feature_frame, for_estimator

FRAME = pd.DataFrame({"id": [1, 2], "a": [1.0, 2.0], "s": ["x", "y"], "y": [0, 1]})


class Fitted:
    def __init__(self, **known):
        self.__dict__.update(known)


def test_all_but_the_dropped():
    assert list(feature_frame(FRAME, None, ("y", "id")).columns) == ["a", "s"]


def test_the_models_own_names_win():
    found = for_estimator(FRAME, Fitted(feature_names_in_=["s"], n_features_in_=1), ["a"], ("y",))
    assert list(found.columns) == ["s"]


def test_a_signatures_names_come_second():
    assert list(for_estimator(FRAME, Fitted(), ["s", "a"], ("y",)).columns) == ["s", "a"]


def test_text_stays_in_a_frame():
    assert isinstance(for_estimator(FRAME, Fitted(n_features_in_=2), None, ("y", "id")), pd.DataFrame)
    assert for_estimator(FRAME, Fitted(n_features_in_=1), ["a"], ("y", "id")).tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("told", ["y", "id"])
def test_never_the_answer(told):
    with pytest.raises(SourceError, match=f"trained on the column `{told}`"):
        feature_frame(FRAME, ["a", told], ("y", "id"))
