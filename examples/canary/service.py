"""The service, its callers and its mesh in one small process: `python service.py FOLDER PORT KUBECTL`.

Two hundred scans a second arrive; one in ten has a dead pixel. Which version reads a scan is told by the weights of the
VirtualService on the cluster, which is what Istio's proxies would do. /metrics tells Prometheus what became of them.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd

A_SECOND, TICK, DEAD_PIXELS = 200, 0.1, 0.1
BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.3, 1.0)
LOOK_AGAIN = 0.3


@dataclass
class Version:
    """One version of the service, and what became of the scans that it got."""

    model: Any
    usual: Counter[int]
    codes: Counter[int] = field(default_factory=Counter)
    seconds: Counter[float] = field(default_factory=Counter)
    latest: deque[int] = field(default_factory=lambda: deque(maxlen=500))

    def read(self, scan: pd.DataFrame) -> None:
        """Read one scan, or fail."""
        began = time.perf_counter()
        try:
            self.latest.append(int(self.model.predict(scan)[0]))
            self.codes[200] += 1
        except ValueError:  # what a web framework would make a 500 of
            self.codes[500] += 1
        took = time.perf_counter() - began
        self.seconds.update(limit for limit in BUCKETS if took <= limit)

    @property
    def drift(self) -> float:
        """How far the digits that it reads are from those it was trained on: half the sum of differences of shares."""
        if not self.latest:
            return float("nan")
        now = Counter(self.latest)
        return sum(abs(now[d] / len(self.latest) - self.usual[d] / self.usual.total()) for d in range(10)) / 2

    def lines(self, name: str) -> list[str]:
        """Tell Prometheus."""
        own = f'version="{name}"'
        told = [f'digits_requests_total{{{own},code="{code}"}} {self.codes[code]}' for code in (200, 500)]
        told += [f'digits_seconds_bucket{{{own},le="{limit}"}} {self.seconds[limit]}' for limit in BUCKETS]
        told.append(f'digits_seconds_bucket{{{own},le="+Inf"}} {self.codes.total()}')
        told.append(f"digits_predictions{{{own}}} {len(self.latest)}")
        return [*told, f"digits_prediction_drift{{{own}}} {self.drift}"]


class Mesh:
    """The weights, read again and again."""

    def __init__(self, folder: Path, kubectl: str) -> None:
        self._command = [kubectl, f"--kubeconfig={folder / 'cluster' / 'kubeconfig'}", "--namespace=digits"]
        self._command += ["get", "virtualservices.networking.istio.io", "digits", "--output=json"]
        self.weights = {"1": 100}

    def watch(self) -> None:
        """Look every now and then; while the cluster does not answer all stays as it is."""
        while True:
            ended = subprocess.run(self._command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
            if ended.returncode == 0:
                routes = [each for each in json.loads(ended.stdout)["spec"]["http"] if each.get("name") == "predict"]
                shares = {each["destination"]["subset"][1:]: each.get("weight", 100) for each in routes[0]["route"]}
                self.weights = shares
            time.sleep(LOOK_AGAIN)


def load(folder: Path) -> dict[str, Version]:
    """Load every version of the registry."""
    from prepare import MODEL, TARGET, VERSIONS, of

    mlflow = of(folder)
    usual = Counter(pd.read_parquet(folder / "data" / "train.parquet")[TARGET].tolist())
    numbers = [str(number) for number, _ in enumerate(VERSIONS, 1)]
    return {each: Version(mlflow.sklearn.load_model(f"models:/{MODEL}/{each}"), usual) for each in numbers}


def serve(versions: dict[str, Version], port: int) -> None:
    """Tell Prometheus what became of the scans."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = "\n".join(line for name, each in versions.items() for line in each.lines(name))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"{text}\n".encode())

        def log_message(self, *_: object) -> None:
            """Keep still."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(folder: Path, port: int, kubectl: str) -> None:
    """Let scans come in for ever."""
    versions, mesh = load(folder), Mesh(folder, kubectl)
    scans = pd.read_parquet(folder / "data" / "test.parquet").drop(columns="digit")
    serve(versions, port)
    threading.Thread(target=mesh.watch, daemon=True).start()
    while True:
        began = time.monotonic()
        names, weights = list(mesh.weights), list(mesh.weights.values())
        for name in random.choices(names, weights, k=round(A_SECOND * TICK)):  # noqa: S311 - traffic, no secret
            scan = scans.sample(1)
            if random.random() < DEAD_PIXELS:  # noqa: S311
                scan.iloc[0, random.randrange(scan.shape[1])] = float("nan")  # noqa: S311
            versions[name].read(scan)
        time.sleep(max(0.0, began + TICK - time.monotonic()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
