"""The operator's settings, networks and resolver policy, checked and typed."""
