"""The hook ``image`` with real builders and a real registry; FROM scratch, for no base image can be pulled here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest
from pydantic import ValidationError

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.image import Image, ImageConfig
from pytest_leanml.deploy.hooks.oci import Repository
from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import DeployError, UnknownOutcomeError

configure = sys.modules["leanml_services_test_hooks"].configure
NAMES = count(1)
USER, PASSWORD = "planted-user", "planted-password-4711"
# bcrypt of that password, as htpasswd writes it.
ACCOUNT = f"{USER}:$2b$04$IHzMXrwc4sWlV99wKl6ypONikRNlkx/n/wqKUkqC/Ucz4Jui0CBuC\n"
CONTAINERFILE = """\
FROM scratch
ARG LEANML_VERSION
LABEL given=$LEANML_VERSION
COPY --from=model . /model
COPY served.txt /
"""


@pytest.fixture(autouse=True)
def _storage(image_storage, given, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    given(**image_storage)


def write_context(root):
    folder = root / "serving"
    folder.mkdir(exist_ok=True)
    (folder / "Containerfile").write_text(CONTAINERFILE)
    (folder / "served.txt").write_text("hello")


@pytest.fixture
def context(told, registered):
    write_context(registered.root)
    return told()


@pytest.fixture
def name(image_registry):
    return f"models/flights-{next(NAMES)}"


def settings(registry, name, **more):
    known = {"image": f"{registry.host}/{name}", "context": "serving", "insecure": True, "tool": "buildah"}
    return known | {"env": ["CONTAINERS_STORAGE_CONF", "BUILDAH_ISOLATION"]} | more


def made(registry, name, **more):
    return Image(ImageConfig.model_validate(settings(registry, name, **more)))


def config_of(registry, name, digest):
    manifest = json.loads(registry.ask(f"{name}/manifests/{digest}")[1])
    return json.loads(registry.ask(f"{name}/blobs/{manifest['config']['digest']}")[1])


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a shell script before a program of the same name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(name, text):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def plain_http(image_registry, tmp_path, monkeypatch):
    """A file by which docker's command line knows that the registry speaks plain HTTP."""
    conf = tmp_path / "registries.conf"
    conf.write_text(f'[[registry]]\nlocation = "{image_registry.host}"\ninsecure = true\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))


@pytest.mark.parametrize("tool", ["buildah", "podman"])
def test_an_image_is_built_pushed_and_told_by_its_digest(image_registry, name, context, told, tool):
    hook = made(image_registry, name, tool=tool, labels={"team": "risk-{version}"})
    applied = hook.apply(context)
    digest = applied.detail["digest"]
    assert image_registry.names(name) == {"v2": digest}
    assert applied.detail["reference"] == f"{image_registry.host}/{name}@{digest}"
    labels = config_of(image_registry, name, digest)["config"]["Labels"]
    wanted = {"given": "2", "team": "risk-2", "leanml.digest": context.digest, "leanml.release": context.key}
    wanted |= {"org.opencontainers.image.version": "2", "org.opencontainers.image.title": "model"}
    assert wanted.items() <= labels.items()
    assert hook.observe(context) is Observed.IN_PLACE
    hook.apply(context)
    assert image_registry.names(name) == {"v2": digest}
    local = subprocess.run(["buildah", "images", "-q"], capture_output=True, text=True, check=True)
    assert told.memory["image"].removeprefix("sha256:")[:12] not in local.stdout
    hook.undo(context, {**told.memory, **applied.detail})
    assert (image_registry.names(name), hook.observe(context)) == ({}, Observed.ABSENT)
    hook.undo(context, {})


@pytest.mark.usefixtures("plain_http")
def test_a_docker_command_line(image_registry, name, context, told, stand_in):
    """podman speaks docker's command line, as the package podman-docker has it."""
    stand_in("docker", 'exec podman "$@"')
    variables = ["CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF", "BUILDAH_ISOLATION"]
    hook = made(image_registry, name, tool="docker", env=variables)
    applied = hook.apply(context)
    assert image_registry.names(name) == {"v2": applied.detail["digest"]}
    assert hook.observe(context) is Observed.IN_PLACE
    hook.undo(context, {**told.memory, **applied.detail})
    assert image_registry.names(name) == {}


@pytest.mark.parametrize("acts", ["push", "build"])
def test_a_tool_that_says_nothing(image_registry, name, context, stand_in, acts):
    """A build without an id has built nothing; a push that fails may have pushed."""
    real = shutil.which("buildah")
    stand_in("buildah", f'[ "$1" = {acts} ] && exit {int(acts == "push")}\nexec {real} "$@"')
    hook = made(image_registry, name)
    with pytest.raises(
        DeployError, match="named no image" if acts == "build" else "push ended with status 1"
    ) as caught:
        hook.apply(context)
    assert isinstance(caught.value, UnknownOutcomeError) == (acts == "push")
    assert (image_registry.names(name), hook.observe(context)) == ({}, Observed.ABSENT)


def test_it_holds_the_bytes_that_were_judged(image_registry, name, context, registered, tmp_path):
    digest = made(image_registry, name).apply(context).detail["digest"]
    source = f"docker://{image_registry.host}/{name}@{digest}"
    copied = ["skopeo", "copy", "--src-tls-verify=false", source, f"oci:{tmp_path / 'copy'}"]
    subprocess.run(copied, check=True, capture_output=True)
    layers = []
    for blob in (tmp_path / "copy" / "blobs" / "sha256").iterdir():
        listed = subprocess.run(["tar", "-tzf", blob], capture_output=True, text=True, check=False)
        if listed.returncode == 0:
            subprocess.run(["tar", "-xzf", blob, "-C", tmp_path], check=True)
            layers.append(listed.stdout)
    assert len(layers) >= 1
    for path in ("MLmodel", "data/weights \u00fc.bin"):
        assert (tmp_path / "model" / path).read_bytes() == (registered.folder / path).read_bytes()


def test_the_same_release_is_the_same_image(image_registry, name, context, told):
    first = made(image_registry, name, tag="one").apply(context)
    other, _ = told.other(context, "k")
    assert made(image_registry, name, tag="two").apply(other).detail["digest"] == first.detail["digest"]
    another, _ = told.other(context, "2")
    assert made(image_registry, name, tag="three").apply(another).detail["digest"] != first.detail["digest"]


def test_the_tag_names_again_what_it_named_before(image_registry, name, context, told):
    hook = made(image_registry, name)
    before = hook.apply(context).detail["digest"]
    second, memory = told.other(context, "2")
    applied = hook.apply(second)
    assert image_registry.names(name) == {"v2": applied.detail["digest"]}
    assert hook.observe(context) is Observed.ABSENT
    hook.undo(second, {**memory, **applied.detail})
    assert image_registry.names(name) == {"v2": before}
    assert image_registry.ask(f"{name}/manifests/{applied.detail['digest']}")[0] == 404


def test_a_tag_that_somebody_has_moved_since_stays(image_registry, name, context, told):
    hook = made(image_registry, name)
    first = hook.apply(context)
    second, _ = told.other(context, "2")
    moved = hook.apply(second).detail["digest"]
    hook.undo(context, {**told.memory, **first.detail})
    assert image_registry.names(name) == {"v2": moved}


def test_a_push_that_was_cut_off_is_looked_up(image_registry, name, context, told, monkeypatch):
    """What was noted before the push tells, though nothing was noted after it."""
    hook, seen = made(image_registry, name), []

    def stop(text):
        seen.append(text)

    hook.apply(replace(context, progress=stop))
    digest = image_registry.names(name)["v2"]
    told.memory.pop("digest", None)
    assert hook.observe(context) is Observed.IN_PLACE
    assert told.memory["digest"] == digest
    assert any("pushing it as" in each for each in seen)


def test_a_registry_that_keeps_what_was_pushed(own_image_registry, context, told):
    with own_image_registry(delete="false") as registry:
        hook = made(registry, "models/flights")
        applied = hook.apply(context)
        hook.undo(context, {**told.memory, **applied.detail})
        assert registry.names("models/flights") == {"v2": applied.detail["digest"]}
        assert any("stays: the registry does not delete it" in each for each in told.said)


def test_a_registry_with_accounts(own_image_registry, context, told, capfd):
    with own_image_registry(account=ACCOUNT) as registry:
        named = {"user": "REGISTRY_USER", "password": "REGISTRY_PASSWORD"}
        hook = made(registry, "models/flights", **named)
        secrets = {"REGISTRY_USER": USER, "REGISTRY_PASSWORD": PASSWORD}
        applied = hook.apply(replace(context, secrets=secrets))
        assert registry.names("models/flights", (USER, PASSWORD)) == {"v2": applied.detail["digest"]}
        with pytest.raises(DeployError, match="answered 401"):
            hook.apply(replace(context, key="2" * 64, secrets=secrets | {"REGISTRY_PASSWORD": "planted-wrong-4711"}))
        with pytest.raises(DeployError, match="answered 401"):
            made(registry, "models/flights").apply(context)
    assert PASSWORD not in str((told.memory, told.said, applied)) + "".join(capfd.readouterr())


def test_a_registry_that_is_not_there(context):
    hook = Image(ImageConfig.model_validate({"image": "127.0.0.1:9/x", "context": "serving", "insecure": True}))
    with pytest.raises(DeployError, match="no connection") as caught:
        hook.apply(context)
    assert not isinstance(caught.value, UnknownOutcomeError)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("FROM scratch\nCOPY nothing.txt /\n", "buildah build ended with status"),
        (None, "no .*Containerfile or .*Dockerfile"),
    ],
)
def test_what_cannot_be_built_is_not_pushed(image_registry, name, context, text, why):
    file = context.root / "serving" / "Containerfile"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(DeployError, match=why) as caught:
        made(image_registry, name).apply(context)
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert image_registry.names(name) == {}


