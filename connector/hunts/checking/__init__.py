"""Hunts checked: lint, cases in Python and on an engine."""
