"""The incident report: what a finding or a declaration comes to, as one object, and as one page that stands alone."""
