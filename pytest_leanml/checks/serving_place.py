"""Where served answers come from: a server, a function of the project, or the candidate in this process."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.custom import load
from pytest_leanml.checks.leakage_features import known_features
from pytest_leanml.checks.serving_http import FORMATS, TIMEOUT, Client, Server
from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError
from pytest_leanml.sources.columns import column_names, is_polars, select, take_rows, to_pandas
from pytest_leanml.sources.faults import calling, told_as
from pytest_leanml.sources.outputs import checked_predictions
from pytest_leanml.sources.predictions import PredictionsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_leanml.checks.study import Study

SECONDS = 60.0
WHO = "what is served"
SETTINGS = ("url", "call", "format", "answer", "timeout", "seconds")
_ANSWERS = ("labels", "scores")
_NUMBERS = "fiu"
_BINARY = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answers come from, and what they are.

    Attributes:
        url: of a server; None for none.
        call: ``module:function``; None for none. With neither, the candidate answers in this process.
        format: of the server's requests and answers.
        answer: labels (or a regression's values), or scores.
        timeout: seconds for one request to a server.
        seconds: for all requests.
    """

    url: str | None = None
    call: str | None = None
    format: str = FORMATS[0]
    answer: str = _ANSWERS[0]
    timeout: float = TIMEOUT
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            ConfigError: both places, no such URL, an unknown format or kind of answer, times that are none.
        """
        if self.url is not None and self.call is not None:
            raise ConfigError("both url and call", "one of them: where the served answers come from", "remove one")
        for name in ("timeout", "seconds"):
            _demand_time(name, getattr(self, name))
        if self.answer not in _ANSWERS:
            raise ConfigError(f"answer: {self.answer!r}", " or ".join(_ANSWERS), "correct it")
        Server(self.url if self.url is not None else "http://localhost", self.format)

    @property
    def where(self) -> str:
        """Where the answers come from, in a word."""
        return "http" if self.url is not None else "call" if self.call is not None else "process"


def _demand_time(name: str, value: object) -> None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not 0 < value < math.inf:  # type: ignore[operator]  # a number, by the line above
        raise ConfigError(f"{name}: {value!r}", "seconds, above 0", "correct it")


def place_of(settings: Mapping[str, Any], *, also: tuple[str, ...], needed: bool) -> Place:
    """Read a place from the settings of a check.

    Args:
        settings: as given.
        also: names that the check knows beside those of a place.
        needed: whether there must be a server or a function.

    Raises:
        ConfigError: an unknown setting, no place where one is needed, or as ``Place``.
    """
    unknown = [name for name in settings if name not in (*SETTINGS, *also)]
    if unknown:
        raise ConfigError(f"the setting {unknown[0]!r}", f"one of {', '.join((*SETTINGS, *also))}", "correct it")
    found = Place(**{name: value for name, value in settings.items() if name in SETTINGS})
    if needed and found.where == "process":
        raise ConfigError(
            "neither url nor call",
            "one of them: where the served answers come from",
            'write `params: {url: "http://127.0.0.1:5001/invocations"}` or `params: {call: "module:function"}`',
        )
    return found


def whole(settings: Mapping[str, Any], name: str, default: int, *, least: int = 1) -> int:
    """Read a whole number from the settings of a check.

    Raises:
        ConfigError: it is none, or too small.
    """
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name}: {value!r}", f"a whole number, at least {least}", "correct it")
    return value


@dataclass(frozen=True, slots=True)
class Asker:
    """How to ask: the request is made before the clock runs, and its answer read after.

    Attributes:
        prepare: rows -> request.
        ask: request -> answer.
        read: answer -> answers as Python has them.
    """

    prepare: Callable[[Any], Any]
    ask: Callable[[Any], Any]
    read: Callable[[Any], Any]


def asker_of(study: Study, place: Place, stack: ExitStack) -> Asker:
    """Return what asks for answers.

    Raises:
        ConfigError: ``call`` is not of the form ``module:function``.
        SourceError: the function or the candidate cannot be loaded.
        InconclusiveError: a predictions file is asked in this process.
    """
    if place.url is not None:
        client = stack.enter_context(Client(Server(place.url, place.format, place.timeout)))
        return Asker(client.prepare, client.ask, client.read)
    if place.call is not None:
        return Asker(_same, _called(place.call, study.settings.root), _same)
    candidate = study.candidate()
    if isinstance(candidate, PredictionsFile):
        raise InconclusiveError(
            "a predictions file answers nothing, so that it has no latency",
            "a model that can be loaded, or a server",
            "write `params: {url: ...}` or `params: {call: ...}`",
        )
    return Asker(_same, candidate.predict if place.answer == "labels" else candidate.scores, _same)


def _same(given: Any) -> Any:
    return given


def _called(call: str, root: Path) -> Callable[[pd.DataFrame], Any]:
    function = load(call, root, key="params.call")
    if not callable(function):
        given = f"`{call}` is a {type(function).__name__}"
        raise ConfigError(given, "a function", "name a function", key="params.call")

    def ask(frame: pd.DataFrame) -> Any:
        with calling(f"`{call}` failed", "an answer for each row", "see that it runs outside of the tests"):
            return function(frame)

    return ask


def features_of(study: Study, frame: Any) -> tuple[str, ...]:
    """Return the columns that a server of the candidate is given: its features, else all but target and ids."""
    if not isinstance(study.candidate(), PredictionsFile):
        return known_features(study, frame)
    apart = {study.settings.target, study.settings.weights, *study.settings.ids}
    return tuple(name for name in column_names(frame) if name not in apart)


def exchange(
    study: Study,
    place: Place,
    batches: Iterable[NDArray[np.intp]],
    columns: tuple[str, ...] | None,
    read: Callable[[Any, int], Any],
) -> tuple[NDArray[np.float64], list[Any]]:
    """Ask about the evaluation rows, one batch after the other, and close what was opened for it.

    Args:
        study: whose rows and candidate.
        place: where to ask, and for how long at most.
        batches: places of rows.
        columns: those to send, as pandas; None to leave the rows as their library has them.
        read: reads an answer for so many rows, or refuses it.

    Returns:
        Seconds of each request, shape (requests,), and what ``read`` made of each answer.

    Raises:
        InconclusiveError: not all were answered within ``place.seconds``.
        LeanmlError: an answer that cannot be taken.
    """
    with ExitStack() as stack:
        asker = asker_of(study, place, stack)
        return answered(asker, requests_of(study.rows_of("evaluation"), columns, batches), place, read)


def requests_of(
    frame: Any, columns: tuple[str, ...] | None, batches: Iterable[NDArray[np.intp]]
) -> Iterator[tuple[Any, int]]:
    """Yield rows and how many they are, for each batch.

    Args:
        frame: the whole table.
        columns: those to send, as pandas; None to leave the rows as their library has them.
        batches: places of rows.

    Raises:
        SourceError: a column is absent, or a lazy table.
    """
    whole_frame = frame if columns is None else to_pandas(select(frame, columns))
    for each in batches:
        yield take_rows(whole_frame, each), len(each)


def answered(
    asker: Asker, requests: Iterable[tuple[Any, int]], place: Place, check: Callable[[Any, int], Any]
) -> tuple[NDArray[np.float64], list[Any]]:
    """Ask one after the other; return the seconds that each answer took and what was answered.

    Args:
        asker: how to ask.
        requests: rows and how many they are.
        place: says how long it may take.
        check: reads an answer for so many rows, or refuses it. An answer for half the rows would come sooner.

    Raises:
        InconclusiveError: not all were answered within ``seconds``.
        LeanmlError: an answer that cannot be taken.
    """
    times: list[float] = []
    answers: list[Any] = []
    deadline = time.monotonic() + place.seconds
    for rows, count in requests:
        if time.monotonic() > deadline:
            raise InconclusiveError(
                f"{len(times)} requests were answered within {place.seconds:g} s, and more were to come",
                "all of them",
                "raise `seconds`, or ask less",
            )
        request = asker.prepare(rows)
        began = time.perf_counter_ns()
        raw = asker.ask(request)
        times.append((time.perf_counter_ns() - began) / 1e9)
        answers.append(check(asker.read(raw), count))
    # The clock has an end to its resolution; nothing takes no time.
    return np.maximum(np.array(times, dtype=np.float64), 1e-9), answers


def reader_of(study: Study, place: Place) -> Callable[[Any, int], NDArray[Any]]:
    """Return what reads answers and refuses those that cannot be the candidate's: of another number, type or label.

    Raises:
        SourceError: scores are asked for and the candidate has none.
    """
    own = study.answers("candidate")
    if place.answer == "scores":
        if own.probabilities is None:
            raise SourceError("the candidate gives no probabilities", "a model with `predict_proba`", "compare labels")
        width = own.probabilities.shape[1] if own.probabilities.ndim > 1 else 1
        return lambda raw, rows: _scores(raw, rows, width)
    text = own.labels.dtype.kind == "O"
    classes = own.known_classes()

    def labels(raw: Any, rows: int) -> NDArray[Any]:
        found = checked_predictions(_array(_listed(raw, rows)), rows, who=WHO, classes=classes)
        if (found.dtype.kind == "O") is not text:
            given = f"{WHO} is of the type {found.dtype}, the candidate's own answers are {own.labels.dtype}"
            raise SourceError(given, "the same type", "serve the same model; `answer: scores` for probabilities")
        return found

    return labels


def _listed(raw: Any, rows: int) -> list[Any]:
    with told_as(f"{WHO} is a {type(raw).__name__}", "one answer for each row"):
        if isinstance(raw, pd.DataFrame) or is_polars(raw):
            raw = raw.to_numpy()
        found = raw.tolist() if isinstance(raw, np.ndarray | pd.Series) else list(raw)
    if isinstance(raw, str | bytes | dict) or len(found) != rows:
        given = f"{WHO} is a {type(raw).__name__} of {len(found)} for {rows} rows"
        raise SourceError(given, "a list of answers, one for each row, in their order")
    return [each.item() if isinstance(each, np.generic) else each for each in found]


def _array(values: list[Any]) -> NDArray[Any]:
    """Return answers as an array that keeps 1 and "1" apart."""
    if all(isinstance(each, list | np.ndarray) and len(each) == 1 for each in values):
        values = [each[0].item() if isinstance(each[0], np.generic) else each[0] for each in values]
    plain = (str, int, float, type(None), type(pd.NA), type(pd.NaT))
    odd = next((each for each in values if not isinstance(each, plain)), None)
    if odd is not None:
        raise SourceError(f"{WHO} holds a {type(odd).__name__}", "a label or a number for each row")
    numbers = all(isinstance(each, int | float) for each in values)
    return np.array(values) if numbers else np.array(values, dtype=object)


def _scores(raw: Any, rows: int, width: int) -> NDArray[Any]:
    with told_as(f"{WHO} are no scores", "numbers: one for each row, or one for each row and class"):
        found = np.array(_listed(raw, rows))
    # Text that reads as a number is text.
    if found.dtype.kind not in _NUMBERS or found.ndim > 2:  # noqa: PLR2004 - rows, classes
        given = f"{WHO} are scores of the type {found.dtype} and shape {found.shape}"
        raise SourceError(given, "numbers: one for each row, or one for each row and class", "correct `answer`")
    checked_predictions(found.ravel(), found.size, who=WHO)
    if found.ndim == 1:
        found = found[:, None]
    if width == 1 and found.shape[1] == _BINARY:
        found = found[:, 1:]
    if found.shape[1] != width:
        given = f"{WHO} has {found.shape[1]} scores for each row, the candidate {width}"
        raise SourceError(given, "as many, in the order of its classes", "serve the same model")
    return found.astype(np.float64)
