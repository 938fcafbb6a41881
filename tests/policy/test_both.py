"""Two engines that must agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_leanml.errors import EngineError
from pytest_leanml.policy.answers import Answer, Violation
from pytest_leanml.policy.both import BothEngine

ANSWER = Answer("p", allow=False, has_allow=True, deny=(Violation("p.a", "metrics.a", "text"),), waived=("p.b",))


class Fixed:
    """An engine that gives fixed answers, and tells whether it was closed."""

    version = "1"

    def __init__(self, name, *answers):
        self.name, self._answers, self.closed = name, answers, False

    def evaluate(self, policies, document, data, timeout):
        return self._answers

    def close(self):
        self.closed = True


def both(first, second):
    return BothEngine(Fixed("one", *first), Fixed("two", *second)).evaluate(None, "{}", {}, 1.0)


def test_texts_and_warnings_may_differ():
    other = replace(ANSWER, deny=(Violation("p.a", "metrics.a", "other"),), warn=(Violation("p", "", "w"),))
    assert both([ANSWER], [other]) == (ANSWER,)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(ANSWER, allow=True), "p: allow is False (one) and True (two)"),
        (replace(ANSWER, allow=None), "p: allow is False (one) and None (two)"),
        (replace(ANSWER, deny=()), "p: deny is ['p.a at metrics.a'] (one) and [] (two)"),
        (replace(ANSWER, deny=(Violation("p.a", "", "text"),)), "and ['p.a'] (two)"),
        (replace(ANSWER, deny=(Violation("p.b", "metrics.a", "text"),)), "and ['p.b at metrics.a'] (two)"),
        (replace(ANSWER, waived=()), "p: waived is ['p.b'] (one) and [] (two)"),
        (replace(ANSWER, error="x"), "p: its failure is False (one) and True (two)"),
        (replace(ANSWER, package="q"), "p is answered by one only; q is answered by one only"),
    ],
)
def test_a_difference_is_an_error_that_names_it(other, said):
    with pytest.raises(EngineError) as caught:
        both([ANSWER], [other])
    assert said in str(caught.value)


def test_an_answer_less_is_an_error():
    with pytest.raises(EngineError, match="answered by one only"):
        both([ANSWER, replace(ANSWER, package="q")], [ANSWER])


def test_two_failures_agree_and_stay_failures():
    failed = replace(ANSWER, error="x")
    assert both([failed], [replace(failed, error="y", allow=None)]) == (failed,)


def test_both_are_named_and_closed():
    pair = Fixed("one"), Fixed("two")
    engine = BothEngine(*pair)
    assert (engine.name, engine.version) == ("both", "one 1, two 1")
    engine.close()
    assert [each.closed for each in pair] == [True, True]


def test_the_real_two_agree(embedded, opa, policies, evidence):
    loaded = policies('package p\n\nallow if false\n\ndeny contains "x" if input.metrics.accuracy > 0.5\n')
    import json

    [answer] = BothEngine(embedded, opa).evaluate(loaded, json.dumps(evidence), {}, 20.0)
    assert (answer.allow, [each.msg for each in answer.deny]) == (None, ["x"])
