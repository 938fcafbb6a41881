"""What the hook ``feature_flag`` sets is what OpenFeature's own client reads."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

configure = sys.modules["leanml_services_test_hooks"].configure
TOKEN = "tok-PLANTED-4711"
FLAG = {"state": "ENABLED", "variants": {"v1": "one", "v2": "two"}, "defaultVariant": "v1"}


class Flags(BaseHTTPRequestHandler):
    """One flag: edited under ETags, and evaluated as the OpenFeature Remote Evaluation Protocol has it."""

    flag: ClassVar[dict] = dict(FLAG)

    @property
    def etag(self):
        return f'"{hashlib.sha256(json.dumps(self.flag).encode()).hexdigest()}"'

    def do_GET(self):
        self.say(200, self.flag, ("ETag", self.etag))

    def do_PATCH(self):
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.say(401, {})
        if self.headers.get("If-Match") != self.etag:
            return self.say(412, {})
        type(self).flag = {**self.flag, **said}
        return self.say(200, self.flag)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        variant = self.flag["defaultVariant"]
        value = self.flag["variants"][variant]
        self.say(200, {"key": "ranking", "reason": "STATIC", "variant": variant, "value": value})

    def say(self, status, facts, *headers):
        body = json.dumps(facts).encode()
        self.send_response(status)
        for name, value in (*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep still."""


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Flags.flag = dict(FLAG)
    with ThreadingHTTPServer(("127.0.0.1", 0), Flags) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


@contextmanager
def client_of(provider):
    from openfeature import api

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        api.set_provider(provider)
        try:
            yield api.get_client()
        finally:
            api.shutdown()


def test_a_client_sees_what_a_deploy_has_set(endpoint, flag_client, project, given, found_nowhere):
    given(FLAG_TOKEN=TOKEN, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    settings = {"url": f"{endpoint}/flags/ranking", "flag": "ranking", "variant": "v{version}", "bearer": "FLAG_TOKEN"}
    configure(project, {"use": "feature_flag", "secrets": ["FLAG_TOKEN"], "with": settings})
    with client_of(flag_client(endpoint)) as client:
        assert client.get_string_value("ranking", "none") == "one"
        status, output = project.run(project.command("2"))
        assert (status, project.alias) == (0, "2"), output
        found = client.get_string_details("ranking", "none")
        assert (found.value, found.variant) == ("two", "v2")
        status, more = project.run(project.command("2", "--undo"))
        assert (status, project.alias) == (0, "1"), more
        assert client.get_string_value("ranking", "none") == "one"
    found_nowhere(TOKEN, output, more)
