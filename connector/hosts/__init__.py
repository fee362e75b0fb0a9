"""Host profiles: who is behind an address, built from the events alone."""
