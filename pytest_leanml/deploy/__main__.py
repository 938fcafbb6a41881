"""``python -I -m pytest_leanml.deploy``: the deployer's process. No code of the project is imported here."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from pytest_leanml.deploy.arguments import add_arguments
from pytest_leanml.deploy.runner import Action, Done, Settled, deploy
from pytest_leanml.errors import ExitStatus
from pytest_leanml.report.escape import lines
from pytest_leanml.unexpected import Net

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_leanml.errors import LeanmlError


def action_of(arguments: argparse.Namespace) -> Action:
    """Tell what was asked for."""
    if arguments.dry_run:
        return Action.PLAN
    if arguments.undo:
        return Action.UNDO
    return Action.RESUME if arguments.resume else Action.APPLY


def run(arguments: argparse.Namespace) -> int:
    """Carry it out and say how it ended."""
    done = _carried_out(arguments)
    if arguments.json:
        sys.stdout.write(json.dumps({"status": int(done.status), "message": done.message, "acted": done.acted}) + "\n")
    else:
        stream = sys.stdout if done.status == 0 else sys.stderr
        stream.write("\n  ".join(lines(done.message)) + "\n")
    return int(done.status)


def _carried_out(arguments: argparse.Namespace) -> Done:
    settled = Settled(tuple(arguments.done), tuple(arguments.repeat))
    if settled != Settled() and not arguments.resume:
        return Done(ExitStatus.USAGE, "--done and --repeat go with --resume; next: add --resume")
    policies = [path.absolute() for path in arguments.policy] if arguments.policy else None
    told = []

    def tell(error: LeanmlError) -> int:
        told.append(str(error))
        return int(ExitStatus.UNKNOWN)

    # Where a fault of ours stops a deploy, nobody knows how far it came: the journal's last line says what was begun.
    net = Net(tell)
    with net:
        return deploy(
            arguments.decision.absolute(), arguments.config.absolute(), policies, action_of(arguments), settled
        )
    return Done(net.status, f"{told[0]}\nnext: `leanml deploy --resume` or `--undo` with this decision")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="leanml deploy", description="Carry out a decision of the model gate.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
