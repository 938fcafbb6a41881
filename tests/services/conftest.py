"""Real servers, each in a process group of its own, ended by that group.

A server that is not installed skips its tests with the reason; under LEANML_REQUIRE_SERVICES=1 it fails them.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "leanml_tests_kubernetes", Path(__file__).with_name("servers") / "kubernetes.py"
)
control_plane = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = control_plane  # dataclasses look their module up
_SPEC.loader.exec_module(control_plane)

START_SECONDS = 180
STOP_SECONDS = 20


def missing(what: str) -> None:
    """Skip, or fail where the services are required."""
    if os.environ.get("LEANML_REQUIRE_SERVICES") == "1":
        pytest.fail(f"LEANML_REQUIRE_SERVICES=1, and {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def missing_service():
    """The function that skips, or fails where the services are required."""
    return missing


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _end(process: subprocess.Popen, first: signal.Signals) -> None:
    """End a whole process group, politely first."""
    for number in (first, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait(STOP_SECONDS)


@contextmanager
def running(command: list[str], log: Path, *, stop: signal.Signals = signal.SIGTERM, **options):
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, start_new_session=True, **options)
    try:
        yield process
    finally:
        _end(process, stop)


def wait_until(ready, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            missing(f"{process.args[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server with the role ``leanml``, who may do anything."""

    port: int
    tools: Path

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://leanml@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        command = [self.tools / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "leanml", database]
        subprocess.run(command, check=True, capture_output=True)
        return self.url(database)


def _tools() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name))
    beside = shutil.which("initdb")
    if not found and not beside:
        missing("PostgreSQL is not installed (apt-get install postgresql)")
    return found[-1] if found else Path(beside).parent


