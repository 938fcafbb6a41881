"""Models and data of one session, loaded when they are first asked for, and the studies that measure on them.

What reads them is imported as late: a test that records a number of its own needs no pandas.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.checks.subject import SubjectFacts
from pytest_leanml.clock import now, stamp
from pytest_leanml.collection import environment_variable
from pytest_leanml.config import environment_of, load_config
from pytest_leanml.errors import ConfigError, SourceError
from pytest_leanml.evidence.runs import RunFacts
from pytest_leanml.subjects import find_subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from pytest_leanml.config import Config
    from pytest_leanml.options import GateOptions
    from pytest_leanml.registry.refs import ModelRef
    from pytest_leanml.sources.predictor import Predictor
    from pytest_leanml.sources.tables import Table


@dataclass(frozen=True, slots=True)
class Subject:
    """A model as this process needs it: where its private copy is, and what it must be.

    Attributes:
        artifact: the private copy.
        digest: what it must have.
        source: registry, run, file or predictions.
        predictions: private copy of the file that is judged instead of loading the model.
        training_date: RFC 3339 time, None when unknown.
        run: what the run that made it says of itself, None without one.
    """

    artifact: Path
    digest: str
    source: str
    training_date: str | None
    predictions: Path | None = None
    run: RunFacts | None = None

    @classmethod
    def of(cls, ref: ModelRef) -> Subject:
        """Take over what matters from a resolved model."""
        return cls(ref.artifact, ref.digest, ref.source, ref.training_date, ref.predictions, ref.run)

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Subject:
        """Read it from the supervisor's context."""
        predictions = Path(plain["predictions"]) if plain["predictions"] else None
        run = RunFacts.of(plain["run"]) if plain.get("run") else None
        return cls(Path(plain["artifact"]), plain["digest"], plain["source"], plain["training_date"], predictions, run)


