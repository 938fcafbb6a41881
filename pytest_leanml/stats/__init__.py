"""Arithmetic on arrays and counts; knows nothing of pytest, frames or models."""
