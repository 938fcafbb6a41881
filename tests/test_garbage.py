from __future__ import annotations

import gc
import subprocess
import sys

from pytest_leanml.garbage import collector_paused


def test_nothing_is_collected_inside_and_everything_is_as_before_after():
    assert gc.isenabled()
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_whoever_switched_it_off_keeps_it_off():
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_last_collection_has_nothing_to_look_at_and_what_was_asked_for_at_exit_still_runs():
    code = """
import atexit, gc, sys
from pytest_leanml.garbage import leave_quickly
atexit.register(lambda: print("at exit", gc.get_freeze_count() > 0))
if sys.argv[1:]:
    leave_quickly()
    leave_quickly()
"""
    for arguments, printed in (([], "at exit False\n"), (["quickly"], "at exit True\n")):
        ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert ended.stdout == printed
