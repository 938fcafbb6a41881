"""``python -I -m pytest_leanml.deploy.check leanml.yaml``: are the hooks there, and are their settings right?"""

from __future__ import annotations

import sys

from pytest_leanml.config import load_config
from pytest_leanml.deploy.catalogue import find_hooks
from pytest_leanml.errors import LeanmlError


def main(path: str) -> int:
    """Print the first fault; 0 where there is none."""
    try:
        find_hooks(load_config(path))
    except LeanmlError as error:
        sys.stdout.write(f"{error}\n")
        return int(error.status)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
