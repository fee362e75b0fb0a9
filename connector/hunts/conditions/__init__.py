"""Conditions of hunts: read from YAML, and compiled to a search, to Python and to Painless."""
