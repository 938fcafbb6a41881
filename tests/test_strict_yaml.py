"""Strict YAML: plain data with places, and one clear error for each trap."""

from __future__ import annotations

import json
import math
import re
import time

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_leanml.errors import ConfigError
from pytest_leanml.strict_yaml import load_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

# name -> (text, words of the message, line, column)
REFUSED = {
    "bomb": (BOMB, "the anchor &a", 1, 4),
    "alias": ("a: 1\nb: *a\n", "the alias *a", 2, 4),
    "alias as a key": ("*a : 1\n", "the alias *a", 1, 1),
    "anchor": ("a: &x 1\n", "the anchor &x", 1, 4),
    "merge key": ("a:\n  <<: {b: 1}\n", "the key '<<'", 2, 3),
    "tag": ("a: !!python/object/apply:os.system [ls]\n", "the tag", 1, 4),
    "harmless tag": ("a: !!str 1\n", "the tag tag:yaml.org,2002:str", 1, 4),
    "tag on the mapping": ("!x {a: 1}\n", "the tag !x", 1, 1),
    "duplicate key": ("a: 1\nb: 2\na: 3\n", "the key 'a' stands here a second time", 3, 1),
    "duplicate key, quoted": ("a: {b: 1, 'b': 2}\n", "'b' stands here a second time", 1, 11),
    "number as a key": ("a:\n  1: x\n", "the key '1'", 2, 3),
    "true as a key": ("true: x\n", "the key 'true'", 1, 1),
    "null as a key": ("~: x\n", "the key '~'", 1, 1),
    "empty key": ("? \n: x\n", "the key ''", None, None),
    "empty key, block": (": x\n", "this is no YAML", 1, 1),
    "escaped surrogate": ('a: "\\ud800"\n', "an escaped surrogate", 1, 4),
    "escaped pair as a key": ('"\\ud83d\\ude00": 1\n', "an escaped surrogate", 1, 1),
    "list as a key": ("[a]: x\n", "a list or mapping as a key", 1, 1),
    "mapping as a key": ("a: {{b}: c}\n", "a list or mapping as a key", 1, 5),
    "second document": ("a: 1\n---\nb: 2\n", "a second document", 2, 1),
    "directive": ("%YAML 1.1\n---\na: 1\n", "a % directive", 1, 1),
    "greater, spaced": ("a:\n  min: > 0.85\n", "`>` begins a folded text", 2, 10),
    "at least": ("a:\n  min: >= 0.85\n", "`>` begins a folded text", 2, 9),
    "greater": ("a:\n  min: >0.85\n", "`>` begins a folded text", 2, 9),
    "greater, one digit": ("a:\n  min: >8\n", "`>` begins a folded text", 2, 8),
    "greater, in braces": ("a: {min: > 0.85}\n", "`>` begins a folded text", 1, 10),
    "greater, alone": ("a:\n  min: >\nb: 1\n", "`>` begins a folded text", 2, 8),
    "tab as indentation": ("a:\n\tb: 1\n", "a tab", 2, 1),
    "tab after spaces": ("a:\n  \tb: 1\n", "a tab", 2, None),
    "yes": ("trust: yes\n", "the word yes", 1, 8),
    "No": ("a: [No]\n", "the word No", 1, 5),
    "off": ("a: off\n", "the word off", 1, 4),
    "octal": ("a: 010\n", "010, which YAML readers take for different things", 1, 4),
    "hexadecimal": ("a: 0x1F\n", "0x1F", 1, 4),
    "octal of YAML 1.2": ("a: 0o17\n", "0o17", 1, 4),
    "binary": ("a: 0b11\n", "0b11", 1, 4),
    "underscores": ("a: 1_000\n", "1_000", 1, 4),
    "sexagesimal": ("a: 1:30\n", "1:30", 1, 4),
    "nan": ("a: .nan\n", ".nan", 1, 4),
    "inf": ("a: -.inf\n", "-.inf", 1, 4),
    "overflow": ("a: 1e999\n", "beyond the largest number", 1, 4),
    "large integer": (f"a: {2**53 + 1}\n", "the integer 9007199254740993", 1, 4),
    "huge integer": (f"a: {'9' * 5000}\n", "the integer 9999", 1, 4),
    "too deep, flow": ("a: " + "[" * 64 + "]" * 64, "nested deeper than 64", 1, None),
    "too deep, open": ("[" * 100_000, "nested deeper than 64", 1, 65),
    "too deep, block": ("".join(" " * n + "a:\n" for n in range(65)), "nested deeper than 64", None, None),
    "colon in a value": ("a: b: c\n", "a second `: ` in this line", 1, 5),
    "wrong indentation": ("a: 1\n  b: 2\n", "a second `: ` in this line, or a line indented too far", 2, 4),
    "at sign": ("a: @champion\n", "cannot start any token", 1, 4),
    "unclosed": ("a: {b: 1\n", "this is no YAML", None, None),
    "unclosed quote": ("a: 'b\n", "this is no YAML", None, None),
    "no colon": ("version 1\nb: 2\n", "", None, None),
    "control character": ("a: \x07\n", "the character U+0007", 1, 4),
    "nul": ("a: 1\nb: \x00\n", "the character U+0000", 2, 4),
    "byte order mark": ("\ufeffa: 1\n", "a byte order mark", 1, None),
    "surrogate": ("a: \ud800\n", "a lone surrogate", None, None),
    "too large": ("# " + "x" * 300_000, "at most 262,144 bytes", None, None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_its_place(name):
    text, message, line, column = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        load_yaml(text, file="leanml.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("leanml.yaml")
    assert "\n  expected: " in str(caught.value)
    assert line is None or caught.value.line == line
    assert column is None or caught.value.column == column


@pytest.mark.parametrize("name", ["bomb", "too deep, open", "huge integer", "too large"])
def test_refused_quickly(name):
    start = time.process_time()
    with pytest.raises(ConfigError):
        load_yaml(REFUSED[name][0], file="leanml.yaml")
    assert time.process_time() - start < 2


@pytest.mark.parametrize("data", [b"a: \xff\n", "a: 1".encode("utf-16"), b"\xef\xbb\xbfa: 1"])
def test_bytes_must_be_utf8_without_a_mark(data):
    with pytest.raises(ConfigError, match=r"leanml.yaml:1: (byte 0x.. is not UTF-8|a byte order mark)"):
        load_yaml(data, file="leanml.yaml")


def test_the_key_of_a_fault_is_named():
    with pytest.raises(ConfigError) as caught:
        load_yaml("model:\n  trust: [a, {b: no}]\n", file="leanml.yaml")
    assert caught.value.key == "model.trust.1.b"
    assert caught.value.expected == 'false, or "no" in quotes'


def test_plain_values():
    text = """
        text: some text      # a comment
        quoted: ["no", 'yes', "010", "1e999", "", ".nan", '~']
        numbers: [0, -1, +2, 0.85, 1e3, -2.5E-3, .5, 3., 1E+2]
        constants: [true, False, TRUE, null, ~, ]
        empty:
        date: 2026-12-31
        time: 2026-12-31T10:00:00Z
        words: [y, n, NaN, inf, Infinity, None, 1.2.3, v1, 30m, models:/flights@candidate, a > 1]
        literal: |
          origin == 'JFK'
        folded: >-
          one
          two
        on: allow
        yes: 1
    """
    value = load_yaml(text, file="x").value
    assert value == {
        "text": "some text",
        "quoted": ["no", "yes", "010", "1e999", "", ".nan", "~"],
        "numbers": [0, -1, 2, 0.85, 1000.0, -0.0025, 0.5, 3.0, 100.0],
        "constants": [True, False, True, None, None],
        "empty": None,
        "date": "2026-12-31",
        "time": "2026-12-31T10:00:00Z",
        "words": [
            "y",
            "n",
            "NaN",
            "inf",
            "Infinity",
            "None",
            "1.2.3",
            "v1",
            "30m",
            "models:/flights@candidate",
            "a > 1",
        ],
        "literal": "origin == 'JFK'\n",
        "folded": "one two",
        "on": "allow",
        "yes": 1,
    }
    assert all(isinstance(each, int) for each in value["numbers"][:3])


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "--- ~\n"])
def test_an_empty_document_is_none(text):
    assert load_yaml(text, file="x").value is None


@pytest.mark.parametrize(("text", "value"), [("- a\n- [b]\n", ["a", ["b"]]), ("just text", "just text"), ("3", 3)])
def test_a_document_need_not_be_a_mapping(text, value):
    assert load_yaml(text, file="x").value == value


def test_places():
    document = load_yaml("model: flights\nchecks:\n  quality: {accuracy: {min: 0.85}}\nlist:\n- a\n-   b\n", file="x")
    assert document.place(()) == (1, 1)
    assert document.place(("model",)) == (1, 8)
    assert document.place(("checks", "quality", "accuracy", "min")) == (3, 29)
    assert document.place(("list", 1)) == (6, 5)
    assert document.place(("nowhere",)) is None
    assert document.keys["checks", "quality", "accuracy"] == (3, 13)


def test_the_nearest_place():
    document = load_yaml("model: flights\nchecks:\n  quality: {accuracy: {min: 0.85}}\n", file="x")
    assert document.nearest(("checks", "quality")) == (3, 12)
    assert document.nearest(("checks", "quality"), key=True) == (3, 3)
    assert document.nearest(("checks", "quality", "recall"), key=True) == (3, 12)
    assert document.nearest(("elsewhere", 3)) == (1, 1)
    assert load_yaml("", file="x").nearest(("a",)) is None


KEYS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cc"]), max_size=50)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=10,
)


