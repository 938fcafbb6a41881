"""The section ``deploy:`` of leanml.yaml: which hooks run after a decision, in which order."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from pytest_leanml.config.fields import Duration, Flag, Id, Section, Text, Texts, Whole, fault, matching

MAX_RETRIES = 20
Variable = Annotated[Text, matching(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of an environment variable")]
Variables = tuple[Variable, ...]


def _given(name: str, info: ValidationInfo) -> str:
    """A hook's settings are read with the names that stand under its ``secrets:``."""
    if info.context is not None and name not in info.context["secrets"]:
        raise fault(
            f"the secret {name} is not given to this hook", "a name under `secrets:`", f"add `secrets: [{name}]`"
        )
    return name


# A setting of a hook that names one of its secrets.
SecretName = Annotated[Variable, AfterValidator(_given)]


class DeployHook(Section):
    """One hook: what is used, when it runs, and with which settings."""

    use: Text
    name: Id | None = None
    on: Literal["allow", "deny", "always"] = "allow"
    environments: Texts = ()
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")
    secrets: Variables = ()
    timeout: Duration = Field(default="10m", validate_default=True)
    retries: Whole = Field(default=0, ge=0, le=MAX_RETRIES)
    undo: Flag = True
    analysis: dict[str, Any] | None = None

    @property
    def called(self) -> str:
        """The name that the journal knows it by."""
        return self.name or self.use.rpartition(":")[2]

    def runs(self, verdict: str, environment: str) -> bool:
        """Tell whether it runs after a decision."""
        wanted = self.on in ("always", verdict.lower())
        return wanted and (not self.environments or environment in self.environments)


def _named_apart(hooks: tuple[DeployHook, ...]) -> tuple[DeployHook, ...]:
    names = [each.called for each in hooks]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise fault(
                f"two hooks are called {name!r}", "a name for each, by which the journal knows it", "add `name:`"
            )
    return hooks


Deploy = Annotated[tuple[DeployHook, ...], AfterValidator(_named_apart)]
