"""The one door to MLflow: lazy, silent, bounded in time, and every failure of it a RegistryError."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_leanml.errors import LeanmlError, RegistryError
from pytest_leanml.garbage import collector_paused
from pytest_leanml.registry.quiet import ANSWER_SECONDS, quietly
from pytest_leanml.registry.reach import Location, demand_answer, demand_database, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_MISSING = "RESOURCE_DOES_NOT_EXIST"
_UNKNOWN_USER = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"}


class Client:
    """Asks MLflow, one question at a time.

    Args:
        location: where the registry is.
    """

    def __init__(self, location: Location) -> None:
        self.location = location

    @cached_property
    def _mlflow(self) -> Any:
        """MLflow's client; the import takes a second, so that it waits for the first question."""
        with collector_paused():
            if self.location.kind in {"sqlite", "sql"}:
                demand_database(self.location)
            from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.location.uri, registry_uri=self.location.uri)

    def ask(self, what: str, question: Callable[[Any], T], *, write: bool = False, seconds: int = ANSWER_SECONDS) -> T:
        """Ask, and demand an answer.

        Args:
            what: the question in words, after "failed to".
            question: gets MLflow's client.
            write: the question changes the registry.
            seconds: time limit of each request.

        Raises:
            GateUsageError: there is no registry at that place.
            RegistryError: whatever else went wrong.
        """
        found = self.find(what, question, write=write, seconds=seconds)
        if found is None:
            raise RegistryError(
                f"the registry {self.location.shown} failed to {what}: it is gone",
                "what was there a moment ago",
                "run the gate again",
            )
        return found[0]

    def find(
        self, what: str, question: Callable[[Any], T], *, write: bool = False, seconds: int = ANSWER_SECONDS
    ) -> tuple[T] | None:
        """Ask for something that may not be there; None when the registry says that it is not.

        Raises:
            GateUsageError: there is no registry at that place.
            RegistryError: whatever else went wrong.
        """
        demand_answer(self.location, write=write)
        try:
            with quietly(seconds):
                return (question(self._mlflow),)
        except LeanmlError:
            raise
        except Exception as error:  # MLflow lets through what requests, urllib3, SQLAlchemy and its own code raise
            if self._says_missing(error):
                return None
            raise self._failure(what, error) from error

    def _says_missing(self, error: Exception) -> bool:
        """Believe "not there" only from a registry: a 404 of some other server is no answer."""
        if getattr(error, "error_code", None) != _MISSING:
            return False
        if self.location.kind != "http":
            return True
        from mlflow.exceptions import RestException

        return isinstance(error, RestException) and error.json.get("error_code") == _MISSING

    def _failure(self, what: str, error: Exception) -> RegistryError:
        code = getattr(error, "error_code", None)
        if code in _UNKNOWN_USER:
            todo = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        else:
            todo = "check that it is up and reachable, then run the gate again"
        # A KeyError's text is a mere key; MLflow's own errors say all in theirs.
        said = one_line(error) if code else f"{type(error).__name__}: {one_line(error)}"
        return RegistryError(
            f"the registry {self.location.shown} failed to {what}: {said}", "a registry that answers", todo
        )
