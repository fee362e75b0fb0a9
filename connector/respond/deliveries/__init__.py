"""Deliveries: an outbox, and what brings it to receivers."""
