"""``leanml init``: a first leanml.yaml, a first test and a CI file; nothing that is there is touched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_leanml.errors import GateUsageError
from pytest_leanml.strict import write_whole

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = """\
version: 1
model: {model}
data: {{train: {train}, evaluation: {evaluation}, target: label, groups: []}}
checks:
  data_quality: {{rows: {{min: 100}}}}
  quality:      {{accuracy: {{min: 0.85}}, f1_score: {{min: 0.80}}}}
  drift:        {{share: {{max: 0.15}}}}
  comparison:   {{f1_score: {{better_by: 0.02}}}}
"""

_TEST = '''\
"""What leanml.yaml cannot say is a test, with plain asserts."""


def test_recall_is_proven(quality):
    assert quality.recall().low >= 0.5  # the lower confidence limit
'''

_WORKFLOW = """\
name: model gate
on: [push]
permissions: {contents: read}
jobs:
  gate:
    runs-on: ubuntu-latest
    outputs:
      promoted: ${{ steps.gate.outputs.promoted }}
    steps:
      - uses: actions/checkout@v4
        with: {persist-credentials: false}
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: python -m pip install pytest-leanml
      - id: gate
        run: pytest --model-gate
        env:
          MLFLOW_TRACKING_URI: ${{ vars.MLFLOW_TRACKING_URI }}
      - if: steps.gate.outputs.promoted == 'true'
        run: echo "the new model is live"
"""


def scaffold(root: Path, model: str | None) -> list[Path]:
    """Write the three files.

    Args:
        root: the repository's folder.
        model: registry name; by default made from the folder's name.

    Returns:
        What was written.

    Raises:
        GateUsageError: one of them is there already; nothing is written then.
    """
    name = model or re.sub(r"[^A-Za-z0-9._-]+", "-", root.name) or "model"
    texts = {
        root / "leanml.yaml": _CONFIG.format(model=name, train=_data(root, "train"), evaluation=_data(root, "eval")),
        root / "tests" / "test_model_gate.py": _TEST,
        root / ".github" / "workflows" / "model-gate.yml": _WORKFLOW,
    }
    there = [path for path in texts if path.exists()]
    if there:
        raise GateUsageError(
            f"{there[0]} is there already", "a repository without it", "remove it, or change it by hand"
        )
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    return list(texts)


def _data(root: Path, word: str) -> str:
    """Guess a data file by its name; the user corrects it."""
    kinds = (".parquet", ".csv", ".arrow", ".feather")
    found = (
        sorted(p for p in (root / "data").glob(f"*{word}*") if p.suffix in kinds) if (root / "data").is_dir() else []
    )
    return str(found[0].relative_to(root)) if found else f"data/{word}.parquet"
