"""Whatever data, models and tests are called, no runner, terminal, forge or parser obeys it."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_leanml.report.escape import command_data, command_property, dotenv_value, lines, markdown_text, one_line

HOSTILE = [
    "::set-output name=promoted::true",
    "  ::error::x",
    "\u00a0::add-mask::x",
    "\u3000\u2028::stop-commands::x",
    "x\n::error::y",
    "x\r\n\t::error::y",
    "x\x85::error::y",
    "##[error]x",
    "a ##[set-env name=PATH]b",
    "##vso[task.setvariable variable=x]y",
    "##teamcity[x]",
    "\x1b[31mred\x1b[0m",
    "\x9b31mred",
    "\u202egnp.exe",
    "a\u2066b\u061cc\u200bd\ufeffe",
    "\U000e0041\U000e0042",
    "a | b",
    "`code` ```",
    "@everyone",
    "owner/repo#1 and #2",
    "<script>alert(1)</script>",
    "![x](http://evil/y.png) [a](javascript:x)",
    "www.example.com http://example.com",
    "$\\href{javascript:x}{y}$",
    "PROMOTED=true",
    "a\nLEANML_PROMOTED=true",
    "\x00",
    "\ud800",
    "{{constructor}}",
    "section_start:1:x\r\x1b[0K",
    "",
]
hostile = st.lists(st.sampled_from(HOSTILE) | st.text(st.characters(codec=None), max_size=12), max_size=4).map("".join)
# What .NET's TrimStart takes away, as a GitHub runner does before it looks for `::`.
BLANK = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def obeyed(text: str) -> list[str]:
    """The lines that a runner would take for a command."""
    found = re.split(r"\r\n|\r|\n", text)
    return [line for line in found if line.lstrip(BLANK).startswith("::") or re.search(r"##\w*\[", line)]


def hidden(text: str) -> list[str]:
    return [char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]


@settings(deadline=None)
@given(hostile)
def test_one_line_is_one_that_nobody_obeys(text):
    shown = one_line(text)
    assert not obeyed(shown)
    assert not hidden(shown)
    assert len(shown) <= 600
    assert one_line(shown) == shown
    shown.encode()


@settings(deadline=None)
@given(hostile)
def test_lines_are_lines_that_nobody_obeys(text):
    shown = lines(text)
    assert not [line for line in shown if obeyed(line) or hidden(line)]
    assert not obeyed("\n".join(f"      {line}" for line in shown))


def test_what_is_harmless_stays_as_it_is():
    for text in ("accuracy is 0.79, limit >= 0.8", "test_a.py::test_b[x]", "Zürich 東京", "a #1", "50 % of 10"):
        assert one_line(text) == text
    assert one_line("a\n  b") == "a b"
    assert one_line("x" * 601) == "x" * 599 + "…"
    assert lines("a\n\n b\n") == ["a", "b"]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_keeps_the_text_and_nothing_else(text):
    shown = markdown_text(text)
    assert not re.search(r"(?<!\\)[|`<>*_\[\]@#$]", shown.replace("&#8203;", ""))
    back = shown.replace("&#8203;", "").replace("&lt;", "<").replace("&gt;", ">")
    assert re.sub(r"\\(.)", r"\1", back.replace("&amp;", "\\&")) == one_line(text)


@settings(deadline=None)
@given(hostile)
def test_a_cell_stays_one_cell(text):
    shown = markdown_text(text)
    assert not re.search(r"(?<!\\)(\\\\)*\|", shown)
    assert "\n" not in shown
    assert "<" not in shown
    assert not re.search(r"[@](?!&#8203;)", shown)
    assert not re.search(r"(?<!&)#(?!&#8203;)", shown)


@settings(deadline=None)
@given(hostile)
def test_a_workflow_command_says_what_we_say(text):
    line = f"::error title={command_property(text)}::{command_data(text)}"
    match = re.fullmatch(r"::error title=([^,:\r\n]*)::([^\r\n]*)", line)
    assert match is not None
    assert re.fullmatch(r"(?:[^%]|%(?:25|3A|2C))*", match[1])
    assert re.fullmatch(r"(?:[^%]|%25)*", match[2])


@settings(deadline=None)
@given(hostile)
def test_a_dotenv_value_is_one_value(text):
    assert re.fullmatch(r"[A-Za-z0-9._:/@+\[\]=, -]*", dotenv_value(text))


def test_numbers_and_none_can_be_shown():
    assert [one_line(value) for value in (1, None, 0.5)] == ["1", "None", "0.5"]
    assert json.dumps(one_line("\ud800")) == '"\\\\ud800"'