def test_other_bytes_are_not_built(image_registry, name, context):
    with pytest.raises(DeployError, match="which was judged"):
        made(image_registry, name).apply(replace(context, digest=f"sha256:{'1' * 64}"))
    assert image_registry.names(name) == {}


def test_no_tool_is_there(image_registry, name, context, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeployError, match="buildah, podman, docker: not found"):
        made(image_registry, name, tool=None).apply(context)
    with pytest.raises(DeployError, match="docker: not found"):
        made(image_registry, name, tool="docker").plan(context)


def test_a_full_disk(image_registry, name, context, tmp_path):
    """No file of buildah may grow beyond 4 KiB, which the model's weights do."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(DeployError, match=r"cannot copy|build ended"):
            made(image_registry, name).apply(context)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert image_registry.names(name) == {}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"image": "registry.example/name:tag"}, "registry.example/name:tag"),
        ({"image": "name"}, "name"),
        ({"options": ["--volume=/:/host"]}, "none of those that this hook passes on"),
        ({"options": ["--target=a b"]}, "none of those"),
        ({"user": "REGISTRY_USER"}, "go together"),
        ({"tool": "make"}, "docker"),
    ],
)
def test_settings_that_make_no_sense(more, why):
    with pytest.raises(ValidationError, match=why):
        ImageConfig.model_validate({"image": "registry.example/name", **more})


def test_a_tag_that_is_none(image_registry, name, context):
    with pytest.raises(DeployError, match="is no tag"):
        made(image_registry, name, tag="{digest}").plan(context)


def entry(registry, name, **more):
    return {"use": "image", "with": settings(registry, name, **more)}


def test_a_whole_deploy_and_back(own_image_registry, project, given, found_nowhere):
    """A hook after it uses the digest; a failure afterwards takes the image away again."""
    write_context(project.root)
    given(REGISTRY_USER=USER, REGISTRY_PASSWORD=PASSWORD)
    with own_image_registry(account=ACCOUNT) as registry:
        account = {"user": "REGISTRY_USER", "password": "REGISTRY_PASSWORD"}
        use = entry(registry, "flights", **account) | {"secrets": list(account.values())}
        configure(project, use)
        status, plan = project.run(project.command("2", "--dry-run"))
        assert status == 0, plan
        assert f"build serving with buildah and push it as {registry.host}/flights:v2" in plan
        status, output = project.run(project.command("2"))
        assert (status, project.alias) == (0, "2"), output
        digest = registry.names("flights", (USER, PASSWORD))["v2"]
        assert f"{registry.host}/flights@{digest}" in output
        found_nowhere(PASSWORD, output, plan)
        status, output = project.run(project.command("2", "--undo"))
        assert (status, project.alias, registry.names("flights", (USER, PASSWORD))) == (0, "1", {}), output
        project.set_alias("1")
        configure(project, use, {"use": "command", "name": "boom", "with": {"argv": ["false"]}})
        status, output = project.run(project.command("3"))
        assert (status, project.alias, registry.names("flights", (USER, PASSWORD))) == (22, "1", {}), output


def test_a_registry_that_goes_down_in_the_middle(own_image_registry, project, monkeypatch):
    """Between the push and the look at what was pushed; with the registry back the release is resumed."""
    write_context(project.root)
    with own_image_registry() as registry:
        configure(project, entry(registry, "flights"))
        find, calls = Repository.find, []

        def down(self, reference):
            calls.append(reference)
            if len(calls) == 2:
                os.killpg(registry.process.pid, signal.SIGKILL)
                registry.process.wait()
            return find(self, reference)

        monkeypatch.setattr(Repository, "find", down)
        done = project.deploy()
        assert (done.status, project.alias) == (23, "1"), done
        assert "was pushed, and then no connection" in done.message
        monkeypatch.setattr(Repository, "find", find)
    with own_image_registry(port=registry.port):
        done = project.deploy(action=Action.RESUME)
        assert (done.status, project.alias) == (0, "2"), done
        assert list(registry.names("flights")) == ["v2"]


def test_killed_anywhere_the_tag_names_one_of_two_images(image_registry, context, told, record_property):
    name = "models/killed"
    before = made(image_registry, name, tag="v2").apply(told.other(context, "0")[0]).detail["digest"]
    patient = replace(context, stopping=lambda: False)
    repository = Repository(patient, f"{image_registry.host}/{name}", insecure=True)
    first = repository.find(before)

    def reset():
        for digest in {*image_registry.names(name).values()} - {before}:
            repository.delete(digest)
        repository.put("v2", first)

    kit = HookTestKit(
        "image",
        context.root,
        lambda: image_registry.names(name),
        reset,
        settings(image_registry, name),
        digest=context.digest,
        loads=("mlflow.tracking",),
        second="none",
    )
    killed = kit.check()
    record_property("kill_points", {"image": killed})
    assert killed >= 20


class Tokens(BaseHTTPRequestHandler):
    """A registry that answers as Docker Hub does: 401 with a place to get a token from."""

    def do_GET(self):
        self.server.got.append((self.path, self.headers.get("Authorization", "")))
        if self.path.startswith("/token"):
            return self.say(*self.server.token)
        if self.headers.get("Authorization") == "Bearer planted-token":
            return self.say(*self.server.manifest)
        realm = f"http://127.0.0.1:{self.server.server_port}/token"
        return self.say(401, b"", ("WWW-Authenticate", f'Bearer realm="{realm}",service="s",scope="repository:x:pull"'))

    def say(self, status, body, *headers):
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep still."""


