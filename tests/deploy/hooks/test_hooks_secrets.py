"""Every registered hook that takes a secret gets a planted one, and the other side says it back in every writing."""

from __future__ import annotations

import base64
import json
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from pytest_leanml.config.deploy import SecretName
from pytest_leanml.deploy.hook import GROUP
from pytest_leanml.deploy.hooks import program
from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.secret import Redactor
from pytest_leanml.digest import digest_bytes

SECRET = "p4nted+secret/of~hooks"
LEAK = """\
import base64, os, sys
value = os.environ["PLANTED"]
for before in ("", "u", "us"):
    print(value, repr(value), base64.b64encode((before + value + "!").encode()).decode(), value.encode().hex())
sys.exit(int(sys.argv[1]))
"""


def _forms(value=SECRET):
    """Ways of writing it; of base64 the letters that are its own at each of the three places where it may begin."""
    yield from (value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value, safe=""), value.encode().hex())
    for before in range(3):
        whole = base64.b64encode(b"x" * before + value.encode()).decode()
        yield from (whole[4:-4], whole[4:-4].replace("+", "-").replace("/", "_"))


def _found(root, *texts):
    places = {f"output {number}": text.encode() for number, text in enumerate(texts)}
    places |= {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return [(place, form) for place, data in places.items() for form in _forms() if form.encode() in data]


def _leak(status):
    return {"argv": [sys.executable, "-c", LEAK, str(status)]}


def _entries(endpoint, status):
    """Hook -> its settings, so that it succeeds (0) or fails."""
    return {
        "command": _leak(status),
        "http": {"url": f"{endpoint.url}/deploy", "bearer": "PLANTED", "hmac": "PLANTED"},
        "slack": {"token": "PLANTED", "channel": "models", "api": f"{endpoint.url}/api"},
        "github": {"token": "PLANTED", "repository": "a/b", "api": endpoint.url, "ref": "main"},
        "feature_flag": {"url": f"{endpoint.url}/flags/model", "flag": "model", "variant": "v2", "bearer": "PLANTED"},
        "analysis": {
            "prometheus": endpoint.url,
            "bearer": "PLANTED",
            "window": "3s",
            "interval": "1s",
            "metrics": [{"name": "errors", "query": "errors", "pass": 0.5}],
        },
    }


# Hooks whose secret is planted in the tests against their own servers: these must be there.
_ELSEWHERE = {
    "image": "services/test_image_hook.py",
    "istio.canary": "services/test_canary_istio.py",
    "kubernetes.blue_green": "services/test_kubernetes_set_image.py",  # kubectl as there, metrics as `analysis` above
}


def _takes_a_secret(annotation):
    """Whether a secret's name stands anywhere in a model or a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.values()
        return any(SecretName.__metadata__[-1] in each.metadata or _takes_a_secret(each.annotation) for each in fields)
    if SecretName.__metadata__[-1] in getattr(annotation, "__metadata__", ()):
        return True
    return any(_takes_a_secret(each) for each in get_args(annotation))


def _answers(status):
    """The other side says back what it was told, and in other writings."""

    def answer(handler, body):
        told = handler.headers.get("Authorization", "") + handler.path
        own = told.removeprefix("Bearer ").encode()
        said = [
            told,
            repr(told),
            quote(told, safe=""),
            own.hex(),
            *(base64.b64encode(b"x" * n + own).decode() for n in range(3)),
        ]
        return status, json.dumps({"ok": True, "message": said, "ts": "1", "status": "success", "data": said}).encode()

    return answer


def _configure(project, *entries):
    text = project.config.read_text().partition("deploy:")[0]
    project.config.write_text(f"{text}deploy: {json.dumps(entries)}\n")
    digest = digest_bytes(project.config.read_bytes())
    project.change("2", lambda decision, _: decision.update(config_digest=digest))


@pytest.fixture
def planted(project, monkeypatch):
    monkeypatch.setenv("PLANTED", SECRET)
    return project


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("name", ["command", "http", "slack", "github", "feature_flag", "analysis"])
def test_no_hook_of_ours_gives_its_secret_away(planted, endpoint, capfd, name, status):
    endpoint.answer(_answers(status))
    settings = _entries(endpoint, int(status != 200))[name]
    _configure(planted, {"use": name, "secrets": ["PLANTED"], "timeout": "30s", "with": settings})
    planned = planted.deploy(action=Action.PLAN)
    done = planted.deploy()
    undone = planted.deploy(action=Action.UNDO)
    if name in {"command", "http", "slack"}:
        assert (done.status == 0) == (status == 200), done
    assert _found(planted.root, repr(planned), repr(done), repr(undone), *capfd.readouterr()) == []


@pytest.mark.parametrize("after", range(300 - len(SECRET) - 2, 301))
def test_a_secret_that_the_end_of_an_output_cuts_in_two_shows_no_half(after):
    said = program.told(f"{SECRET}{'x' * after}".encode(), Redactor([SECRET]))
    assert set(said) <= set(": *x")


def test_the_table_has_every_hook_that_takes_a_secret(endpoint):
    known = {*_entries(endpoint, 0), *_ELSEWHERE}
    for point in entry_points(group=GROUP):
        if point.value.startswith("pytest_leanml.") and point.name not in known:
            model = getattr(point.load(), "Config", None)
            assert model is None or not _takes_a_secret(model), f"{point.name} takes a secret, and the table lacks it"


@pytest.mark.parametrize("file", sorted(set(_ELSEWHERE.values())))
def test_what_the_table_leaves_to_others_is_there(file):
    assert "ecret" in (Path(__file__).parents[2] / file).read_text()


def test_the_table_would_miss_none():
    class Inner(BaseModel):
        token: SecretName | None = None

    class Outer(BaseModel):
        inner: Inner = Inner()

    class Plain(BaseModel):
        name: str = ""

    assert (_takes_a_secret(Inner), _takes_a_secret(Outer), _takes_a_secret(Plain)) == (True, True, False)


def test_a_whole_gate_writes_none_into_its_reports(planted, endpoint):
    """Reports, JUnit, the registry's record and all that is printed."""
    endpoint.answer(_answers(200))
    entries = _entries(endpoint, 0)
    hooks = [{"use": name, "secrets": ["PLANTED"], "with": entries[name]} for name in ("command", "http", "slack")]
    hooks.append({"use": "command", "name": "boom", "secrets": ["PLANTED"], "with": _entries(endpoint, 3)["command"]})
    _configure(planted, *hooks)
    status, output = planted.gate("--gate-candidate=models:/flights/2", env={"PLANTED": SECRET})
    assert (status, planted.alias) == (22, "1"), output
    assert "***" in output
    assert (planted.root / ".leanml" / "junit.xml").exists()
    assert _found(planted.root, output) == []


@pytest.mark.parametrize("value", [SECRET, "sixsix", "\u00e4\u00f6\u00fc-\u20ac-secret", "a?b>c~d\u007f"])
@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("after", ["", "!", "more"])
def test_base64_of_a_longer_text_shows_no_letters_of_the_secret(value, before, after):
    redact = Redactor([value])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode((before + value + after).encode()).decode()
        shown = redact(f"Basic {whole}.")
        assert "***" in shown
        left = shown.removeprefix("Basic ").removesuffix(".").replace("***", "")
        outside = 4 * (len(before.encode()) // 3 + 1) + 4 * (len(after.encode()) // 3 + 1)
        assert len(left) <= outside
        assert value.encode()[:4] not in base64.urlsafe_b64decode(
            left.replace("+", "-").replace("/", "_")[: len(left) // 4 * 4]
        )


def test_other_texts_stay_as_they_are():
    redact = Redactor([SECRET])
    text = json.dumps({"digest": f"sha256:{'ab' * 32}", "answer": base64.b64encode(b"nothing of it").decode()})
    assert redact(text) == text
