"""URLs of servers that are asked over HTTP: what leanml.yaml and a test may name."""

from __future__ import annotations

from urllib.parse import urlsplit

EXPECTED = "http://host:port/path, ASCII, without user and password"


def url_fault(url: str) -> str | None:
    """Tell what is wrong with the URL of a server, None when it can be asked.

    Whatever is no URL is not shown: it may be a key that slipped into the wrong place.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if known and "@" not in parts.netloc and all("!" <= each <= "~" for each in url):
        return None
    return "a URL with credentials in it" if "@" in url else "a `url` that cannot be asked"
