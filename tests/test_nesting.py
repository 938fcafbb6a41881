from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_leanml.nesting import RUN_FOLDER, RUN_ID, SUPERVISOR, gate_around, inside_gate, is_child


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


def test_a_process_of_its_own_is_neither_child_nor_inside():
    assert (is_child(), inside_gate()) == (False, False)


def test_the_child_is_known_by_its_parent(monkeypatch):
    monkeypatch.setenv(RUN_ID, "01RUN")
    monkeypatch.setenv(SUPERVISOR, str(os.getppid()))
    assert (is_child(), inside_gate()) == (True, False)


def test_who_inherits_the_variables_from_further_up_is_inside_of_a_gate(monkeypatch):
    monkeypatch.setenv(RUN_ID, "01RUN")
    monkeypatch.setenv(SUPERVISOR, "1" if os.getppid() != 1 else "2")
    assert (is_child(), inside_gate()) == (False, True)


def test_an_xdist_worker_of_a_child_records_and_one_of_no_gate_does_not(monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert (is_child(), inside_gate()) == (False, False)
    monkeypatch.setenv(RUN_ID, "01RUN")
    assert (is_child(), inside_gate()) == (True, False)


def test_a_process_that_records_itself_is_around_what_its_tests_start():
    with gate_around("01RUN", Path("private")):
        assert (is_child(), inside_gate()) == (False, True)
        assert os.environ[RUN_FOLDER] == "private"
    assert not {RUN_ID, RUN_FOLDER, SUPERVISOR} & set(os.environ)
