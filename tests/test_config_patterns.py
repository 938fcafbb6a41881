"""One language of patterns: what Python's `re` says of a text, every engine says of the pattern that is written for it."""

from __future__ import annotations

import re

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pytest_leanml.config.patterns import portable, whole
from pytest_leanml.errors import ConfigError

TEXTS = [
    "",
    "a",
    "b",
    "ab",
    "aab",
    "A1",
    "1",
    "12",
    "a b",
    "a-b",
    "]",
    "^",
    "\\",
    "a\nb",
    "a\n",
    "ä",
    "٣",
    "é1",
    "{",
    "}",
]
TEXTS += [
    "x{2}",
    "a.b",
    "<a>",
    "a&&b",
    "x" * 30,
    "tab\there",
    "EWR",
    "2026-01-02",
    "a~b",
    "#",
    "~",
    "-",
    "_",
    "🙂",
    "\v\f\r",
]
PATTERNS = [
    *(
        "",
        "a",
        "a|b",
        "a*b",
        "a+?b",
        "a{2}b",
        "a{,2}b",
        "a{1,}b",
        "x{}",
        "x{a}",
        "a{,}",
        "[ab]+",
        "[^ab]",
        "[]a]",
        "[^]a]",
    ),
    *("[a-c]", "[-a]", "[a-]", r"[\]\\]", r"\d+", r"\D", r"\w+", r"\W", r"\s", r"\S+", r"[\d-]+", "(ab)+", "(?:a|b)+"),
    *(
        "(?P<x>a)b",
        ".",
        "..",
        "a.b",
        "^a$",
        r"\Aa\Z",
        r"a\.b",
        r"\x41\d",
        r"\u00e4",
        r"\U0001F642",
        "[[a]",
        "[a&&b]",
        "[a~~b]",
    ),
    *(
        "[{}]",
        "}",
        "]",
        r"\{",
        r"\n",
        r"a\nb",
        r"[\n\t]",
        r"\-",
        "<a>",
        r"\<a\>",
        "[<>a]+",
        r"\t",
        r"[\x41-\x43]\d",
        "#",
        "~",
    ),
    *("[A-Z]{3}", r"\d{4}-\d{2}-\d{2}", "(a|ab)(b|)", "x{30}", "x{2,40}?", "[_-]", r"[\v\f\r]+", "[^\\n]"),
]


@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")  # by Python's own reading, which is the reference here
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_engine_reads_a_pattern_as_python_does(pattern):
    # ASCII classes, and `$` the very end: that much is changed on purpose.
    asked = re.sub(r"\$$", r"\\Z", pattern)
    expected = [re.fullmatch(asked, text, re.ASCII) is not None for text in TEXTS]
    found = [re.search(asked, text, re.ASCII) is not None for text in TEXTS]
    table = pa.table({"text": TEXTS})
    for written, wanted in ((whole(pattern), expected), (portable(pattern), found)):
        assert pc.match_substring_regex(table["text"], written).to_pylist() == wanted
        assert pl.Series(TEXTS).str.contains(written).to_list() == wanted
        asked_of = (
            duckdb.connect()
            .from_arrow(table)
            .select(
                duckdb.FunctionExpression(
                    "regexp_matches", duckdb.ColumnExpression("text"), duckdb.ConstantExpression(written)
                )
            )
        )
        assert [row[0] for row in asked_of.fetchall()] == wanted


@pytest.mark.parametrize(
    ("pattern", "has"),
    [
        ("(", "no regular expression"),
        ("a{3,2}", "no regular expression"),
        ("(?=a)", "has (?=a...)"),
        ("(?i)a", "has (?i)...)"),
        ("(?<!a)b", "has (?<!...)"),
        (r"(a)\1", r"has \1"),
        (r"\bword\b", r"has \b"),
        (r"[\b]", r"has \b within [...]"),
        ("a++", "a possessive repetition"),
        ("(?P<a>x)(?P=a)", "has (?P=...)"),
        (r"\0", r"has \0"),
        ("a{1001}", "has {1001}, more than 1000 repetitions"),
    ],
)
def test_what_engines_do_not_share_is_refused(pattern, has):
    with pytest.raises(ConfigError) as caught:
        portable(pattern)
    assert has in str(caught.value)


def test_a_line_end_is_no_end():
    """`$` lets a line end through in Python and in RE2's multi-line mode: a trailing line end is no part of a plate."""
    assert pc.match_substring_regex(pa.array(["a", "a\n"]), portable("^a$")).to_pylist() == [True, False]
