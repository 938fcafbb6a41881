"""Strict JSON: what other parsers let through is refused with its place; what is written can be read again."""

from __future__ import annotations

import json
import math
import os
import time
from enum import Enum, StrEnum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_leanml.errors import ConfigError, MeasurementError, UndecidedError
from pytest_leanml.strict import dump_json, load_json, read_bytes, write_whole

REFUSED = {
    "NaN": ('{"a": NaN}', "NaN", 1, 7),
    "Infinity": ('{"a":\n  Infinity}', "Infinity", 2, 3),
    "-Infinity": ("[-Infinity]", "-Infinity", 1, 2),
    "overflow": ('{"a": 1e999}', "1e999 is beyond the largest number", 1, 7),
    "negative overflow": ('{"a": -1e999}', "beyond the largest", 1, 7),
    "5,000 digits and .0": (f'{{"a": {"9" * 5000}.0}}', "beyond the largest", 1, 7),
    "5,000 digits": (f'{{"a": {"9" * 5000}}}', "the integer 999", 1, 7),
    "2^53 + 1": (f"[{2**53 + 1}]", "the integer 9007199254740993", 1, 2),
    "-2^53 - 1": (f"[{-(2**53) - 1}]", "the integer -9007199254740993", 1, 2),
    "duplicate key": ('{"a": 1,\n "a": 2}', "the key 'a' stands here twice", 2, 2),
    "duplicate key, escaped": ('{"a": 1, "\\u0061": 2}', "the key 'a' stands here twice", 1, 10),
    "duplicate key, inside": ('{"x": [{"a": 1, "b": {}, "a": 2}]}', "'a' stands here twice", 1, 26),
    "lone surrogate": ('["\\ud800"]', "lone surrogate", 1, 2),
    "lone surrogate as a key": ('{"\\udc00x": 1}', "lone surrogate", 1, 2),
    "too deep": ("[" * 65 + "]" * 65, "nested deeper than 64", 1, 65),
    "far too deep": ("[" * 100_000, "nested deeper than 64", 1, 65),
    "deep objects": ('{"a":' * 65 + "1" + "}" * 65, "nested deeper than 64", 1, 64 * 5 + 1),
    "trailing comma": ('{"a": 1,}', "this is no JSON", 1, None),
    "two documents": ("{} {}", "this is no JSON: Extra data", 1, 4),
    "single quotes": ("{'a': 1}", "this is no JSON", 1, 2),
    "a comment": ("{} // x", "this is no JSON", 1, 4),
    "empty": ("", "this is no JSON", 1, 1),
    "unterminated": ('{"a', "this is no JSON", 1, 2),
    "unterminated with a backslash": ('{"a\\', "this is no JSON", 1, 2),
    "control character": ('["a\nb"]', "this is no JSON", None, None),
    "bad escape": ('["\\x41"]', "this is no JSON", 1, None),
    "bad escape in a key": ('{"\\u00zz": 1}', "this is no JSON", 1, None),
    "leading zero": ("[01]", "this is no JSON", 1, None),
    "underscore": ("[1_0]", "this is no JSON", 1, None),
    "a mere minus": ("[-]", "this is no JSON", 1, None),
    "lone surrogate itself": ('["\ud800"]', "lone surrogate", None, None),
    "byte order mark": ("\ufeff{}", "byte order mark", 1, None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_its_place(name):
    text, message, line, column = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        load_json(text, file="evidence.json")
    assert message in caught.value.given
    assert str(caught.value).startswith("evidence.json")
    assert line is None or caught.value.line == line
    assert column is None or caught.value.column == column


@pytest.mark.parametrize("data", [b'{"a": "\xff"}', "{}".encode("utf-16"), b"\xef\xbb\xbf{}"])
def test_bytes_must_be_utf8_without_a_mark(data):
    with pytest.raises(ConfigError, match=r"is not UTF-8|byte order mark"):
        load_json(data, file="evidence.json")


def test_the_line_of_a_wrong_byte_is_named():
    with pytest.raises(ConfigError, match=r"evidence.json:3: byte 0xe9 is not UTF-8"):
        load_json(b'{\n"a":\n"caf\xe9"}', file="evidence.json")


@pytest.mark.parametrize("text", ["[" + "1," * 6_000_000 + "1]", '"' + "\u20ac" * 4_000_000 + '"'])
def test_more_than_ten_mebibytes_are_refused(text):
    with pytest.raises(ConfigError, match="expected: at most 10,485,760 bytes"):
        load_json(text, file="evidence.json")


@pytest.mark.parametrize("text", ['"' * 2_000_001, '"' + '\\"' * 2_000_000, "[" * 2_000_000, "\\" * 2_000_000])
def test_hostile_text_takes_linear_time(text):
    start = time.process_time()
    with pytest.raises(ConfigError):
        load_json(text, file="evidence.json")
    assert time.process_time() - start < 10


def test_what_is_right_is_read():
    text = (
        '{"a": [1, -2.5e3, true, null, "\\ud83d\\ude00 \\u00e9"], "b": {"a": 9007199254740992}, "c": "NaN {[\\"1e999"}'
    )
    expected = {"a": [1, -2500.0, True, None, "\U0001f600 é"], "b": {"a": 2**53}, "c": 'NaN {["1e999'}
    assert load_json(text, file="x") == load_json(text.encode(), file="x") == expected
    assert load_json("[" * 64 + "]" * 64, file="x")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@settings(deadline=None)  # the machine may be busy
@given(VALUES)
def test_what_is_written_is_read_again(value):
    assert load_json(dump_json(value), file="x") == value
    assert load_json(dump_json(value, indent=None), file="x") == value


@settings(deadline=None)  # the machine may be busy
@given(st.text())
def test_any_text_is_read_as_json_reads_it_or_refused(text):
    try:
        value = load_json(text, file="x")
    except ConfigError:
        return
    assert value == json.loads(text)


class Colour(StrEnum):
    RED = "red"


class Suspicious(float):
    def __ne__(self, other):
        raise AssertionError("writing must not compare, since a comparison is recorded")

    __eq__ = __lt__ = __gt__ = __ne__
    __hash__ = float.__hash__


def test_numbers_of_other_kinds_become_plain():
    value = {"a": np.float64(0.5), "b": np.int64(3), "c": np.bool_(True), "d": (1, Colour.RED), "e": np.str_("x")}
    assert json.loads(dump_json(value)) == {"a": 0.5, "b": 3, "c": True, "d": [1, "red"], "e": "x"}
    assert json.loads(dump_json({"m": Suspicious(0.25), "n": np.float32(0.5)})) == {"m": 0.25, "n": 0.5}


def test_minus_zero_becomes_zero():
    assert dump_json([-0.0, np.float64(-0.0)], indent=None) == "[0.0,0.0]\n"


def test_the_order_of_keys_and_the_form():
    assert dump_json({"b": 1, "a": "é"}) == '{\n  "b": 1,\n  "a": "é"\n}\n'
    assert dump_json({"b": 1, "a": [2]}, indent=None) == '{"b":1,"a":[2]}\n'


class Plain(Enum):
    RED = "red"


LOOP: list = []
LOOP.append(LOOP)
UNWRITABLE = {
    "nan": ({"a": [math.nan]}, r"\$\.a\[0\] is nan"),
    "inf": ({"a": math.inf}, r"\$\.a is inf"),
    "numpy nan": ({"a": np.float64("nan")}, r"\$\.a is nan"),
    "float32 inf": ({"a": np.float32("inf")}, r"\$\.a is inf"),
    "large": ([2**53 + 1], r"\$\[0\] is an integer of 54 bits"),
    "huge": ([10**5000], "integer of"),
    "numpy large": ([np.uint64(2**60)], "integer of 61 bits"),
    "surrogate": (["\ud800"], "lone surrogate"),
    "surrogate key": ({"\ud800": 1}, "lone surrogate"),
    "number as key": ({1: 2}, "a key of \\$ is 1"),
    "none as key": ({None: 2}, "a key of"),
    "set": ({"a": {1}}, r"\$\.a is a set"),
    "array": (np.zeros(2), "is a ndarray"),
    "bytes": (b"x", "is a bytes"),
    "enum": (Plain.RED, "is a Plain"),
    "complex": (np.complex128(1), "is a complex"),
    "loop": (LOOP, "nested deeper than 64"),
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_what_could_not_be_read_is_not_written(name):
    value, message = UNWRITABLE[name]
    with pytest.raises(MeasurementError, match=message):
        dump_json(value)


def test_a_file_is_written_with_its_folder(tmp_path):
    path = tmp_path / "a" / "b" / "decision.json"
    write_whole(path, "é\n")
    write_whole(str(path), "second\n")
    assert path.read_bytes() == b"second\n"
    assert [each.name for each in path.parent.iterdir()] == ["decision.json"]


def test_a_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    write_whole(tmp_path / "ours", "x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_symlink_is_replaced_not_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "decision.json").symlink_to(tmp_path / "victim")
    write_whole(tmp_path / "decision.json", "{}")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "decision.json").is_symlink()


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_when_writing_fails_the_old_file_stays(tmp_path, monkeypatch, broken):
    path = tmp_path / "decision.json"
    path.write_text("PENDING")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync" if broken == "fsync" else "replace", full)
    monkeypatch.setattr("pathlib.Path.replace", full if broken == "replace" else type(path).replace)
    with pytest.raises(UndecidedError, match=r"cannot write .*decision.json: No space left"):
        write_whole(path, "ALLOW")
    assert path.read_text() == "PENDING"
    assert [each.name for each in tmp_path.iterdir()] == ["decision.json"]


def test_a_folder_in_the_way_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UndecidedError, match="cannot write"):
        write_whole(tmp_path / "file" / "decision.json", "{}")


def test_text_that_utf8_cannot_hold_is_refused(tmp_path):
    with pytest.raises(UndecidedError, match="surrogates not allowed"):
        write_whole(tmp_path / "report.md", "\udc80")
    assert [each.name for each in tmp_path.iterdir()] == []


def test_reading_a_file_names_what_is_wrong(tmp_path):
    (tmp_path / "large").write_bytes(b"x" * 11)
    for name, message in {"absent": "does not exist", ".": "not a file", "large": "more than 10 bytes"}.items():
        with pytest.raises(ConfigError, match=message):
            read_bytes(tmp_path / name, limit=10)
    assert read_bytes(tmp_path / "large", limit=11) == b"x" * 11


def test_an_unreadable_file_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", denied)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        read_bytes(tmp_path / "file", limit=10)
