"""The client against servers that do everything wrong that a server can do."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack

import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.serving_http import LONGEST, Client, Server
from pytest_leanml.errors import ConfigError, SourceError

ROWS = pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan]})


@pytest.fixture
def ask():
    """Ask a server for ROWS; return its answers."""

    def run(url, rows=ROWS, times=1, **settings):
        with Client(Server(url, **settings)) as client:
            return [client.read(client.ask(client.prepare(rows))) for _ in range(times)][-1]

    return run


def test_the_format_of_mlflow(serve, ask):
    server = serve(lambda handler, _: handler.say({"predictions": [1, 0]}))
    assert ask(server.url) == [1, 0]
    path, headers, body = server.asked[0]
    assert path == "/invocations"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 0.5], [2, None]]}}


def test_plain_rows(serve, ask):
    server = serve(lambda handler, _: handler.say(["x", "y"]))
    assert ask(server.url, format="records") == ["x", "y"]
    assert json.loads(server.asked[0][2]) == [{"a": 1, "b": 0.5}, {"a": 2, "b": None}]


def test_cells_are_written_as_json_has_them(serve, ask):
    server = serve(lambda handler, _: handler.say([1]))
    rows = pd.DataFrame(
        {
            "text": ["x"],
            "time": [pd.Timestamp("2026-01-02 03:04:05")],
            "day": [pd.Timestamp("2026-01-02").date()],
            "flag": [np.True_],
            "none": [pd.NA],
            "never": [pd.NaT],
            "small": np.array([0.1], dtype=np.float32),
            "kind": pd.Categorical(["c"]),
            "mixed": np.array([np.float64(0.25)], dtype=object),
        }
    )
    ask(server.url, rows, format="records")
    assert json.loads(server.asked[0][2]) == [
        {
            "text": "x",
            "time": "2026-01-02T03:04:05",
            "day": "2026-01-02",
            "flag": True,
            "none": None,
            "never": None,
            "small": float(np.float32(0.1)),
            "kind": "c",
            "mixed": 0.25,
        }
    ]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (pd.DataFrame({"a": [np.inf]}), "cannot be written as JSON"),
        (pd.DataFrame({"a": [b"x"]}), "cannot be written as JSON"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns"),
    ],
)
def test_rows_that_json_cannot_hold(serve, ask, rows, match):
    server = serve(lambda handler, _: handler.say([1]))
    with pytest.raises(SourceError, match=match):
        ask(server.url, rows)
    assert not server.asked


def test_one_connection_is_kept(serve, ask):
    server = serve(lambda handler, _: handler.say([1, 0]))
    ask(server.url, times=5)
    assert (server.connections, len(server.asked)) == (1, 5)


def test_a_server_may_close_after_each_answer(serve, ask):
    server = serve(lambda handler, _: handler.say([1, 0], Connection="close"))
    assert ask(server.url, times=3) == [1, 0]
    assert server.connections == 3


def test_a_query_is_sent_and_never_shown(serve, ask):
    server = serve(lambda handler, _: handler.say([], status=403))
    with pytest.raises(SourceError) as found:
        ask(f"{server.url}?key=hunter2")
    assert server.asked[0][0] == "/invocations?key=hunter2"
    assert "hunter2" not in str(found.value)
    assert "status 403" in str(found.value)


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 429, 500, 503])
def test_only_200_is_an_answer(serve, ask, status):
    server = serve(lambda handler, _: handler.say({"predictions": [1, 0]}, status=status))
    with pytest.raises(SourceError, match=f"status {status}"):
        ask(server.url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(serve, ask, status):
    other = serve(lambda handler, _: handler.say({"predictions": [1, 0]}))
    server = serve(lambda handler, _: handler.say(b"", status=status, Location=other.url))
    with pytest.raises(SourceError, match=f"redirects .status {status}"):
        ask(server.url)
    assert not other.asked


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"", "no strict JSON"),
        (b"<html>", "no strict JSON"),
        (b'{"predictions": [NaN, 1]}', "no strict JSON"),
        (b'{"predictions": [Infinity, 1]}', "no strict JSON"),
        (b"[1e999, 1]", "no strict JSON"),
        (b"[1, 2", "no strict JSON"),
        (b"\xff[1]", "no strict JSON"),
        (b"[" * 100_000, "no strict JSON"),
        (b"[" + b"9" * 100_000 + b"]", "no strict JSON"),
        (b'{"outputs": [1, 2]}', "mapping of 'outputs'"),
        (b'{"predictions": {"0": 1, "1": 0}}', "with a dict"),
        (b'{"predictions": null}', "with a NoneType"),
        (b"3", "with a int"),
    ],
)
def test_what_is_no_list_of_answers(serve, ask, body, match):
    server = serve(lambda handler, _: handler.say(body))
    with pytest.raises(SourceError, match=match):
        ask(server.url)


def test_nobody_listens(ask):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SourceError, match="cannot be asked: ConnectionRefusedError"):
            ask(f"http://127.0.0.1:{port}/")


def test_a_server_that_takes_no_connection_is_late(ask):
    """Its queue is full, so that nobody answers the first packet."""
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        began = time.monotonic()
        with pytest.raises(SourceError, match="is late"):
            ask(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=0.3)
        assert time.monotonic() - began < 3


def hung(handler, _):
    handler.server.done.wait(5)


def test_a_server_that_hangs_is_late(serve, ask):
    server = serve(hung)
    server.done = threading.Event()
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"is late\n  expected: an answer within 0\.2 s"):
        ask(server.url, timeout=0.2)
    assert time.monotonic() - began < 3
    server.done.set()


@pytest.mark.parametrize("body", [b"[0, 1]", b"[0, 1]" + b" " * 100])
def test_a_server_that_drips_is_late(serve, ask, slow, body):
    """Each byte comes in time; what was read until then may be whole JSON."""
    server = serve(slow(0.1, body))
    began = time.monotonic()
    with pytest.raises(SourceError, match="is late"):
        ask(server.url, timeout=0.35)
    assert time.monotonic() - began < 3


def test_a_server_that_drips_in_time_is_not_late(serve, ask, slow):
    assert ask(serve(slow(0.001)).url, timeout=5) == [0, 1]


def broken(handler, _):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"[1, 0]")
    handler.close_connection = True


def cut(handler, _):
    handler.close_connection = True


def garbled(handler, _):
    handler.wfile.write(b"what?\r\n\r\n")
    handler.close_connection = True


def chunk_cut(handler, _):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"ff\r\n[1, 0]")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("reply", "fault"),
    [(broken, "IncompleteRead"), (cut, "RemoteDisconnected"), (garbled, "BadStatusLine"), (chunk_cut, "Incomplete")],
)
def test_a_connection_that_breaks_off(serve, ask, reply, fault):
    with pytest.raises(SourceError, match=f"cannot be asked: {fault}"):
        ask(serve(reply).url)


def endless(handler, _):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    block = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    try:
        while True:
            handler.wfile.write(block)
            handler.server.sent = getattr(handler.server, "sent", 0) + 0x10000
    except OSError:
        handler.close_connection = True


def test_a_body_without_end_is_bounded(serve, ask):
    server = serve(endless)
    with pytest.raises(SourceError, match="more than 10 MiB"):
        ask(server.url)
    assert server.sent < 4 * LONGEST


def test_a_body_that_says_it_is_huge_is_bounded(serve, ask):
    server = serve(lambda handler, _: handler.say(b"[" + b"1," * (LONGEST // 2) + b"1]"))
    with pytest.raises(SourceError, match="more than 10 MiB"):
        ask(server.url)


def test_a_failed_request_does_not_spoil_the_next(serve):
    replies = [lambda handler: handler.say([], status=500), lambda handler: handler.say([7])]
    server = serve(lambda handler, _: replies.pop(0)(handler))
    with Client(Server(server.url)) as client:
        with pytest.raises(SourceError):
            client.ask(b"{}")
        assert client.read(client.ask(b"{}")) == [7]


def test_https_wants_a_certificate(serve, ask):
    server = serve(lambda handler, _: handler.say([1, 0]))
    with pytest.raises(SourceError, match="cannot be asked"):
        ask(server.url.replace("http:", "https:"), timeout=2)


def test_no_proxy_of_the_environment_is_used(serve, ask, monkeypatch):
    proxy = serve(lambda handler, _: handler.say([9, 9]))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert ask(serve(lambda handler, _: handler.say([1, 0])).url) == [1, 0]
    assert not proxy.asked


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:5001", "ftp://host/x", "file:///etc/passwd", "http://", "http:///x", "https://:80/"),
        *("http://host:99999/", "http://host:0/", "http://host:x/", "http://[::1/", "http://ho st/", "http://host/\n"),
        *("http://host/\r\nX-Evil: 1", "http://hoßt/", "http://host/\x00"),
    ],
)
def test_what_is_no_url(url):
    with pytest.raises(ConfigError, match="cannot be asked"):
        Server(url)


@pytest.mark.parametrize("url", ["http://user:hunter2@host/", "http://hunter2@host/", "ftp://me:hunter2@host/"])
def test_credentials_are_refused_and_not_shown(url):
    with pytest.raises(ConfigError, match="credentials") as found:
        Server(url)
    assert "hunter2" not in str(found.value)


def test_an_unknown_format():
    with pytest.raises(ConfigError, match="format: 'xml'\n  expected: one of mlflow, records"):
        Server("http://host/", "xml")