@contextmanager
def _data_folder():
    """A folder that PostgreSQL may own: it refuses root, and ``tmp_path`` lies below a folder that only root enters."""
    folder = Path(tempfile.mkdtemp(prefix="leanml-postgres-"))
    options = {"cwd": folder}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        yield folder, options
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    if importlib.util.find_spec("psycopg") is None:
        missing("psycopg is not installed (pip install 'pytest-leanml[postgres]')")
    tools, port, log = _tools(), free_port(), tmp_path_factory.mktemp("postgres") / "log"
    with _data_folder() as (folder, options):
        data = folder / "data"
        initdb = [
            tools / "initdb",
            "-D",
            data,
            "-U",
            "leanml",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]
        subprocess.run(initdb, check=True, capture_output=True, **options)
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
        command = [str(tools / "postgres"), "-D", str(data), "-p", str(port)]
        command += [part for each in settings for part in ("-c", each)]
        # SIGINT is PostgreSQL's "fast" shutdown: it does not wait for clients.
        with running(command, log, stop=signal.SIGINT, **options) as process:
            ask = [tools / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-U", "leanml", "-d", "postgres"]
            wait_until(lambda: subprocess.run(ask, capture_output=True, check=False).returncode == 0, process, log)
            yield Postgres(port, tools)


@dataclass(frozen=True)
class MlflowServer:
    """A tracking server that keeps its data in PostgreSQL and serves its own artifacts."""

    url: str
    database: str
    process: subprocess.Popen

    @property
    def client(self):
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.url, registry_uri=self.url)


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def mlflow_server(postgres, tmp_path_factory):
    """Jobs are off (they outlive the server) and there is one worker (more are restarted on a busy machine)."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    url, database = f"http://127.0.0.1:{port}", postgres.create("mlflow")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "COVERAGE_", "COV_"))
    }
    with running(command, folder / "log", env=environment | settings, cwd=folder) as process:
        wait_until(lambda: _healthy(url), process, folder / "log")
        yield MlflowServer(url, database, process)


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A session on this machine alone, in a time zone that is found out where a time is read in it."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        missing("pyspark or a Java runtime is not installed")
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "Asia/Kathmandu",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = builder.getOrCreate()
        yield session
        session.stop()


@dataclass
class Version:
    """What one version of a service does: requests a second, the share that fails, seconds of one, and a drift."""

    rate: float = 200.0
    errors: float = 0.0
    latency: float = 0.05
    drift: float = 0.02
    good: float = 0.0
    bad: float = 0.0

    def lines(self, name, seconds):
        """Pass the time and tell of it as Prometheus reads it; latencies scatter by a tenth."""
        asked = self.rate * seconds
        self.good, self.bad = self.good + asked * (1 - self.errors), self.bad + asked * self.errors
        own = f'version="{name}"'
        yield f'served_total{{{own},code="200"}} {self.good}'
        yield f'served_total{{{own},code="500"}} {self.bad}'
        yield f"served_latency{{{own}}} {self.latency * random.uniform(0.9, 1.1)}"
        yield f"served_drift{{{own}}} {self.drift}"


@dataclass
class Served:
    """A small service that Prometheus scrapes; a test sets what its versions do."""

    port: int = 0
    versions: dict = field(default_factory=dict)
    up: bool = True
    asked: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, **versions):
        with self.lock:
            self.up, self.versions = True, {name.lstrip("v"): Version(**each) for name, each in versions.items()}

    def text(self):
        with self.lock:
            now = time.monotonic()
            seconds, self.asked = now - self.asked, now
            return "".join(f"{line}\n" for name, each in self.versions.items() for line in each.lines(name, seconds))


def _handler(served):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if served.up else 500)
            self.end_headers()
            self.wfile.write(served.text().encode())

        def log_message(self, *_):
            """Keep still."""

    return Handler


@pytest.fixture(scope="session")
def served():
    """A service of two versions, 1 and 2, both well; see Served."""
    found = Served()
    found.set(v1={}, v2={})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join(STOP_SECONDS)


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that scrapes ``served`` five times a second."""

    url: str
    process: subprocess.Popen

    def value(self, query):
        """Return the value of a query's only series; None where there is none."""
        asked = urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?{asked}", timeout=5) as answer:
                found = json.load(answer)["data"]["result"]
        except (urllib.error.URLError, OSError):
            return None
        return float(found[0]["value"][1]) if found else None

    def wait(self, query, holds):
        """Wait until the value of a query is as wanted."""
        deadline = time.monotonic() + START_SECONDS
        while (found := self.value(query)) is None or not holds(found):
            assert time.monotonic() < deadline, f"{query} is {found}"
            time.sleep(0.1)


@contextmanager
def prometheus_of(folder, target):
    """A Prometheus of its own that scrapes a port of this machine; its first scrape comes after five seconds."""
    if shutil.which("prometheus") is None:
        missing("Prometheus is not installed (apt-get install prometheus)")
    port = free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: served, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n"
    )
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with running(command, folder / "log", cwd=folder) as process:
        found = Prometheus(f"http://127.0.0.1:{port}", process)
        wait_until(lambda: found.value("up") == 1, process, folder / "log")
        yield found


@pytest.fixture(scope="session")
def prometheus(served, tmp_path_factory):
    with prometheus_of(tmp_path_factory.mktemp("prometheus"), served.port) as found:
        yield found


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory):
    """A control plane of its own for each worker: 5 s and 1 GB."""
    tools = control_plane.installed()
    if tools is None:
        missing("Kubernetes is not installed (tests/services/servers/install-kubernetes.sh)")
    folder = tmp_path_factory.mktemp("kubernetes")
    with ExitStack() as stack:

        def start(name, command, ready):
            log = folder / f"{name}.log"
            # Where this process is killed, its servers end with it.
            bound = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
            process = stack.enter_context(running([*bound, *map(str, command)], log, cwd=folder))
            if ready is not None:
                wait_until(ready, process, log)
            return process

        yield control_plane.up(tools, folder, start, free_port)