@pytest.fixture
def tokens():
    with ThreadingHTTPServer(("127.0.0.1", 0), Tokens) as server:
        server.got, server.token = [], (200, b'{"token": "planted-token"}')
        server.manifest = (200, b'{"mediaType": "m", "config": {"digest": "sha256:c"}}')
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def test_a_token_is_fetched_where_the_registry_says(context, tokens):
    where = f"127.0.0.1:{tokens.server_port}/x"
    found = Repository(context, where, insecure=True, account=(USER, PASSWORD)).find("v2")
    assert (found.image, found.kind) == ("sha256:c", "m")
    assert [path.partition("?")[0] for path, _ in tokens.got] == ["/v2/x/manifests/v2", "/token", "/v2/x/manifests/v2"]
    assert "scope=repository%3Ax%3Apull" in tokens.got[1][0]
    assert [said.partition(" ")[0] for _, said in tokens.got] == ["Basic", "Basic", "Bearer"]
    with pytest.raises(DeployError, match="no https place"):
        Repository(context, where, insecure=True)._token('Bearer realm="ftp://elsewhere"')
    with pytest.raises(DeployError, match="no https place"):  # a password is not sent in the clear
        Repository(context, where)._token(f'Bearer realm="http://{where}"')


@pytest.mark.parametrize(
    ("token", "manifest", "why"),
    [
        ((500, b"oh"), None, "answered 500"),
        ((200, b"[]"), None, "gave no token"),
        ((200, b'{"token": 1}'), None, "gave no token"),
        (None, (500, b"oh"), "answered 500"),
        (None, (200, b"[]"), "no manifest"),
        (None, (200, b"<html>"), "no JSON"),
    ],
)
def test_a_registry_that_does_not_say(context, tokens, token, manifest, why):
    tokens.token, tokens.manifest = token or tokens.token, manifest or tokens.manifest
    with pytest.raises(DeployError, match=why) as caught:
        Repository(context, f"127.0.0.1:{tokens.server_port}/x", insecure=True).find("v2")
    assert not isinstance(caught.value, UnknownOutcomeError)