@dataclass(slots=True)
class Workbench:
    """One session's models and data.

    Attributes:
        config: leanml.yaml, None without one.
        evaluated_at: RFC 3339 time of the run.
        resolve: returns candidate and champion, each None where there is none; asked once.
        note: told of each model and table that is used, under the gate.
    """

    config: Config | None
    evaluated_at: str
    resolve: Callable[[], tuple[Subject | None, Subject | None]]
    note: Callable[..., None]
    _subjects: list[tuple[Subject | None, Subject | None]] = field(default_factory=list)
    _tables: dict[int, tuple[Any, Table]] = field(default_factory=dict)
    _studies: dict[Hashable, Study] = field(default_factory=dict)
    _noted: set[Hashable] = field(default_factory=set)
    _origins: dict[int, str] = field(default_factory=dict)
    _ask: list[Callable[[str], Any]] = field(default_factory=list)

    def candidate(self) -> Predictor:
        """Load the candidate.

        Raises:
            ConfigError: no model is declared.
            SourceError: it cannot be loaded.
        """
        found = self._found()[0]
        if found is None:
            raise ConfigError("there is no candidate", "`model:` in leanml.yaml, or a fixture named candidate")
        return self._load(found)

    def champion(self) -> Predictor | None:
        """Load the champion; None where there is none.

        Raises:
            SourceError: it cannot be loaded.
        """
        found = self._found()[1]
        return None if found is None else self._load(found)

    def frame(self, name: str) -> Any:
        """Read the table train, evaluation or production; None where it is not declared.

        Raises:
            SourceError: it cannot be read.
        """
        source = getattr(self.config.data, name) if self.config is not None else None
        if source is None or self.config is None:
            return None
        from pytest_leanml.sources.columns import apart
        from pytest_leanml.sources.frames import read_lazily, read_table

        read = read_lazily if source.lazy else read_table
        table = read(
            self.config.resolve(source.path),
            name=name,
            format=source.format,
            time=self.config.data.time,
            expected_digest=source.digest,
        )
        # What a test changes in its frame reaches no check. It is kept, so that no other frame can have its id.
        given = apart(table.frame)
        self._tables[id(given)] = (given, table)
        return given

    def study(self, key: Hashable, ask: Callable[[str], Any]) -> Study:
        """Return the study of a set of fixtures; items that see the same fixtures share it.

        Args:
            key: what tells one set of fixtures from another.
            ask: returns the value of a fixture of the present item.
        """
        # A study outlives the item that made it, and may ask only through the item that runs now.
        self._ask[:] = [ask]
        if key not in self._studies:
            self._studies[key] = self._new_study()
        return self._studies[key]

    def _new_study(self) -> Study:
        return Study(
            self._settings(),
            candidate=lambda: self._predictor(self._ask[0]("candidate"), "candidate"),
            champion=lambda: self._predictor(self._ask[0]("champion"), "champion"),
            table=lambda name: self._table(name, self._ask[0](f"{name}_data")),
        )

    def _settings(self) -> StudySettings:
        if self.config is None:
            return StudySettings(evaluated_at=self.evaluated_at)
        found = self._found()[0] if self.config.model is not None else None
        training_date = found.training_date if found is not None else None
        return StudySettings.of(
            self.config,
            training_date=training_date,
            evaluated_at=self.evaluated_at,
            subject=self._facts(found) if found is not None else None,
        )

    def _facts(self, subject: Subject) -> SubjectFacts:
        model = self.config.model if self.config is not None else None
        return SubjectFacts(
            subject.artifact,
            subject.digest,
            source=subject.source,
            predictions=subject.predictions is not None,
            trust=bool(model and model.trust),
            trusted_types=tuple(model.trusted_types) if model is not None else (),
            drop=self._never_features(),
            run=subject.run,
        )

    def _found(self) -> tuple[Subject | None, Subject | None]:
        if not self._subjects:
            self._subjects.append(self.resolve())
        return self._subjects[0]

    def _predictor(self, given: Any, role: str) -> Any:
        if given is None:
            return None
        from pytest_leanml.sources.models import as_predictor

        predictor = as_predictor(given, drop=self._never_features(), who=f"the {role}")
        self._tell("model", role, role=role, digest=predictor.digest, origin=self._origins.get(id(given), "fixture"))
        return predictor

    def _table(self, name: str, frame: Any) -> Table | None:
        if frame is None:
            return None
        from pytest_leanml.sources.columns import apart, is_frame
        from pytest_leanml.sources.frames import describe, table_facts

        time = self.config.data.time if self.config is not None else None
        _, table = self._tables.get(id(frame)) or (None, describe(apart(frame), name=name, time=time))
        if table.origin != "fixture" and is_frame(frame) and not frame.equals(table.frame):
            raise SourceError(
                f"a test or a fixture has changed the {name} data in place",
                f"the rows of {table.origin}",
                f"change a copy: `{name}_data.copy()`",
            )
        self._tell("data", name, name=name, origin=table.origin, **table_facts(table))
        return table

    def _tell(self, event: str, key: Hashable, **fields: Any) -> None:
        if (event, key, fields.get("digest")) not in self._noted:
            self._noted.add((event, key, fields.get("digest")))
            self.note(event, **fields)

    def _never_features(self) -> tuple[str, ...]:
        if self.config is None:
            return ()
        data = self.config.data
        return (*(name for name in (data.target, data.weights) if name is not None), *data.ids)

    def _load(self, subject: Subject) -> Predictor:
        from pytest_leanml.sources.models import load_model
        from pytest_leanml.sources.predictions import load_predictions

        model = self.config.model if self.config is not None else None
        predictor: Predictor
        if subject.predictions is not None and model is not None and self.config is not None:
            predictor = load_predictions(
                subject.predictions,
                columns={"prediction": model.columns.prediction, "score": model.columns.score},
                ids=self.config.data.ids,
            )
        else:
            predictor = load_model(
                subject.artifact,
                digest=subject.digest,
                trust=bool(model and model.trust),
                trusted_types=model.trusted_types if model is not None else (),
                drop=self._never_features(),
            )
        self._origins[id(predictor)] = "artifact" if subject.predictions is None else "predictions"
        return predictor


def recorded_workbench(context: Mapping[str, Any], note: Callable[..., None]) -> Workbench:
    """Make the workbench of a process that records: everything was resolved by the supervisor."""
    config = load_config(context["config"]) if context["config"] else None
    pair = [Subject.read(context[role]) if context[role] else None for role in ("candidate", "champion")]
    return Workbench(config, context["evaluated_at"], lambda: (pair[0], pair[1]), note)


def plain_workbench(options: GateOptions, at_end: Callable[[Callable[[], Any]], Any]) -> Workbench:
    """Make the workbench of a plain test run: models are resolved when they are first asked for.

    Args:
        options: flags and ini values.
        at_end: is given what must be done when the session is over.
    """
    config = load_config(options.config) if options.config.exists() or options.config_named else None
    return Workbench(config, stamp(now()), lambda: _resolve(config, options, at_end), lambda *_args, **_fields: None)


def _resolve(
    config: Config | None, options: GateOptions, at_end: Callable[[Callable[[], Any]], Any]
) -> tuple[Subject | None, Subject | None]:
    target = environment_of(config, options.environment, environment_variable())[1] if config is not None else None
    # The folder lives as long as the session: lazily loaded parts of a model may be read late.
    folder = tempfile.mkdtemp(prefix="leanml-")
    at_end(partial(shutil.rmtree, folder, ignore_errors=True))
    subjects = find_subjects(
        config, target, candidate=options.candidate, champion=options.champion, compares=False, into=Path(folder)
    )
    candidate, champion = subjects.candidate, subjects.champion
    return (Subject.of(candidate) if candidate else None, Subject.of(champion) if champion else None)