@pytest.fixture
def namespace(kubernetes):
    with kubernetes.namespace() as name:
        yield name


def loaded(name: str):
    """A file of tests/deploy: its fixtures and helpers are wanted here too."""
    path = Path(__file__).parents[1] / "deploy" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"leanml_services_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


deploying = loaded("conftest")
judged, project = deploying.judged, deploying.project
registered_versions = deploying.registered_versions
hooks = loaded("test_hooks")


@pytest.fixture
def given(monkeypatch):
    """Give variables to the deployers that a project starts, which get few otherwise, and to this process."""
    before = deploying.environment

    def give(**variables):
        monkeypatch.setattr(deploying, "environment", lambda: before() | variables)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


@pytest.fixture
def found_nowhere(project):
    """Demand that no file of the project, journal and audit log included, and no output holds a secret."""

    def demand(secret, *outputs):
        for path in project.root.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path
        assert not any(secret in str(each) for each in outputs)

    return demand


@dataclass(frozen=True)
class Registered:
    """A registry with versions 1 and 2 of ``model``, which hold one folder."""

    root: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def folder(self) -> Path:
        return self.root / "made"

    @property
    def digest(self) -> str:
        from pytest_leanml.digest import digest_artifact

        return digest_artifact(self.folder)


@pytest.fixture(scope="session")
def registered(tmp_path_factory):
    from mlflow.tracking import MlflowClient

    from pytest_leanml.registry.quiet import quietly

    found = Registered(tmp_path_factory.mktemp("registered"))
    (found.folder / "data").mkdir(parents=True)
    (found.folder / "MLmodel").write_text("flavors: {}\n")
    (found.folder / "data" / "weights \u00fc.bin").write_bytes(b"weights" * 1000)
    with quietly():
        client = MlflowClient(tracking_uri=found.uri, registry_uri=found.uri)
        client.create_registered_model("model")
        for _ in range(2):
            client.create_model_version("model", str(found.folder))
    return found


@pytest.fixture
def told(registered, hook_context):
    """Make a context of one release; ``told.said`` is what the hook said, ``told.memory`` what it remembered."""

    class Told:
        def __init__(self):
            self.memory, self.said, self.stop = {}, [], False

        def __call__(self, **more):
            late = time.monotonic() + 120
            known = {
                "model": "model",
                "digest": registered.digest,
                "registry_uri": registered.uri,
                "root": registered.root,
                "decision": {"run_id": "01RUN", "verdict": "ALLOW", "evidence": {"digest": "sha256:ee"}},
                "stopping": lambda: self.stop or time.monotonic() > late,
                "progress": self.said.append,
                "remember": self.memory.update,
                "remembered": self.memory,
                "step": "hook",
            }
            return hook_context(120, **{**known, **more})

        def other(self, context, key, **more):
            """The same for another release, with a memory of its own, which is returned too."""
            memory = {}
            return replace(context, key=key * 64, remember=memory.update, remembered=memory, **more), memory

    return Told()


