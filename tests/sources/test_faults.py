from __future__ import annotations

import warnings

import pytest

from pytest_leanml.errors import ConfigError, SourceError
from pytest_leanml.sources.faults import FAULTS, brief, calling, quiet, told_as


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_becomes_ours(fault):
    with pytest.raises(SourceError, match="it failed") as caught, told_as("it failed", "more", "mend it", file="f"):
        raise fault("because")
    assert caught.value.file == "f"
    assert isinstance(caught.value.__cause__, fault)


def test_our_own_pass_unchanged():
    with pytest.raises(ConfigError, match="as it was"), told_as("it failed", "more"):
        raise ConfigError("as it was")


@pytest.mark.parametrize("other", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_ends_pass_through(other):
    with pytest.raises(other), told_as("it failed", "more"):
        raise other


def test_a_librarys_own():
    class Theirs(Exception):  # noqa: N818 - as a library may name it
        pass

    with pytest.raises(SourceError), told_as("it failed", "more", also=(Theirs,)):
        raise Theirs
    with pytest.raises(Theirs), told_as("it failed", "more"):
        raise Theirs


def test_brief():
    assert brief(ValueError("one\ntwo")) == "ValueError: one"
    assert brief(ValueError()) == "ValueError"
    assert len(brief(ValueError("x" * 999))) == 312


def test_quiet():
    with quiet():
        warnings.warn("not shown", UserWarning, stacklevel=1)


class Odd(Exception):  # noqa: N818 - as a library may name it
    pass


@pytest.mark.parametrize("fault", [ValueError, Odd, SystemExit, GeneratorExit, StopIteration, BaseException])
def test_code_that_is_not_ours_may_raise_whatever_it_likes(fault):
    told = pytest.raises(SourceError, match=rf"the model failed: {fault.__name__}: because\n(.*\n)*  next: mend it")
    with told as caught, calling("the model failed", "an answer", "mend it"):
        raise fault("because")
    assert isinstance(caught.value.__cause__, fault)


@pytest.mark.parametrize("other", [KeyboardInterrupt(), ConfigError("as it was")])
def test_an_interrupt_and_our_own_pass_through_foreign_code(other):
    with pytest.raises(type(other)) as caught, calling("the model failed", "an answer"):
        raise other
    assert caught.value is other
