"""What is fixed before any code of the project is imported: manifest, policies, models, digests, the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml import __version__
from pytest_leanml.clock import now, stamp
from pytest_leanml.collection import environment_variable
from pytest_leanml.config import check_specs, environment_of, load_config
from pytest_leanml.deploy.journal import check_journal
from pytest_leanml.digest import digest_artifact, digest_bytes
from pytest_leanml.errors import ConfigError, SourceError
from pytest_leanml.evidence.document import EvidenceContext
from pytest_leanml.handover import check_hooks
from pytest_leanml.judge import Manifest
from pytest_leanml.rules import Rules, find_rules, own_policies
from pytest_leanml.subjects import Subjects, find_subjects
from pytest_leanml.vocabulary import EngineName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_leanml.config import CheckSpec, Config, Environment
    from pytest_leanml.decision import Reason
    from pytest_leanml.options import GateOptions
    from pytest_leanml.registry.refs import ModelRef

DEFAULT_TIMEOUT = 1800.0
_FILES = frozenset({".arrow", ".csv", ".feather", ".json", ".parquet", ".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a decision rests on that is not measured.

    Attributes:
        options: flags and ini values.
        folder: the run's private folder.
        config: leanml.yaml, None without one.
        environment: name of the environment, None without a configuration.
        target: what differs in that environment.
        rules: policies, waivers and the data they read.
        engine: which engine answers.
        subjects: the models.
        context: the evidence's fixed part.
        manifest: what the judge holds the run against.
        files: what checks name besides the data, relative to the folder of leanml.yaml.
    """

    options: GateOptions
    folder: Path
    config: Config | None
    environment: str | None
    target: Environment | None
    rules: Rules
    engine: EngineName
    subjects: Subjects
    context: EvidenceContext
    manifest: Manifest
    files: tuple[str, ...] = ()

    @property
    def own_policies(self) -> tuple[Path, ...]:
        """The project's own policy paths."""
        return own_policies(self.config, self.options.policies)

    @property
    def timeout(self) -> float:
        """Seconds that the tests may take."""
        return self.config.timeout if self.config is not None else DEFAULT_TIMEOUT


def take_snapshot(options: GateOptions, run_id: str, folder: Path, never: tuple[Reason, ...] = ()) -> Snapshot:
    """Fix everything, in the order in which a mistake is cheapest to find.

    Args:
        options: flags and ini values.
        run_id: id of the run.
        folder: the run's private folder.
        never: why this run can never promote (G3).

    Raises:
        GateUsageError: status 4: configuration, policies, a model that is not there.
        UndecidedError: status 21: the registry is out of reach.
    """
    config = load_config(options.config) if options.config.exists() or options.config_named else None
    environment, target = _environment(config, options)
    if config is not None and config.deploy:
        check_hooks(config.path)
    specs = check_specs(config, environment) if config is not None else ()
    _demand_checks(config, declared=bool(specs))
    moment = now()
    own = own_policies(config, options.policies)
    root = config.root if config is not None else options.root
    rules = find_rules(config, environment, target, own=own, root=root, evaluated_at=moment, subject_digest="")
    subjects = _subjects(config, target, options, specs, folder)
    if subjects.candidate is not None:
        rules = replace(rules, data={**rules.data, "subject_digest": subjects.candidate.digest})
    files = named_files(config, specs)
    manifest = Manifest(
        run_id=run_id,
        declared=tuple(spec.id for spec in specs),
        required=tuple(config.require) if config is not None else (),
        never=never,
        thresholds=rules.data["thresholds"],
        waived=rules.waived,
        expired=rules.expired,
        shadow=tuple(config.policy.shadow) if config is not None else (),
        first_release=rules.data["first_release"] and subjects.champion is None,
        snapshot=digests(config, subjects, own, files),
    )
    context = _context(run_id, stamp(moment), environment, target, subjects)
    engine = options.engine or (EngineName(config.policy.engine) if config is not None else EngineName.EMBEDDED)
    return Snapshot(options, folder, config, environment, target, rules, engine, subjects, context, manifest, files)


def _subjects(
    config: Config | None, target: Environment | None, options: GateOptions, specs: Sequence[CheckSpec], folder: Path
) -> Subjects:
    compares = any(spec.kind == "comparison" for spec in specs)
    given = {"candidate": options.candidate, "champion": options.champion}
    found = find_subjects(config, target, **given, compares=compares, into=folder)
    if config is not None and found.alias is not None:
        # It is opened by the deployer alone; a URL that cannot be used is to be known before a check runs.
        check_journal(config)
    return found


