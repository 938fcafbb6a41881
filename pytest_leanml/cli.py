"""The ``leanml`` command: start the flow from any arrow, with a file."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml import __version__
from pytest_leanml.errors import ConfigError, ExitStatus, GateUsageError
from pytest_leanml.report.escape import lines
from pytest_leanml.unexpected import Net
from pytest_leanml.vocabulary import EngineName

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_leanml.errors import LeanmlError

    Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command; errors become one message and their status."""
    arguments = _parser().parse_args(argv)
    command: Command = arguments.run
    net = Net(_tell)
    with net:
        try:
            status = command(arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output is gone; Python would complain when it flushes the rest.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return int(ExitStatus.UNDECIDED)
        return status
    return net.status


def _tell(error: LeanmlError) -> int:
    sys.stderr.write("leanml: " + "\n  ".join(lines(error)) + "\n")
    return int(error.status)


class _Parser(argparse.ArgumentParser):
    """argparse ends wrong usage with 2; ours is 4."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print usage and end with the status of wrong use."""
        self.print_usage(sys.stderr)
        self.exit(int(ExitStatus.USAGE), f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="leanml", description="Decide whether a model may be promoted, and carry it out.")
    parser.add_argument("--version", action="version", version=f"leanml {__version__}")
    commands: Commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    for add in _COMMANDS:
        add(commands)
    return parser


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[_Parser]  # noqa: SLF001 - it has no public name


def _add_init(commands: Commands) -> None:
    parser = commands.add_parser("init", help="write leanml.yaml, a first test and a CI file for the repo at hand")
    parser.add_argument("--model", default=None, help="registry name; default: the folder's name")
    parser.set_defaults(run=_init)


def _init(arguments: argparse.Namespace) -> int:
    from pytest_leanml.scaffold import scaffold

    for path in scaffold(Path.cwd(), arguments.model):
        sys.stdout.write(f"wrote {path}\n")
    sys.stdout.write("next: correct the paths in leanml.yaml, then run `pytest --model-gate --gate-dry-run`\n")
    return 0


def _add_decide(commands: Commands) -> None:
    parser = commands.add_parser("decide", help="ask the policies given about an evidence document")
    parser.add_argument("--evidence", type=Path, required=True, metavar="FILE")
    parser.add_argument("--policy", type=Path, required=True, action="append", metavar="PATH")
    parser.add_argument("--data", type=Path, metavar="FILE", help='JSON: {"leanml": {"thresholds": ...}}')
    parser.add_argument("--engine", type=EngineName, default=EngineName.EMBEDDED, choices=list(EngineName))
    parser.set_defaults(run=_decide)


def _decide(arguments: argparse.Namespace) -> int:
    from pytest_leanml.decide import decide
    from pytest_leanml.strict import dump_json

    policies = [path.absolute() for path in arguments.policy]
    decision, status = decide(arguments.evidence, policies, arguments.data, arguments.engine, Path.cwd())
    sys.stdout.write(dump_json(decision.document()))
    return int(status)


def _add_policy(commands: Commands) -> None:
    parser = commands.add_parser("policy", help="check, test or evaluate policies")
    actions = parser.add_subparsers(required=True, metavar="ACTION", parser_class=_Parser)
    check = actions.add_parser("check", help="parse, strict check, unknown built-ins, what decides")
    check.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    check.add_argument("--test", action="store_true", help="run the tests beside them too")
    check.set_defaults(run=_policy_check, engine=EngineName.EMBEDDED)
    test = actions.add_parser("test", help="run every test_ rule of *_test.rego")
    test.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    test.add_argument("--engine", type=EngineName, default=EngineName.EMBEDDED, choices=list(EngineName))
    test.set_defaults(run=_policy_test)
    evaluate = actions.add_parser("eval", help="print what each package answers")
    evaluate.add_argument("--policy", type=Path, required=True, action="append", metavar="PATH")
    evaluate.add_argument("--input", type=Path, required=True, metavar="FILE")
    evaluate.add_argument("--data", type=Path, metavar="FILE")
    evaluate.add_argument("--engine", type=EngineName, default=EngineName.EMBEDDED, choices=list(EngineName))
    evaluate.set_defaults(run=_policy_eval)


def _policy_check(arguments: argparse.Namespace) -> int:
    from pytest_leanml.policy.commands import check

    sys.stdout.write(check(arguments.paths, Path.cwd()))
    return _policy_test(arguments) if arguments.test else 0


def _policy_test(arguments: argparse.Namespace) -> int:
    from pytest_leanml.policy.commands import test

    text, passed = test(arguments.paths, arguments.engine)
    sys.stdout.write(text)
    return 0 if passed else int(ExitStatus.DENY)


def _policy_eval(arguments: argparse.Namespace) -> int:
    from pytest_leanml.policy.commands import evaluate

    sys.stdout.write(evaluate(arguments.policy, arguments.input, arguments.data, arguments.engine, Path.cwd()))
    return 0


def _add_registry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="for its registry; default: leanml.yaml, if there")
    parser.add_argument("--registry", metavar="URI", help="instead of the config's")


