"""leanml.yaml: what it may say (``Config``), and what it asks for in one environment."""

from __future__ import annotations

from pytest_leanml.config.deploy import DeployHook
from pytest_leanml.config.fields import parse_duration
from pytest_leanml.config.limits import Limit
from pytest_leanml.config.load import load_config
from pytest_leanml.config.models import Config, Environment, Model, Streak
from pytest_leanml.config.schema import config_schema
from pytest_leanml.config.specs import CheckSpec, check_specs, environment_of, thresholds
from pytest_leanml.config.uris import candidate_uri, champion_uri

__all__ = [
    "CheckSpec",
    "Config",
    "DeployHook",
    "Environment",
    "Limit",
    "Model",
    "Streak",
    "candidate_uri",
    "champion_uri",
    "check_specs",
    "config_schema",
    "environment_of",
    "load_config",
    "parse_duration",
    "thresholds",
]
