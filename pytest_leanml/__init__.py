"""pytest-leanml: a policy-as-code gate that decides whether a machine-learning model may be promoted."""

__version__ = "0.1.0"
