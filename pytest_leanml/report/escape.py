"""What comes from data, models or tests is made harmless for the format it is written to."""

from __future__ import annotations

import re
import unicodedata

# Unicode's categories of what nobody sees: controls, marks that reorder or hide text, line ends, half characters, and
# what is private or not assigned.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~@$&:])")
# ``##[error]`` of GitHub, ``##vso[...]`` of Azure and ``##teamcity[...]``, anywhere in a line.
_OLD_COMMAND = re.compile(r"##(?=\w*\[)")
# Put behind @ and #, it shows nothing and keeps forges from making a mention or a reference: a backslash does not.
_APART = "&#8203;"
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def one_line(text: object, width: int = 600) -> str:
    r"""Put text on one line that no terminal and no runner obeys.

    Line ends become spaces, control and reordering characters are shown as ``\\xNN``. A GitHub runner obeys ``::`` at
    the start of a line, blanks before it or not, and the old ``##[`` anywhere in it; both are pulled apart.
    """
    joined = re.sub(r"\s*[\r\n]+\s*", " ", str(text)).strip()
    shown = "".join(_visible(char) for char in joined)
    shown = _OLD_COMMAND.sub("## ", shown)
    if shown.startswith("::"):
        shown = f": {shown[1:]}"
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _visible(char: str) -> str:
    if unicodedata.category(char) not in _HIDDEN:
        return char
    return char.encode("unicode_escape").decode("ascii")


def lines(text: object) -> list[str]:
    """Split text into harmless lines."""
    return [one_line(line) for line in str(text).splitlines() if line.strip()]


def markdown_text(text: object) -> str:
    """Escape text for a Markdown paragraph or table cell; no link, image, mention, reference or tag survives."""
    return _MARKDOWN.sub(_escaped, one_line(text))


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    if char in _ENTITIES:
        return _ENTITIES[char]
    return f"\\{char}{_APART}" if char in "@#" else f"\\{char}"


def command_data(text: object) -> str:
    """Escape the message of a GitHub workflow command."""
    return one_line(text).replace("%", "%25")


def command_property(text: object) -> str:
    """Escape a property of a GitHub workflow command."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def dotenv_value(text: object) -> str:
    """Escape a value of a GitLab dotenv report, which knows neither quotes nor line ends."""
    return re.sub(r"[^A-Za-z0-9._:/@+\[\]=, -]", "_", one_line(text))
