"""Real servers, each in a process group of its own, ended by that group.

A server that is not installed skips its tests with the reason; under LEANML_REQUIRE_SERVICES=1 it fails them.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 180
STOP_SECONDS = 20


def missing(what: str) -> None:
    """Skip, or fail where the services are required."""
    if os.environ.get("LEANML_REQUIRE_SERVICES") == "1":
        pytest.fail(f"LEANML_REQUIRE_SERVICES=1, and {what}")
    pytest.skip(what)


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