@settings(deadline=None)  # the machine may be busy
@given(PLAIN)
def test_json_in_quotes_is_read_alike(value):
    text = json.dumps(value, ensure_ascii=True)
    assert load_yaml(text, file="x").value == json.loads(text)


@settings(deadline=None)  # the machine may be busy
@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        value = load_yaml(text, file="x").value
    except ConfigError:
        return
    assert not isinstance(value, float) or math.isfinite(value)


@settings(deadline=None)  # the machine may be busy
@given(st.text("0123456789.eE+-_:xob ", max_size=8))
def test_a_number_is_read_as_yaml_1_1_or_1_2_has_it(text):
    try:
        value = load_yaml(f"a: [{text}]", file="x").value["a"]
    except ConfigError:
        return
    if value and isinstance(value[0], int | float):
        assert value == [float(text)]
    old = yaml.safe_load(f"a: [{text}]")["a"] if value else []
    if old and isinstance(old[0], int | float):
        assert old == value


@settings(deadline=None)  # the machine may be busy
@example("0b60695693cb4a04b9a65c675aa2f985")  # one in 256 begins so
@given(st.text("0123456789abcdef", min_size=32, max_size=64).filter(lambda text: len(re.findall("[a-f]", text)) > 1))
def test_an_identifier_of_hexadecimals_that_pyyaml_writes_is_text(identifier):
    assert load_yaml(yaml.safe_dump({"model_uuid": identifier}), file="MLmodel").value == {"model_uuid": identifier}
