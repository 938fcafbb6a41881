"""kubectl's failures told apart, by a program that says what kubectl says; tests/services asks the real one."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time

import pytest
from pydantic import ValidationError

from pytest_leanml.deploy.hooks import kubectl as kubectl_module
from pytest_leanml.deploy.hooks.kubectl import Kubectl, KubectlConfig, KubectlError, Reason, pointer
from pytest_leanml.deploy.hooks.program import Ended, Program, run
from pytest_leanml.deploy.secret import Redactor
from pytest_leanml.errors import DeployError, UnknownOutcomeError

FORBIDDEN = (
    'Error from server (Forbidden): deployments.apps "web" is forbidden: User "ci" cannot get resource "deployments" '
    'in API group "apps" in the namespace "shop"'
)
REFUSED_PATCH = "The request is invalid: the server rejected our request due to an error in our request"
INVALID = 'The Deployment "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
DIAL = "The connection to the server was refused\ndial tcp 127.0.0.1:1: connect: connection refused"


@pytest.mark.parametrize("before", range(400 - 20, 401))
def test_a_secret_that_the_end_of_a_message_cuts_in_two_shows_no_half(told, before):
    said = f"{'x' * before} {'S3CR3T-' * 3}".encode()
    ended = Ended(1, b"", said, Redactor(["S3CR3T-" * 3]))
    assert "S3" not in kubectl_module._failure(["patch"], ended, told()).given


@pytest.fixture
def kubectl(tmp_path, told):
    """A kubectl that ends as it is told, and a context whose folder is the test's."""

    def make(said="", status=1, out="", sleep=0.0, seconds=20.0, **settings):
        program = tmp_path / "kubectl"
        text = f"import sys, time\nprint({out!r}, flush=True)\nprint({said!r}, file=sys.stderr)\ntime.sleep({sleep})\nsys.exit({status})"
        program.write_text(f"#!{sys.executable}\n{text}\n")
        program.chmod(0o755)
        context = dataclasses.replace(told(seconds=seconds), root=tmp_path)
        return Kubectl(KubectlConfig.model_validate({"kubectl": "./kubectl", **settings}), context)

    return make


def test_what_does_not_exist_is_none_only_where_the_server_says_so_of_this_object(kubectl):
    missing = 'Error from server (NotFound): deployments.apps "web" not found'
    assert kubectl(missing).get("deployments.apps", "web") is None
    with pytest.raises(KubectlError, match=r"web does not exist \(namespace shop, context here\)") as caught:
        kubectl(missing, namespace="shop", context="here").demand("deployments.apps", "web")
    assert caught.value.reason is Reason.NOT_FOUND
    for other in ('Error from server (NotFound): namespaces "shop" not found', 'deployments.apps "web" not found'):
        with pytest.raises(KubectlError):
            kubectl(other).get("deployments.apps", "web")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (FORBIDDEN, Reason.FORBIDDEN),
        ("error: You must be logged in to the server (Unauthorized)", Reason.FORBIDDEN),
        ("Error from server (Conflict): the object has been modified", Reason.CONFLICT),
        (REFUSED_PATCH, Reason.CONFLICT),
        ('error: Apply failed with 1 conflict: conflict with "kubectl-edit": .data.a', Reason.CONFLICT),
        (INVALID, Reason.INVALID),
        ('error: the server doesn\'t have a resource type "virtualservices"', Reason.NO_SUCH_KIND),
        (DIAL, Reason.UNREACHABLE),
    ],
)
def test_what_was_refused_or_never_sent_is_known_for_certain(kubectl, said, reason):
    with pytest.raises(KubectlError) as caught:
        kubectl(said).patch("deployments.apps", "web", [])
    assert (caught.value.reason, caught.value.status) == (reason, 22)


@pytest.mark.parametrize(
    "said",
    [
        "Unable to connect to the server: EOF",
        "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
        "Error from server (Timeout): Timeout: request did not complete within requested timeout",
        "Error from server (InternalError): an error on the server",
        "Error from server: etcdserver: request timed out",
        "nobody has ever read this (NotFound)",
        "",
    ],
)
def test_a_change_whose_answer_is_lost_may_have_happened(kubectl, said):
    for change in (
        lambda each: each.patch("deployments.apps", "web", []),
        lambda each: each.apply({"kind": "Deployment"}),
        lambda each: each.replace({"kind": "Deployment"}),
        lambda each: each.create({"kind": "Deployment"}),
        lambda each: each.delete("deployments.apps", "web"),
    ):
        with pytest.raises(UnknownOutcomeError):
            change(kubectl(said))
    with pytest.raises(KubectlError) as caught:  # a dry run and a look change nothing
        kubectl(said).patch("deployments.apps", "web", [], dry_run=True)
    assert caught.value.reason is Reason.OTHER


def test_a_change_without_a_readable_answer_may_have_happened(kubectl):
    with pytest.raises(UnknownOutcomeError, match="ended with 0, and its answer of 5 bytes"):
        kubectl(status=0, out="done").create({})
    with pytest.raises(KubectlError, match="no JSON object"):
        kubectl(status=0, out="[]").get("deployments.apps", "web")
    for items in ('{"items": [1]}', "{}"):
        with pytest.raises(KubectlError, match="gives no list"):
            kubectl(status=0, out=items).every("deployments.apps", "app=web")


