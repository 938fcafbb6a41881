"""What comes from data, models or tests is made harmless for the format it is written to."""

from __future__ import annotations

import re
import unicodedata

# Control characters, line separators, and the marks that reorder or hide text.
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~@$&:])")


def one_line(text: object, width: int = 600) -> str:
    r"""Put text on one line: line ends become spaces, control and reordering characters are shown as ``\\xNN``."""
    joined = re.sub(r"\s*[\r\n]+\s*", " ", str(text)).strip()
    shown = _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), joined)
    shown = "".join(char if unicodedata.category(char) != "Cs" else "?" for char in shown)
    # A GitHub runner obeys the old form anywhere in a line.
    shown = shown.replace("##[", "## [")
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def lines(text: object) -> list[str]:
    """Split text into harmless lines."""
    return [one_line(line) for line in str(text).splitlines() if line.strip()]


def markdown_text(text: object) -> str:
    """Escape text for a Markdown paragraph or table cell; no link, image, mention or tag survives."""
    return _MARKDOWN.sub(r"\\\1", one_line(text)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def command_data(text: object) -> str:
    """Escape the message of a GitHub workflow command."""
    return one_line(text).replace("%", "%25")


def command_property(text: object) -> str:
    """Escape a property of a GitHub workflow command."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def dotenv_value(text: object) -> str:
    """Escape a value of a GitLab dotenv report, which knows neither quotes nor line ends."""
    return re.sub(r"[^A-Za-z0-9._:/@+\[\]=, -]", "_", one_line(text))
