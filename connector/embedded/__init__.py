"""A real OpenSearch on this machine, from published artifacts, for trying and testing."""