def digests(
    config: Config | None, subjects: Subjects, policies: tuple[Path, ...], files: tuple[str, ...] = ()
) -> dict[str, str]:
    """Digest everything that must not change while tests run; what cannot be read any more is "unreadable"."""
    found = {"leanml.yaml": _digest(config.path) if config is not None else "absent"}
    if config is not None and config.policy.waivers:
        found["the waivers"] = _digest(config.root / config.policy.waivers)
    for path in policies:
        found[f"the policies in {path.name}"] = _digest(path)
    for role, ref in (("candidate", subjects.candidate), ("champion", subjects.champion)):
        if ref is not None:
            found[f"the {role}'s artifact"] = _digest(ref.artifact)
        if ref is not None and ref.predictions is not None:
            found["the predictions"] = _digest(ref.predictions)
    for name, path in data_paths(config).items():
        found[f"the {name} data"] = _digest(path)
    if config is not None:
        found.update({f"the file {name}": _digest(config.root / name) for name in files})
    return found


def named_files(config: Config | None, specs: Sequence[CheckSpec]) -> tuple[str, ...]:
    """Return the files that checks name: schemas, suites, tables of references or cases; sorted.

    One that is not there yet is among them where its name says that it is a file: a test may not make it up.
    """
    if config is None:
        return ()
    words = {word for spec in specs for word in _words(spec.settings)} | {config.data.schema_ or ""}
    return tuple(sorted(word for word in words if word and _names_a_file(config.root / word)))


def _words(value: Any) -> Iterator[str]:
    """Yield every text within plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _words(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _words(each)


def _names_a_file(path: Path) -> bool:
    try:
        return path.is_file() or path.suffix.lower() in _FILES
    except (OSError, ValueError):  # a name that no file can have
        return False


def data_paths(config: Config | None) -> dict[str, Path]:
    """Return the files of the config's ``data:`` section by name."""
    if config is None:
        return {}
    named = {name: getattr(config.data, name) for name in ("train", "evaluation", "production")}
    return {name: config.root / source.path for name, source in named.items() if source is not None}


def harness() -> dict[str, str]:
    """Name this package, with a digest of its code."""
    package = Path(__file__).parent
    lines = [
        f"{digest_bytes(path.read_bytes())}  {path.relative_to(package)}" for path in sorted(package.rglob("*.py"))
    ]
    return {"name": "pytest-leanml", "version": __version__, "digest": digest_bytes("\n".join(lines).encode())}


def _digest(path: Path) -> str:
    try:
        return digest_artifact(path)
    except (OSError, SourceError):
        return "unreadable"


def _environment(config: Config | None, options: GateOptions) -> tuple[str | None, Environment | None]:
    if config is None:
        return options.environment or environment_variable(), None
    return environment_of(config, options.environment, environment_variable())


def _demand_checks(config: Config | None, *, declared: bool) -> None:
    if config is not None and config.model is not None and not declared and not config.require:
        raise ConfigError(
            "the gate has a `model:` and neither `checks:` nor `require:`",
            "at least one check, since a test file that is never collected cannot be missed otherwise",
            "add `checks:`, or list the ids of your tests under `require:`",
            file=config.path,
        )


def _context(
    run_id: str, evaluated_at: str, environment: str | None, target: Environment | None, subjects: Subjects
) -> EvidenceContext:
    candidate = subjects.candidate
    if candidate is None:
        return EvidenceContext(run_id, evaluated_at, environment, harness=harness())
    return EvidenceContext(
        run_id,
        evaluated_at,
        environment,
        subject=described(candidate),
        champion=described(subjects.champion) if subjects.champion is not None else None,
        harness=harness(),
        annotations=candidate.annotations,
        approval=candidate.approval,
        training_date=candidate.training_date,
        training=candidate.training,
        lineage={"training_date_source": candidate.source} if candidate.training_date else {},
        history=_history(run_id, environment, target, subjects),
    )


def described(ref: ModelRef) -> dict[str, Any]:
    """Return a model's name, version, uri, run id and digest, as far as it has them."""
    named = {"name": ref.name, "version": ref.version, "uri": ref.uri, "run_id": ref.run_id, "digest": ref.digest}
    return {key: value for key, value in named.items() if value is not None}


def _history(run_id: str, environment: str | None, target: Environment | None, subjects: Subjects) -> dict[str, Any]:
    if target is None or target.streak is None or subjects.registry is None or subjects.candidate is None:
        return {}
    rule = target.streak
    streak = subjects.registry.streak(
        subjects.candidate,
        environment=rule.environment or environment or "",
        distinct=rule.distinct,
        exclude_run_id=run_id,
    )
    return {"streak": streak.count, "counted": list(streak.counted), "source": streak.source}
