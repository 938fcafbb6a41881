"""A smoke test: one request, or one program, that must end as expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pytest_leanml.config.deploy import SecretName, Variables  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import Duration, Section, Text, Whole, fault
from pytest_leanml.deploy.hooks.program import Program, environment, run
from pytest_leanml.deploy.hooks.web import Request, Url, as_body, filled, secret, send
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from pytest_leanml.deploy.hook import HookContext


class SmokeConfig(Section):
    """Settings: a request or a program, and how it must end."""

    url: Url | dict[Literal["blue", "green"], Url] | None = None
    method: Literal["GET", "POST"] = "GET"
    body: dict[str, Any] = Field(default_factory=dict)
    bearer: SecretName | None = None
    argv: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    env: Variables = ()
    expect: Whole = Field(default=-1, ge=-1, le=599)
    timeout: Duration = Field(default="5s", validate_default=True)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.url is None) == (self.argv is None):
            raise fault("a smoke test has a `url` or an `argv`", "one of them")
        if isinstance(self.url, dict) and len(self.url) != 2:  # noqa: PLR2004 - blue and green
            raise fault("`url` names one color", "blue and green")
        if self.timeout > 10:  # noqa: PLR2004 - traffic is taken back in under 30 s
            raise fault(f"a smoke test of {self.timeout:g} s is too long to take traffic back in time", "at most 10s")
        return self


def smoke(config: SmokeConfig, context: HookContext, color: str) -> str:
    """Test one color; where ``{color}`` stands in a path, an argument or the body, its name is put.

    Returns:
        What is wrong; empty where all is well.
    """
    try:
        return _request(config, context, color) if config.argv is None else _program(config, context, color)
    except DeployError as error:
        return f"smoke test of {color}: {error.given}"


def _request(config: SmokeConfig, context: HookContext, color: str) -> str:
    url = config.url[color] if isinstance(config.url, dict) else config.url  # type: ignore[index]
    headers = {"Accept": "*/*", "User-Agent": "leanml"}
    if config.bearer is not None:
        headers["Authorization"] = f"Bearer {secret(context, config.bearer)}"
    body = None
    if config.method == "POST":
        headers["Content-Type"] = "application/json"
        body = as_body(_colored(filled(config.body, context), color))
    place = filled(str(url).replace("{color}", color), context, in_url=True)
    answer = send(Request(config.method, place, body, headers, config.timeout, config.timeout), context)
    wanted = 200 if config.expect < 0 else config.expect
    if answer.status != wanted:
        return f"smoke test of {color}: {config.method} {place} answered {answer.status}, not {wanted}"
    return f"smoke test of {color}: {answer.broken}" if answer.broken else ""


def _program(config: SmokeConfig, context: HookContext, color: str) -> str:
    argv = _colored(filled(config.argv, context), color)
    env = {**environment(context, config.env), "LEANML_COLOR": color}
    program = Program(argv, context.root, env, limit=config.timeout)
    ended, wanted = run(program, context), max(0, config.expect)
    if ended.status is None:
        return f"smoke test of {color}: {program.shown} did not end within {config.timeout:g} s"
    return (
        ""
        if ended.status == wanted
        else f"smoke test of {color}: {program.shown} ended with {ended.status}{ended.said}"
    )


def _colored(value: Any, color: str) -> Any:
    if isinstance(value, str):
        return value.replace("{color}", color)
    if isinstance(value, dict):
        return {key: _colored(each, color) for key, each in value.items()}
    return [_colored(each, color) for each in value] if isinstance(value, list | tuple) else value