def _config(arguments: argparse.Namespace) -> Path:
    """Return where leanml.yaml is looked for; one that was named must be there, or another registry would be asked."""
    named: Path | None = arguments.config
    if named is not None and not named.exists():
        raise ConfigError("cannot be read: no such file", "leanml.yaml", "correct --config", file=named)
    return named or Path("leanml.yaml")


def _add_approve(commands: Commands) -> None:
    parser = commands.add_parser("approve", help="bind an approval to the artifact's digest")
    parser.add_argument("uri", metavar="URI", help="models:/name/3 or models:/name@alias")
    parser.add_argument("--by", required=True, metavar="NAME", help="who approves")
    _add_registry(parser)
    parser.set_defaults(run=_approve)


def _approve(arguments: argparse.Namespace) -> int:
    from pytest_leanml.deploy.commands import approve

    sys.stdout.write(approve(arguments.uri, arguments.by, _config(arguments), arguments.registry) + "\n")
    return 0


def _add_deploy(commands: Commands) -> None:
    from pytest_leanml.deploy.arguments import add_arguments

    parser = commands.add_parser("deploy", help="carry out a decision, resume it or take it back")
    add_arguments(parser)
    parser.set_defaults(run=_deploy)


def _deploy(arguments: argparse.Namespace) -> int:
    from pytest_leanml.deploy.__main__ import run

    return run(arguments)


def _add_history(commands: Commands) -> None:
    parser = commands.add_parser("history", help="what was decided and promoted, newest last")
    parser.add_argument("model", metavar="MODEL")
    _add_registry(parser)
    parser.set_defaults(run=_history)


def _history(arguments: argparse.Namespace) -> int:
    from pytest_leanml.deploy.commands import history

    sys.stdout.write(history(arguments.model, _config(arguments), arguments.registry))
    return 0


def _add_rollback(commands: Commands) -> None:
    parser = commands.add_parser("rollback", help="move an alias back to the version before")
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--to", metavar="VERSION", help="default: the version that the alias named before")
    parser.add_argument("--environment", metavar="NAME", help="whose alias; default: the config's environment")
    _add_registry(parser)
    parser.set_defaults(run=_rollback)


def _rollback(arguments: argparse.Namespace) -> int:
    from pytest_leanml.deploy.commands import rollback

    text = rollback(arguments.model, arguments.to, arguments.environment, _config(arguments), arguments.registry)
    sys.stdout.write(text + "\n")
    return 0


def _add_verify(commands: Commands) -> None:
    parser = commands.add_parser("verify", help="do the files of a run belong together; is the audit log whole")
    parser.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="the gate's output, such as .leanml")
    parser.add_argument("--audit", action="store_true", help="check the audit log of deploys")
    parser.add_argument("--head", action="append", default=[], metavar="MODEL=NUMBER:HASH", help="noted before")
    _add_registry(parser)
    parser.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    from pytest_leanml.deploy.commands import verify_audit
    from pytest_leanml.verify import verify

    if arguments.folder is None and not arguments.audit:
        raise GateUsageError("nothing to verify", "DIR, or --audit", "give the gate's output folder, such as .leanml")
    found = [verify(arguments.folder)] if arguments.folder is not None else []
    if arguments.audit or arguments.head:
        found.append(verify_audit(arguments.head, _config(arguments), arguments.registry))
    sys.stdout.write("\n".join(lines("\n".join(text for text, _ in found))) + "\n")
    return int(max(status for _, status in found))


def _add_opa(commands: Commands) -> None:
    parser = commands.add_parser("opa", help="install the official opa")
    actions = parser.add_subparsers(required=True, metavar="ACTION", parser_class=_Parser)
    install = actions.add_parser("install", help="a pinned, checksummed opa, or the exact command that builds one")
    install.set_defaults(run=_opa_install)


def _opa_install(_arguments: argparse.Namespace) -> int:
    from pytest_leanml.policy.install import install_opa

    sys.stdout.write(f"{install_opa()}\n")
    return 0


_COMMANDS = (
    _add_init,
    _add_decide,
    _add_policy,
    _add_approve,
    _add_deploy,
    _add_history,
    _add_rollback,
    _add_verify,
    _add_opa,
)
