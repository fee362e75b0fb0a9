"""Hunts as they are written: their format, all of them together, and how they are shown."""
