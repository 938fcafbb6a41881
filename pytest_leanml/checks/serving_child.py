"""A fresh process that loads the model and answers once: how long that takes, and how much memory.

    python -I -m pytest_leanml.checks.serving_child JOB

JOB is a file of ours: JSON with the artifact, its digest and where the result goes. Nothing but the result file speaks.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_KILO = 1024


def main(arguments: list[str]) -> int:
    """Do the job, and write what was measured or what went wrong."""
    job = json.loads(Path(arguments[0]).read_text("utf-8"))
    # Should whoever started this process be gone by then, it ends by itself.
    signal.alarm(math.ceil(job["seconds"]) + 1)
    # The project's own modules, which a pickled model may be made of, lie where the parent found them.
    sys.path.extend(path for path in job["paths"] if path not in sys.path)
    from pytest_leanml.errors import LeanmlError

    try:
        found: Mapping[str, Any] = _measured(job)
    except LeanmlError as error:
        found = {"error": str(error)}
    Path(job["result"]).write_text(json.dumps(found), "utf-8")
    return 0


def _measured(job: Mapping[str, Any]) -> dict[str, Any]:
    import pandas as pd

    from pytest_leanml.sources.models import load_model

    frame = pd.read_pickle(job["frame"])  # noqa: S301 - written by our parent, into its private folder
    before = peak_bytes()
    model = load_model(
        Path(job["artifact"]),
        digest=job["digest"],
        trust=job["trust"],
        trusted_types=job["trusted_types"],
        drop=job["drop"],
    )
    model.predict(frame.head(1))
    ready = time.monotonic()
    if len(frame) > 1:
        model.predict(frame)
    return {"ready": ready, "peak": peak_bytes(), "before": before}


def peak_bytes(status: Path = Path("/proc/self/status")) -> int:
    """Return the largest resident memory of this process so far.

    Args:
        status: where Linux tells it of this very program; ``ru_maxrss``, which other systems have, begins there with
            that of the parent, since it survives the exec.
    """
    if status.exists():
        line = next(each for each in status.read_text("ascii").splitlines() if each.startswith("VmHWM:"))
        return int(line.split()[1]) * _KILO
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * _KILO


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
