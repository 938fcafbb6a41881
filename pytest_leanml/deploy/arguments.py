"""The arguments of ``leanml deploy``, the same for the command and for the deployer's process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``leanml deploy``."""
    parser.add_argument("--decision", type=Path, required=True, metavar="FILE", help="decision.json of the gate")
    parser.add_argument("--config", type=Path, default=Path("leanml.yaml"), metavar="FILE", help="default: leanml.yaml")
    parser.add_argument("--policy", type=Path, action="append", metavar="PATH", help="replaces policy.paths")
    action = parser.add_mutually_exclusive_group()
    for name, text in (
        ("dry-run", "say what would be done"),
        ("resume", "go on with a deploy that was cut off"),
        ("undo", "take back what was done"),
    ):
        action.add_argument(f"--{name}", action="store_true", help=text)
    for name, text in (
        ("done", "with --resume: this hook, whose outcome was unknown, happened"),
        ("repeat", "with --resume: this hook, whose outcome was unknown, did not happen: do it"),
    ):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="HOOK", help=text)
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
