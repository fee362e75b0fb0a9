"""Evidence: everything the SIEM knows around a finding, a declaration or an event, in one serialisable object."""
