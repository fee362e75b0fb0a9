"""Builds the ingest pipeline and its tables; the same logic in plain Python is the reference."""
