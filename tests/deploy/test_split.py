"""The router of users: sticky, in the shares that its weights say, and the same in every process."""

from __future__ import annotations

import hashlib
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from pytest_leanml.deploy.split import route
from pytest_leanml.errors import ConfigError

NAMES = ["a", "b", "c", "d"]
WEIGHTS = st.dictionaries(st.sampled_from(NAMES), st.floats(0.001, 1000), min_size=1)


def test_a_draw_is_what_the_formula_says():
    def least(user):
        def draw(name):
            text = f'["s", "{name}", "{user}"]'
            bits = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) >> 11
            return -math.log((bits + 0.5) / 2**53) / {"a": 1, "b": 3}[name]

        return min("ab", key=draw)

    users = [f"u{number}" for number in range(500)]
    assert [route(user, {"a": 1, "b": 3}, "s") for user in users] == [least(user) for user in users]


@settings(derandomize=True, max_examples=200)
@given(user=st.text(), weights=WEIGHTS, salt=st.text(), grown=st.sampled_from(NAMES), by=st.floats(1, 100))
def test_a_weight_that_grows_draws_users_to_itself_alone(user, weights, salt, grown, by):
    before = route(user, weights, salt)
    after = route(user, weights | {grown: weights.get(grown, 0.001) * by}, salt)
    assert after in {before, grown}
    assert route(user, dict(reversed(weights.items())), salt) == before
    assert weights[before] > 0


@settings(derandomize=True, max_examples=50)
@given(user=st.text(), first=st.integers(0, 99), step=st.integers(0, 99))
def test_a_canary_only_ever_gains(user, first, step):
    later = min(first + step, 100)
    if route(user, {"canary": first, "stable": 100 - first}, "x") == "canary":
        assert route(user, {"canary": later, "stable": 100 - later}, "x") == "canary"


@pytest.mark.parametrize("weights", [{"a": 1, "b": 1}, {"a": 5, "b": 95}, {"a": 1, "b": 2, "c": 7}])
def test_the_shares_are_those_of_the_weights(weights):
    users = 20_000
    seen = Counter(route(f"user-{number}", weights, "salt") for number in range(users))
    expected = [users * weight / sum(weights.values()) for weight in weights.values()]
    assert chisquare([seen[name] for name in weights], expected).pvalue > 0.001


def test_another_salt_deals_anew():
    pairs = Counter((route(str(n), {"a": 1, "b": 1}, "x"), route(str(n), {"a": 1, "b": 1}, "y")) for n in range(5000))
    assert chi2_contingency([[pairs[a, b] for b in "ab"] for a in "ab"]).pvalue > 0.001


def test_a_weight_of_nothing_gets_nobody():
    assert {route(str(number), {"a": 0, "b": 1}, "s") for number in range(200)} == {"b"}


@pytest.mark.parametrize(
    "weights", [{}, {"a": 0}, {"a": -1, "b": 2}, {"a": math.nan}, {"a": math.inf}, {"a": True}, {"a": 1e-12}]
)
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ConfigError):
        route("u", weights, "s")
