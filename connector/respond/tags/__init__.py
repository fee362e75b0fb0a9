"""Tag rules: on stored events, while events are written, and kept true by passes."""
