"""A real control plane on free ports of this machine, and kwok, which plays a node and its pods.

An image with ``bad`` behind a ``:`` or ``/`` (``registry.example/bad@sha256:...``, ``...@sha256:bad0...``) is never pulled.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import signal
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

VERSION = "1.37.2"
_CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "resourcequota-controller",
)
_NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "kwok-0"},
    "status": {name: {"cpu": "64", "memory": "256Gi", "pods": "500"} for name in ("allocatable", "capacity")},
}
_IS_BAD = """\
    - key: '[.spec.containers[].image | test("[:/]bad")] | any'
      operator: 'In'
      values: ['{}']
"""
_BAD = """\
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-image-bad}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: 'DoesNotExist'}
    - {key: '.status.phase', operator: 'In', values: ['Pending']}
    - {key: '.status.containerStatuses.[].state.waiting.reason', operator: 'DoesNotExist'}
BAD  next:
    statusTemplate: |
      phase: Pending
      conditions:
      - {type: Ready, status: "False", reason: ContainersNotReady, lastTransitionTime: {{ Now | Quote }}}
      containerStatuses:
      {{ range .spec.containers }}
      - {image: {{ .image | Quote }}, name: {{ .name | Quote }}, ready: false, restartCount: 0, state: {waiting: {reason: ImagePullBackOff}}}
      {{ end }}
