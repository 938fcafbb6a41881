"""Rego: engines, preflight, answers, waivers."""
