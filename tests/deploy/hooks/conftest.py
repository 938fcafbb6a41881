"""Endpoints that keep what arrives and misbehave as they are told, and what a hook is told by the runner."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@dataclass
class Endpoint:
    """A server on a port of its own; each request takes the next of ``script``, and the last stays."""

    script: list = field(default_factory=lambda: [(200, b"{}")])
    got: list = field(default_factory=list)
    port: int = 0
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def answer(self, *script):
        self.script = list(script)

    def next(self):
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def handler_of(endpoint):
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self):
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:  # whoever sent it was killed: half a request is none
                self.close_connection = True
                return
            endpoint.got.append((self.command, self.path, dict(self.headers), body))
            step = endpoint.next()
            if callable(step):
                step = step(self, body)
            if step is not None:
                status, text, *more = step
                self.send_response(status)
                for name, value in more:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *_):
            """Keep still."""

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


@pytest.fixture
def serve():
    started = []

    def start(wrap=None):
        endpoint = Endpoint()
        server = Quiet(("127.0.0.1", 0), handler_of(endpoint))
        if wrap is not None:
            server.socket = wrap(server.socket)
        endpoint.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        started.append((server, endpoint, thread))
        return endpoint

    yield start
    for server, endpoint, thread in started:
        endpoint.release.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def endpoint(serve):
    return serve()


DECISION = {"run_id": "01RUN", "verdict": "ALLOW", "environment": "production", "evidence": {"digest": "sha256:ee"}}


@pytest.fixture
def told(hook_context):
    """A context of which ``told.said`` is what the hook said and ``told.memory`` what it remembered."""

    class Told:
        def __init__(self):
            self.said, self.memory, self.stop = [], {}, False

        def __call__(self, *, seconds=20.0, step="notify", **secrets):
            late = time.monotonic() + seconds
            heard = {"stopping": lambda: self.stop or time.monotonic() > late, "progress": self.said.append}
            kept = {"remember": self.memory.update, "remembered": self.memory}
            given = {"root": Path(), "decision": DECISION, "secrets": secrets, "step": step}
            return hook_context(seconds, **heard, **kept, **given)

    return Told()