"""
_STOCK = (
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
)


@dataclass(frozen=True)
class Kubernetes:
    """A cluster whose kubeconfig has two contexts: ``local`` may do anything, ``ci`` what roles allow the user ``ci``."""

    folder: Path
    kubectl: Path
    crds: Path
    port: int
    api: subprocess.Popen
    _numbers: itertools.count = field(default_factory=lambda: itertools.count(1))

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def __call__(self, *args, given=None, check=True) -> str:
        """Call kubectl as the administrator; ``given`` is written to its stdin, as JSON unless it is text."""
        text = given if isinstance(given, str) or given is None else json.dumps(given)
        command = [self.kubectl, f"--kubeconfig={self.kubeconfig}", *map(str, args)]
        ended = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == 0 or not check, f"{args}: {ended.stderr}"
        return ended.stdout

    def json(self, *args) -> dict:
        return json.loads(self(*args, "--output=json"))

    def apply(self, *manifests) -> None:
        self(
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            "-",
            given={"apiVersion": "v1", "kind": "List", "items": list(manifests)},
        )

    def settings(self, namespace: str) -> dict:
        """What a hook is told of this cluster."""
        return {"kubectl": str(self.kubectl), "kubeconfig": str(self.kubeconfig), "namespace": namespace}

    def deploy(self, namespace: str, *manifests) -> None:
        """Apply manifests and wait for the Deployments among them."""
        self.apply(*({**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in manifests))
        for each in manifests:
            if each["kind"] == "Deployment":
                self(
                    "rollout",
                    "status",
                    f"--namespace={namespace}",
                    f"deployment/{each['metadata']['name']}",
                    "--timeout=60s",
                )

    def install(self, name) -> None:
        """Install the CRDs of ``istio``, ``argo-rollouts`` or ``flagger``, once."""
        done = self.folder / f"{name}.installed"
        if not done.exists():
            self("apply", "--server-side", "-f", self.crds / f"{name}.yaml")
            self("wait", "--for=condition=Established", "--timeout=60s", "-f", self.crds / f"{name}.yaml")
            done.touch()

    @contextmanager
    def namespace(self):
        """A fresh namespace, left to the controllers to be taken away."""
        name = f"test-{next(self._numbers)}"
        self("create", "namespace", name)
        try:
            yield name
        finally:
            self("delete", "namespace", name, "--wait=false")

    @contextmanager
    def hanging(self):
        """The API server accepts connections and answers nothing."""
        os.kill(self.api.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.api.pid, signal.SIGCONT)


def installed() -> Path | None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = cache / "leanml" / f"kubernetes-{VERSION}"
    return found if found.is_dir() else None


def up(tools: Path, folder: Path, start, free_port) -> Kubernetes:
    """Start everything and wait for a ready node.

    ``start(name, command, ready)`` starts a program, and waits until it is ready where a function tells that.
    """
    ports = {name: free_port() for name in ("api", "etcd", "peer", "controllers", "scheduler", "kwok")}
    binaries = tools / "bin"
    _keys(folder)
    config = _kubeconfig(folder, ports["api"])
    start("etcd", _etcd(binaries, folder, ports), None)
    api = start("api", _api(binaries, folder, ports), lambda: _ready(ports["api"]))
    (folder / "stages.yaml").write_text(_stages(tools / "stage"))
    local = ["--bind-address=127.0.0.1", "--leader-elect=false", f"--kubeconfig={config}"]
    more = [f"--secure-port={ports['controllers']}", f"--cert-dir={folder / 'controllers-certs'}"]
    start(
        "controllers",
        [binaries / "kube-controller-manager", *local, *more, f"--controllers={','.join(_CONTROLLERS)}"],
        None,
    )
    more = [f"--secure-port={ports['scheduler']}", f"--cert-dir={folder / 'scheduler-certs'}"]
    start("scheduler", [binaries / "kube-scheduler", *local, *more], None)
    kwok = [binaries / "kwok", f"--kubeconfig={config}", "--manage-all-nodes=true", "--node-ip=127.0.0.1"]
    kwok += [
        "--cidr=10.244.0.0/16",
        f"--config={folder / 'stages.yaml'}",
        f"--server-address=127.0.0.1:{ports['kwok']}",
    ]
    start("kwok", kwok, None)
    cluster = Kubernetes(folder, binaries / "kubectl", tools / "crds", ports["api"], api)
    cluster.apply(_NODE)
    cluster("wait", "--for=condition=Ready", "node/kwok-0", "--timeout=60s")
    return cluster


def _keys(folder: Path) -> None:
    """The API server signs tokens of service accounts; nobody here asks for one."""
    subprocess.run(["openssl", "genrsa", "-out", folder / "sa.key", "2048"], check=True, capture_output=True)
    command = ["openssl", "rsa", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub"]
    subprocess.run(command, check=True, capture_output=True)


def _kubeconfig(folder: Path, port: int) -> Path:
    tokens = {name: secrets.token_hex(16) for name in ("admin", "ci")}
    (folder / "tokens.csv").write_text(f"{tokens['admin']},admin,admin,system:masters\n{tokens['ci']},ci,ci\n")
    server = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    facts = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "contexts": [
            {"name": name, "context": {"cluster": "local", "user": user}}
            for name, user in (("local", "admin"), ("ci", "ci"))
        ],
        "clusters": [{"name": "local", "cluster": server}],
        "users": [{"name": name, "user": {"token": token}} for name, token in tokens.items()],
    }
    (folder / "kubeconfig").write_text(json.dumps(facts))
    return folder / "kubeconfig"


def _etcd(binaries: Path, folder: Path, ports) -> list:
    client, peer = (f"http://127.0.0.1:{ports[name]}" for name in ("etcd", "peer"))
    return [
        binaries / "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def _api(binaries: Path, folder: Path, ports) -> list:
    # Without a controller that takes the taint away, TaintNodesByCondition would leave the node unready for ever; without
    # one that makes default accounts, ServiceAccount would refuse every pod.
    return [
        binaries / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{ports['etcd']}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports['api']}",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--cert-dir={folder / 'certs'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
    ]


def _ready(port: int) -> bool:
    import ssl

    unverified = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", timeout=5, context=unverified) as answer:
            return answer.read() == b"ok"
    except OSError:
        time.sleep(0.1)
        return False


def _stages(stock: Path) -> str:
    ready = (stock / "pod/fast/pod-ready.yaml").read_text()
    assert ready.count("  next:\n") == 1
    good = ready.replace("  next:\n", _IS_BAD.format("false") + "  next:\n")
    bad = _BAD.replace("BAD", _IS_BAD.format("true"), 1)
    return "---\n".join([good, bad, *((stock / each).read_text() for each in _STOCK)])


def digest(number: str) -> str:
    """A digest that begins with some hexadecimal digits; with ``bad`` its image is never pulled."""
    return f"sha256:{number:0<64}"


def image(number: str) -> str:
    return f"registry.example/flights@{digest(number)}"


LIMITS = {"limits": {"cpu": "100m", "memory": "64Mi"}}


def deployment(name: str, number: str, *, replicas: int = 2, resources=None, more=None, **labels: str) -> dict:
    """A Deployment with one container ``web``; what makes no progress for 2 s has failed."""
    labels = {"app": name, **labels}
    container = {"name": "web", "image": image(number), "resources": LIMITS if resources is None else resources}
    spec = {
        "replicas": replicas,
        "progressDeadlineSeconds": 2,
        "minReadySeconds": 0,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        },
        **(more or {}),
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
