from __future__ import annotations

import warnings

import pytest

from pytest_leanml.errors import ConfigError, SourceError
from pytest_leanml.sources.faults import FAULTS, brief, quiet, told_as


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
