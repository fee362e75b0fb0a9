"""Passes over new events, what they leave to do, and the findings that come of them."""
