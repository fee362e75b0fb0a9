"""Hunts: format, catalogue, lint, conditions and their compilers, running and the pass."""