def cached(name: str) -> Path:
    """Where an installer of ``servers/`` puts what it has built."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leanml" / name


def _listening(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(1)
        return asked.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class S3Server:
    """A versitygw whose buckets keep versions where they are told to."""

    port: int
    folder: Path
    process: subprocess.Popen
    key: str = "AKIAPLANTEDPLANTED00"
    secret: str = "planted-secret-of-the-bucket"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self):
        import boto3
        from botocore.config import Config

        options = Config(signature_version="s3v4", s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=20)
        session = boto3.session.Session(self.key, self.secret, region_name="us-east-1")
        return session.client("s3", endpoint_url=self.url, config=options)


@contextmanager
def s3_running(folder: Path, port: int | None = None):
    binary = cached("versitygw-1.8.0") / "versitygw"
    if not binary.exists() or importlib.util.find_spec("boto3") is None:
        missing("versitygw or boto3 is not installed (tests/services/servers/install-versitygw.sh, the group services)")
    for name in ("root", "versions"):  # one may not lie in the other
        (folder / name).mkdir(exist_ok=True)
    port, log = port or free_port(), folder / "log"
    command = [str(binary), "--quiet", "--port", f"127.0.0.1:{port}", "posix"]
    command += ["--versioning-dir", str(folder / "versions"), str(folder / "root")]
    account = {"ROOT_ACCESS_KEY": S3Server.key, "ROOT_SECRET_KEY": S3Server.secret}
    with running(command, log, env=os.environ | account, cwd=folder) as process:
        wait_until(lambda: _listening(port), process, log)
        yield S3Server(port, folder, process)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    with s3_running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def own_s3_server(tmp_path):
    """Start one that may be killed, and start it again on its port with what it holds."""
    folder = tmp_path / "s3"
    folder.mkdir()
    return lambda port=None: s3_running(folder, port)


@dataclass(frozen=True)
class ImageRegistry:
    """A registry of images on this machine."""

    port: int
    process: subprocess.Popen

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(self, path, method="GET", account=None):
        """Return status, body and headers."""
        accept = "application/vnd.oci.image.manifest.v1+json"
        request = urllib.request.Request(f"http://{self.host}/v2/{path}", method=method, headers={"Accept": accept})
        if account:
            request.add_header("Authorization", f"Basic {base64.b64encode(':'.join(account).encode()).decode()}")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def names(self, repository, account=None):
        """What each tag names."""
        status, body, _ = self.ask(f"{repository}/tags/list", account=account)
        tags = (json.loads(body).get("tags") if status == 200 else None) or []
        found = {tag: self.ask(f"{repository}/manifests/{tag}", account=account) for tag in tags}
        return {tag: answer[2]["Docker-Content-Digest"] for tag, answer in found.items() if answer[0] == 200}


REGISTRY = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: "{folder}/data"}}
  delete: {{enabled: {delete}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextmanager
def registry_running(folder, *, delete="true", account=None, port=None):
    """``account`` is a line of an htpasswd file."""
    if shutil.which("docker-registry") is None:
        missing("no registry is installed (apt-get install docker-registry buildah podman)")
    folder.mkdir(exist_ok=True)
    port, log = port or free_port(), folder / "log"
    text = REGISTRY.format(folder=folder, port=port, delete=delete)
    if account is not None:
        (folder / "users").write_text(account)
        text += f'auth: {{htpasswd: {{realm: tests, path: "{folder}/users"}}}}\n'
    (folder / "config.yml").write_text(text)
    with running(["docker-registry", "serve", str(folder / "config.yml")], log, cwd=folder) as process:
        wait_until(lambda: _listening(port), process, log)
        yield ImageRegistry(port, process)


@pytest.fixture(scope="session")
def image_registry(tmp_path_factory):
    with registry_running(tmp_path_factory.mktemp("images") / "registry") as registry:
        yield registry


@pytest.fixture(scope="session")
def image_storage(tmp_path_factory):
    """Where buildah and podman keep images, beside those of the machine; the variables that say so."""
    for tool in ("buildah", "podman", "skopeo"):
        if shutil.which(tool) is None:
            missing(f"{tool} is not installed (apt-get install buildah podman skopeo)")
    folder = tmp_path_factory.mktemp("storage")
    text = f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n'
    (folder / "storage.conf").write_text(text)
    return {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "BUILDAH_ISOLATION": "chroot"}


@pytest.fixture
def own_image_registry(tmp_path):
    """Start one of its own, and start it again on its port with what it holds."""
    return lambda **settings: registry_running(tmp_path / "registry", **settings)


@pytest.fixture
def flag_client():
    """OpenFeature's client that asks an endpoint, by its class."""
    try:
        from openfeature.contrib.provider.ofrep import OFREPProvider
    except ModuleNotFoundError as error:
        missing(f"{error.name} is not installed (the group services)")
    return OFREPProvider