def test_objects_that_are_read_in_one_call_are_those_that_were_asked_for(kubectl):
    one = '{"items": [{"metadata": {"name": "one"}}]}'
    assert kubectl(status=0, out=one).several(("services", "one")) == [{"metadata": {"name": "one"}}]
    for out in (one, "{}"):
        with pytest.raises(KubectlError, match="other objects than it was asked for"):
            kubectl(status=0, out=out).several(("services", "one"), ("services", "two"))


def test_an_object_is_watched_until_it_is_enough(kubectl):
    seen = []

    def enough(each):
        seen.append(each["n"])
        return each["n"] == 2

    kubectl(status=0, out='{"n": 1}\n{"n": 2}\n{"n"', sleep=30).watch("services", "one", enough, 20)
    assert seen == [2]
    with pytest.raises(KubectlError) as caught:
        kubectl(FORBIDDEN).watch("services", "one", enough, 20)
    assert caught.value.reason is Reason.FORBIDDEN
    with pytest.raises(ZeroDivisionError):
        kubectl(status=0, out='{"n": 1}', sleep=30).watch("services", "one", lambda _: 1 / 0, 20)


def test_who_may_not_do_what_is_said(kubectl):
    with pytest.raises(KubectlError, match=r"forbidden: ci may not get deployments\.apps; RBAC must allow it"):
        kubectl(FORBIDDEN).get("deployments.apps", "web")


def test_it_is_ended_when_it_is_late_or_a_person_asks(kubectl, told, monkeypatch):
    monkeypatch.setattr("pytest_leanml.deploy.hooks.kubectl._MORE", 0.1)
    started = time.monotonic()
    with pytest.raises(KubectlError, match="did not end in time") as caught:
        kubectl(sleep=30, request_timeout="200ms").get("deployments.apps", "web")
    assert caught.value.reason is Reason.LATE
    with pytest.raises(UnknownOutcomeError, match="did not end in time"):
        kubectl(sleep=30, request_timeout="200ms").create({})
    with pytest.raises(UnknownOutcomeError, match="was stopped"):
        kubectl(sleep=30, seconds=0.3).create({})
    assert time.monotonic() - started < 10


def test_a_missing_kubectl_is_told_before_anything(told, tmp_path):
    context = dataclasses.replace(told(), root=tmp_path)
    for named in ("no-such-kubectl", "./kubectl"):
        with pytest.raises(DeployError, match=f"there is no program {named}: install kubectl"):
            Kubectl(KubectlConfig(kubectl=named), context)


@pytest.mark.parametrize(
    ("key", "value"),
    [("context", "--token=x"), ("kubectl", "-v"), ("namespace", "a/b"), ("kubeconfig", ""), ("nonsense", 1)],
)
def test_settings_cannot_be_options(key, value):
    with pytest.raises(ValidationError):
        KubectlConfig.model_validate({key: value})


def test_settings_become_options_and_only_named_variables_arrive(kubectl, tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTED", "no")
    monkeypatch.setenv("WANTED", "yes")
    client = kubectl(kubeconfig="kube.yaml", context="here", namespace="shop", request_timeout="3s", env=["WANTED"])
    show = "import json, os, sys\nprint(json.dumps({'argv': sys.argv[1:], 'env': dict(os.environ), 'in': sys.stdin.read()}))"
    (tmp_path / "kubectl").write_text(f"#!{sys.executable}\n{show}\n")
    got = client.patch("deployments.apps", "web", [{"op": "test"}], dry_run=True)
    assert got["argv"] == [
        f"--kubeconfig={tmp_path / 'kube.yaml'}",
        "--context=here",
        "--namespace=shop",
        "--request-timeout=3s",
        "patch",
        "deployments.apps",
        "web",
        "--type=json",
        "--patch-file=/dev/stdin",
        "--output=json",
        "--dry-run=server",
    ]
    assert got["in"] == '[{"op": "test"}]'
    assert got["env"]["WANTED"] == "yes"
    assert got["env"]["LC_ALL"] == "C"
    assert "PLANTED" not in got["env"]


def test_a_pointer_escapes_what_stands_in_a_name():
    assert pointer("metadata", "annotations", "a.b/c~d", 0) == "/metadata/annotations/a.b~1c~0d/0"


def test_a_program_that_a_killed_deployer_left_behind_is_waited_for(told, tmp_path):
    """The one killed is a real process; the one that it started goes on, holding the lock."""
    late = tmp_path / "late"
    text = f"import pathlib, time; pathlib.Path({str(tmp_path / 'begun')!r}).touch(); time.sleep(1); pathlib.Path({str(late)!r}).touch()"
    deployer = (
        "import os, pathlib, sys, types; from pytest_leanml.deploy.hooks.program import Program, run\n"
        f"root = pathlib.Path({str(tmp_path)!r})\n"
        "context = types.SimpleNamespace(root=root, stopping=lambda: (root / 'begun').exists() and os.kill(os.getpid(), 9))\n"
        f"run(Program([sys.executable, '-c', {text!r}], root, dict(os.environ), alone=True, changes=True), context)"
    )
    killed = subprocess.run([sys.executable, "-c", deployer], check=False)
    assert killed.returncode == -9
    assert not late.exists()
    context = dataclasses.replace(told(seconds=0.1), root=tmp_path)
    program = Program(["true"], tmp_path, dict(os.environ), alone=True)
    with pytest.raises(DeployError, match="of an earlier deploy is still at work"):
        run(program, context)
    assert run(program, dataclasses.replace(told(), root=tmp_path)).status == 0
    assert late.exists()
