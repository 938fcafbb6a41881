"""The hook ``http`` against real servers: what arrives, and what becomes of servers that misbehave."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import http.client
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from pytest_leanml.config import load_config
from pytest_leanml.deploy.catalogue import find_hooks
from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks import http as http_hook
from pytest_leanml.deploy.hooks.http import Http, HttpConfig
from pytest_leanml.deploy.hooks.web import LONGEST_ANSWER
from pytest_leanml.deploy.proof import Action
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import ConfigError, DeployError, UnknownOutcomeError

TOKEN, KEY = "tok-PLANTED-4711", "key-PLANTED-0815"


def hook(endpoint, path="/deploy", **settings):
    return Http(HttpConfig.model_validate({"url": f"{endpoint.url}{path}", **settings}))


def watched(endpoint, **more):
    seen = {"url": f"{endpoint.url}/now", "expect": {"live.0.version": "{version}"}}
    return hook(endpoint, observe=seen, undo={"url": f"{endpoint.url}/back"}, **more)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(http_hook, "_FIRST_PAUSE", 0.02)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def hang(handler, _body):
    handler.connection.settimeout(20)
    handler.connection.recv(1)  # until the client hangs up


def drop(handler, _body):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def raw(text, *, endless=b"", close=True):
    def step(handler, _body):
        handler.wfile.write(text)
        while endless:
            handler.wfile.write(endless)
        handler.close_connection = close

    return step


def test_what_arrives(endpoint, told):
    made = hook(endpoint, body={"note": "v{version} of {model}", "deep": [{"d": "{digest}"}]}, bearer="T", hmac="K")
    applied = made.apply(told(T=TOKEN, K=KEY))
    ((method, path, headers, body),) = endpoint.got
    sent = json.loads(body)
    assert (method, path, headers["Content-Type"]) == ("POST", "/deploy", "application/json")
    assert headers["Idempotency-Key"] == "k" * 64 + "-notify"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    at, _, signed = headers["X-Leanml-Signature"].removeprefix("t=").partition(",v1=")
    assert abs(int(at) - time.time()) < 30
    assert hmac.compare_digest(signed, hmac.new(KEY.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest())
    assert (sent["note"], sent["deep"]) == ("v2 of flights", [{"d": f"sha256:{'d' * 64}"}])
    assert {name: sent[name] for name in ("release", "model", "version", "environment", "before", "evidence")} == {
        "release": "k" * 64,
        "model": "flights",
        "version": "2",
        "environment": "production",
        "before": "1",
        "evidence": "sha256:ee",
    }
    assert sent["decision"].startswith("sha256:")
    assert (sent["verdict"], sent["action"]) == ("ALLOW", "apply")
    assert applied.observable is False
    assert (told.memory, made.undoable) == ({"sent": True}, False)


def test_a_second_attempt_is_the_same_to_the_byte(endpoint, told):
    made = hook(endpoint, "/{environment}", method="PUT")
    made.apply(told())
    made.apply(told())
    first, second = endpoint.got
    assert first == second
    assert first[:2] == ("PUT", "/production")
    assert made.plan(told()) == f"send PUT {endpoint.url}/production"
    made.apply(told(step="other"))
    assert endpoint.got[2][2]["Idempotency-Key"] != first[2]["Idempotency-Key"]


def test_a_refused_connection_is_a_clean_failure(told, endpoint):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        with pytest.raises(DeployError, match="nothing was sent") as caught:
            Http(HttpConfig(url=url, idempotent=True)).apply(told())
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert told.memory == {"sent": False}


def test_a_name_that_no_server_has_is_a_clean_failure(told):
    with pytest.raises(DeployError, match=r"no connection to nowhere\.invalid"):
        Http(HttpConfig(url="https://nowhere.invalid/")).apply(told())


@pytest.mark.parametrize("status", [301, 307, 308, 400, 401, 404, 409, 422, 429, 501, 503])
def test_an_answer_that_says_no_is_a_clean_failure(endpoint, told, status):
    endpoint.answer((status, b"not you", ("Location", "http://127.0.0.1:1/elsewhere")))
    with pytest.raises(DeployError, match=rf"answered {status} \(not you\)") as caught:
        hook(endpoint).apply(told())
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert told.memory == {"sent": False}


@pytest.mark.parametrize("status", [302, 303, 500, 502, 504])
def test_an_answer_that_says_neither_is_unknown(endpoint, told, status):
    endpoint.answer((status, b"", ("Location", "/other")))
    with pytest.raises(UnknownOutcomeError, match=f"answered {status}"):
        hook(endpoint).apply(told())
    assert len(endpoint.got) == 1
    assert told.memory == {"sent": True}


def test_no_redirect_is_followed(serve, told):
    elsewhere, endpoint = serve(), serve()
    endpoint.answer((307, b"", ("Location", elsewhere.url)))
    with pytest.raises(DeployError, match="moved to"):
        hook(endpoint, bearer="T").apply(told(T=TOKEN))
    assert elsewhere.got == []


@pytest.mark.parametrize("idempotent", [False, True])
def test_500_then_200_is_repeated_only_where_that_is_safe(endpoint, told, idempotent):
    endpoint.answer((500, b""), drop, (200, b""))
    if idempotent:
        hook(endpoint, idempotent=True).apply(told())
        keys = {headers["Idempotency-Key"] for _, _, headers, _ in endpoint.got}
        assert (len(endpoint.got), len(keys)) == (3, 1)
    else:
        with pytest.raises(UnknownOutcomeError):
            hook(endpoint).apply(told())
        assert len(endpoint.got) == 1


def test_a_doubt_stays_whatever_is_refused_afterwards(endpoint, told):
    endpoint.answer(drop, (409, b"busy"))
    with pytest.raises(UnknownOutcomeError, match=r"no answer came.*then.*409"):
        hook(endpoint, idempotent=True, attempts=2).apply(told())
    assert told.memory == {"sent": True}


def test_an_endpoint_that_hangs_is_unknown_and_in_time(endpoint, told):
    endpoint.answer(hang)
    begun = time.monotonic()
    with pytest.raises(UnknownOutcomeError, match=r"no end within 0\.3 s|Timeout"):
        hook(endpoint, answer_timeout="300ms").apply(told())
    assert time.monotonic() - begun < 2


def test_an_endpoint_that_drips_is_cut_in_time(endpoint, told):
    def drip(handler, _body):
        for each in b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 900:
            handler.wfile.write(bytes([each]))
            time.sleep(0.02)

    endpoint.answer(drip)
    begun = time.monotonic()
    with pytest.raises(UnknownOutcomeError, match=r"no end within 0\.4 s"):
        hook(endpoint, answer_timeout="400ms").apply(told())
    assert time.monotonic() - begun < 2


def test_an_answer_until_the_end_that_was_cut_is_not_whole(endpoint, told):
    def forever(handler, _body):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nok")
        endpoint.release.wait(5)

    endpoint.answer(forever)
    with pytest.raises(UnknownOutcomeError, match=r"no end within 0\.3 s|cut off"):
        hook(endpoint, answer_timeout="300ms").apply(told())


def test_a_person_who_asks_to_stop_is_heard(endpoint, told):
    endpoint.answer(hang)
    timer = threading.Timer(0.2, lambda: setattr(told, "stop", True))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(UnknownOutcomeError, match="asked to stop"):
        hook(endpoint, idempotent=True).apply(told())
    timer.join()
    assert time.monotonic() - begun < 2
    assert len(endpoint.got) == 1


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (drop, "no answer came"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "cut off"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), "cut off"),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n", endless=b"x" * 65536), f"longer than {LONGEST_ANSWER}"),
        (raw(b"HTTP/1.1 200 OK\r\n", endless=b"A: b\r\n" * 99), "no answer came"),
        (raw(b"garbage\r\n\r\n"), "no answer came"),
    ],
    ids=["dropped", "half", "half a chunk", "endless", "endless headers", "garbage"],
)
def test_an_answer_that_is_not_whole_is_unknown(endpoint, told, step, why):
    endpoint.answer(step)
    with pytest.raises(UnknownOutcomeError, match=why):
        hook(endpoint).apply(told())


def test_an_endless_refusal_is_a_refusal(endpoint, told):
    endpoint.answer(raw(b"HTTP/1.1 403 No\r\n\r\n", endless=b"x" * 65536))
    with pytest.raises(DeployError, match="403") as caught:
        hook(endpoint).apply(told())
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ((200, b'{"live": [{"version": "2"}]}'), Observed.IN_PLACE),
        ((200, b'{"live": [{"version": "1"}]}'), Observed.ABSENT),
        ((200, b'{"live": [{"version": null}]}'), Observed.ABSENT),
        ((200, b'{"live": [{"version": 2}]}'), Observed.ABSENT),
        ((200, b'{"live": []}'), Observed.UNKNOWN),
        ((200, b'{"live": {"x": 1}}'), Observed.UNKNOWN),
        ((200, b"[]"), Observed.UNKNOWN),
        ((200, b"not json"), Observed.UNKNOWN),
        ((200, b'{"live": NaN}'), Observed.UNKNOWN),
        ((404, b""), Observed.UNKNOWN),
        ((500, b""), Observed.UNKNOWN),
        (drop, Observed.UNKNOWN),
    ],
)
def test_only_a_readable_answer_tells_anything(endpoint, told, said, seen):
    endpoint.answer(said)
    assert watched(endpoint).observe(told()) is seen
    assert endpoint.got[0][:2] == ("GET", "/now")
    assert bool(told.said) == (seen is Observed.UNKNOWN)


def test_true_is_not_one(endpoint, told):
    seen = {"url": endpoint.url, "expect": {"v": "{version}", "ready": True}}
    made = hook(endpoint, observe=seen)
    for text, observed in (
        (b'{"v": "2", "ready": true}', Observed.IN_PLACE),
        (b'{"v": "2", "ready": 1}', Observed.ABSENT),
    ):
        endpoint.answer((200, text))
        assert made.observe(told()) is observed
    assert hook(endpoint).observe(told()) is Observed.UNKNOWN


def test_undo_is_sent_once_something_was_and_not_before(endpoint, told):
    made = hook(endpoint, undo={"url": f"{endpoint.url}/back/{{before}}", "method": "DELETE", "body": {"why": "undo"}})
    made.undo(told(), {})
    assert endpoint.got == []
    made.undo(told(), {"sent": True})
    ((method, path, headers, body),) = endpoint.got
    assert (method, path, json.loads(body)["action"], json.loads(body)["why"]) == ("DELETE", "/back/1", "undo", "undo")
    assert headers["Idempotency-Key"].endswith("-notify-undo")
    endpoint.answer((404, b""))
    with pytest.raises(DeployError):
        made.undo(told(), {"sent": True})
    hook(endpoint).undo(told(), {"sent": True})
    assert len(endpoint.got) == 2


def test_undo_does_nothing_where_it_is_seen_to_be_absent(endpoint, told):
    endpoint.answer((200, b'{"live": [{"version": "1"}]}'))
    watched(endpoint).undo(told(), {"sent": True})
    assert [each[:2] for each in endpoint.got] == [("GET", "/now")]


def test_a_certificate_that_nobody_vouches_for_is_refused(serve, told, tmp_path, monkeypatch):
    certificate = _certificate(tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    endpoint = serve(lambda plain: server_side.wrap_socket(plain, server_side=True, do_handshake_on_connect=True))
    made = Http(HttpConfig(url=f"https://127.0.0.1:{endpoint.port}/"))
    with pytest.raises(DeployError, match=r"(?i)certificate.*nothing was sent"):
        made.apply(told())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    made.apply(told())
    assert len(endpoint.got) == 1
    endpoint.answer(hang)
    with pytest.raises(UnknownOutcomeError):
        Http(HttpConfig(url=f"https://127.0.0.1:{endpoint.port}/", answer_timeout="300ms")).apply(told())


def _certificate(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / "both.pem"
    path.write_bytes(made.public_bytes(encoding) + key.private_bytes(encoding, form, serialization.NoEncryption()))
    return path


def test_a_proxy_of_the_environment_is_used_unless_told_otherwise(serve, told, monkeypatch):
    proxy, endpoint = serve(), serve()
    monkeypatch.setenv("http_proxy", f"http://me:pa%73s@127.0.0.1:{proxy.port}")
    Http(HttpConfig(url="http://models.invalid/deploy?x=1")).apply(told())
    ((_, path, headers, _),) = proxy.got
    assert path == "http://models.invalid/deploy?x=1"
    assert headers["Proxy-Authorization"] == "Basic bWU6cGFzcw=="
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    hook(endpoint).apply(told())
    assert (len(proxy.got), len(endpoint.got)) == (1, 1)
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
    with pytest.raises(DeployError, match=r"no connection to models\.invalid"):
        Http(HttpConfig(url="https://models.invalid/deploy")).apply(told())


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "ftp://host/x"},
        {"url": "http:///x"},
        {"url": "http://user:pass-PLANTED@host/"},
        {"url": "http://{model}.host/"},
        {"url": "http://host:99999/"},
        {"url": "http://host/a b"},
        {"url": "http://host/", "body": {"version": "3"}},
        {"url": "http://host/", "body": {"x": float("nan")}},
        {"url": "http://host/", "observe": {"url": "http://host/", "expect": {"ready": True}}},
        {"url": "http://host/", "observe": {"url": "http://host/", "expect": {}}},
        {"url": "http://host/", "bearer": "not a name"},
        {"url": "http://host/", "method": "GET"},
        {"url": "http://host/", "redirects": True},
    ],
)
def test_settings_that_cannot_be_meant_are_told_before_anything_runs(tmp_path, settings):
    text = json.dumps([{"use": "http", "with": settings}]).replace("NaN", ".nan")
    (tmp_path / "leanml.yaml").write_text(f"version: 1\nmodel: flights\ndeploy: {text}\n")
    with pytest.raises(ConfigError) as caught:
        find_hooks(load_config(tmp_path / "leanml.yaml"))
    assert "leanml.yaml:" in str(caught.value)
    assert "pass-PLANTED" not in str(caught.value)


def test_a_secret_that_was_not_given_or_fits_no_header_is_told_by_name(endpoint, told):
    made = hook(endpoint, bearer="T")
    with pytest.raises(DeployError, match="secret T is not given"):
        made.apply(told())
    with pytest.raises(DeployError, match="no HTTP header") as caught:
        made.apply(told(T=f"{TOKEN}\nX: y"))
    assert "PLANTED" not in str(caught.value)
    assert endpoint.got == []


# Through the runner, with journal and audit log.


def configure(project, entry):
    text = project.config.read_text().partition("deploy:")[0]
    project.config.write_text(f"{text}deploy: {json.dumps([entry])}\n")
    digest = digest_bytes(project.config.read_bytes())
    project.change("2", lambda decision, _: decision.update(config_digest=digest))


def test_a_planted_secret_is_found_nowhere(project, endpoint, monkeypatch, capfd):
    monkeypatch.setenv("DEPLOY_TOKEN", TOKEN)
    monkeypatch.setenv("DEPLOY_KEY", KEY)

    def echo(handler, _body):
        return 500, f"{handler.headers['Authorization']} {KEY}".encode()

    endpoint.answer(echo)
    settings = {"url": f"{endpoint.url}/x", "bearer": "DEPLOY_TOKEN", "hmac": "DEPLOY_KEY"}
    configure(project, {"use": "http", "with": settings, "secrets": ["DEPLOY_TOKEN", "DEPLOY_KEY"]})
    done = project.deploy()
    assert done.status == 23, done
    assert TOKEN.encode() in endpoint.got[0][2]["Authorization"].encode()
    out = capfd.readouterr()
    written = b"".join(path.read_bytes() for path in project.root.rglob("*") if path.is_file())
    for planted in (TOKEN, KEY):
        assert planted.encode() not in written
        assert planted not in f"{done.message}{out.out}{out.err}"


def test_a_release_is_told_and_taken_back(project, endpoint):
    live = {"version": "1"}

    def world(handler, body):
        if handler.command == "POST":
            said = json.loads(body)
            live["version"] = said["version"] if said["action"] == "apply" else said["before"]
        return 200, json.dumps({"live": [dict(live)]}).encode()

    endpoint.answer(world)
    settings = {
        "url": f"{endpoint.url}/deploy",
        "observe": {"url": f"{endpoint.url}/now", "expect": {"live.0.version": "{version}"}},
        "undo": {"url": f"{endpoint.url}/deploy"},
    }
    configure(project, {"use": "http", "with": settings})
    done = project.deploy()
    assert (done.status, live, project.alias) == (0, {"version": "2"}, "2"), done
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, live, project.alias) == (0, {"version": "1"}, "1"), undone


def test_a_hanging_endpoint_that_had_acted_is_seen_to_have(project, endpoint):
    live = {"version": "1"}

    def world(handler, body):
        if handler.command == "POST":
            live["version"] = json.loads(body)["version"]
            return drop(handler, body)
        return 200, json.dumps({"live": [dict(live)]}).encode()

    endpoint.answer(world)
    seen = {"url": f"{endpoint.url}/now", "expect": {"live.0.version": "{version}"}}
    configure(project, {"use": "http", "with": {"url": f"{endpoint.url}/deploy", "observe": seen}})
    done = project.deploy()
    assert (done.status, project.alias) == (0, "2"), done
    assert [each[0] for each in endpoint.got].count("POST") == 1


def test_http_client_is_the_standard_librarys():
    """A module called http lies beside the one that imports http.client."""
    assert Path(http.client.__file__).parent.name == "http"


def test_the_settings_in_the_docs_are_taken(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "deploy-http.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        (tmp_path / "leanml.yaml").write_text(f"version: 1\nmodel: flights\n{block}")
        assert find_hooks(load_config(tmp_path / "leanml.yaml"))
