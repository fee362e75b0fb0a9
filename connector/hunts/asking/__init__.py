"""Hunts as questions: compiled for the sources, asked, and what the events found add up to."""
