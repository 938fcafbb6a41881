"""Start a cluster and a Prometheus for this example on this machine, run a command beside them, and stop them.

    python local.py FOLDER COMMAND...

The cluster is a real Kubernetes API server with Istio's resources, and no proxies: service.py plays them. It is installed by
tests/services/servers/install-kubernetes.sh of this repository, Prometheus by `apt-get install prometheus`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
SERVERS = HERE.parents[1] / "tests" / "services" / "servers"
PROMETHEUS = 9090
PATIENCE, STOP = 120, 20


def free(port: int = 0) -> int:
    """Return this port where it is free, and another one where it is not."""
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            return free()
        return int(taken.getsockname()[1])


@contextmanager
def running(command: list[Any], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a process group of its own, and end the group."""
    with log.open("wb") as sink:
        process = subprocess.Popen([str(part) for part in command], stdout=sink, stderr=sink, start_new_session=True)  # noqa: S603 - ours
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                try:
                    process.wait(STOP)
                except subprocess.TimeoutExpired:
                    continue


def wait(what: str, ready: Callable[[], object], log: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until something is there."""
    late = time.monotonic() + PATIENCE
    while not ready():
        if process.poll() is not None or time.monotonic() > late:
            sys.exit(f"{what} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Tell whether a URL answers something that is not empty."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http on this machine
            return b'"result":[]' not in answer.read()
    except OSError:
        return False


def cluster(folder: Path, stack: ExitStack) -> Any:
    """Start the control plane, and put on it what is there before a release."""
    spec = importlib.util.spec_from_file_location("local_kubernetes", SERVERS / "kubernetes.py")
    if spec is None or spec.loader is None or not SERVERS.is_dir():
        sys.exit(f"{SERVERS} is not there: run this from the repository, or use a cluster of your own")
    plane = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = plane  # dataclasses look their module up
    spec.loader.exec_module(plane)
    tools = plane.installed()
    if tools is None:
        sys.exit(f"there is no Kubernetes here; next: bash {SERVERS / 'install-kubernetes.sh'}")

    def start(name: str, command: list[Any], ready: Callable[[], object] | None) -> Any:
        log = folder / f"{name}.log"
        process = stack.enter_context(running(command, log))
        if ready is not None:
            wait(name, ready, log, process)
        return process

    found = plane.up(tools, folder, start, free)
    found.install("istio")
    found("create", "namespace", "digits")
    found("apply", "--namespace=digits", "-f", HERE / "cluster.yaml")
    return found


def prometheus(folder: Path, target: int, stack: ExitStack) -> str:
    """Start Prometheus, and wait for its first look at the service, which comes after five seconds."""
    program = shutil.which("prometheus") or sys.exit("there is no Prometheus here; next: apt-get install prometheus")
    port, config, log = free(PROMETHEUS), folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
        f"scrape_configs: [{{job_name: digits, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n"
    )
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}"]
    process = stack.enter_context(running([*command, f"--web.listen-address=127.0.0.1:{port}"], log))
    url = f"http://127.0.0.1:{port}"
    wait("Prometheus", lambda: answers(f"{url}/api/v1/query?query=up%3D%3D1"), log, process)
    return url


def main(project: Path, command: list[str]) -> int:
    """Start everything, run the command in the project, and return its status."""
    folder = project / "cluster"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    with ExitStack() as stack:
        print("starting a cluster, a service and a Prometheus ...", flush=True)
        found, port = cluster(folder, stack), free()
        log = folder / "service.log"
        service = stack.enter_context(running([sys.executable, HERE / "service.py", project, port, found.kubectl], log))
        wait("the service", lambda: answers(f"http://127.0.0.1:{port}/metrics"), log, service)
        url, settings = prometheus(folder, port, stack), project / "leanml.yaml"
        text = settings.read_text().splitlines(keepends=True)
        lines = [f"        prometheus: {url}\n" if line.strip().startswith("prometheus:") else line for line in text]
        settings.write_text("".join(lines))
        path = f"{found.kubectl.parent}{os.pathsep}{os.environ['PATH']}"
        print(f"$ {' '.join(command)}", flush=True)
        ended = subprocess.run(command, cwd=project, env={**os.environ, "PATH": path}, check=False)  # noqa: S603 - the user's own
        return ended.returncode


if __name__ == "__main__":
    if len(sys.argv) < 3:  # noqa: PLR2004 - the script, a folder and a command
        sys.exit("usage: python local.py FOLDER COMMAND...")
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
