"""``leanml init``: a first leanml.yaml, a first test and a CI file; nothing that is there is touched."""

from __future__ import annotations

import json
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


_GITLAB = """\
# Take this up in .gitlab-ci.yml:  include: {local: .gitlab/model-gate.yml}
model-gate:
  image: python:3.12
  script:
    - python -m pip install pytest-leanml
    - pytest --model-gate
  artifacts:
    when: always
    paths: [.leanml/]
    reports: {dotenv: .leanml/leanml.env, junit: .leanml/junit.xml}

model-live:
  needs: [model-gate]
  script:
    - test "$LEANML_PROMOTED" = true
    - echo "the new model is live"
"""

# Words and numbers that YAML takes for something else than text are put in quotes, and so is what holds its signs.
_PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z][A-Za-z0-9_./-]*", re.IGNORECASE)
_NO_NAME = re.compile(r"[/:@\x00-\x1f]")


def scaffold(root: Path, model: str | None) -> list[Path]:
    """Write the three files; the CI file is GitLab's where .gitlab-ci.yml is there, else GitHub's.

    Args:
        root: the repository's folder.
        model: registry name; by default made from the folder's name.

    Returns:
        What was written.

    Raises:
        GateUsageError: one of them is there already, or the name cannot be a model's; nothing is written then.
        UndecidedError: the folder cannot be written.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name) or "model" if model is None else model
    if not name.strip() or _NO_NAME.search(name):
        raise GateUsageError(
            f"the model's name is {name!r}", "a name without / : @, as MLflow has it", "correct --model"
        )
    parts = {"model": name, "train": _data(root, "train"), "evaluation": _data(root, "eval")}
    texts = {
        root / "leanml.yaml": _CONFIG.format(**{key: _yaml(value) for key, value in parts.items()}),
        root / "tests" / "test_model_gate.py": _TEST,
        **_ci(root),
    }
    there = [path for path in texts if path.exists()]
    if there:
        raise GateUsageError(
            f"{there[0]} is there already", "a repository without it", "remove it, or change it by hand"
        )
    for path, text in texts.items():
        write_whole(path, text)
    return list(texts)


def _ci(root: Path) -> dict[Path, str]:
    if (root / ".gitlab-ci.yml").exists():
        return {root / ".gitlab" / "model-gate.yml": _GITLAB}
    return {root / ".github" / "workflows" / "model-gate.yml": _WORKFLOW}


def _yaml(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _data(root: Path, word: str) -> str:
    """Guess a data file by its name; the user corrects it."""
    kinds = (".parquet", ".csv", ".arrow", ".feather")
    found = (
        sorted(p for p in (root / "data").glob(f"*{word}*") if p.suffix in kinds) if (root / "data").is_dir() else []
    )
    return found[0].relative_to(root).as_posix() if found else f"data/{word}.parquet"
