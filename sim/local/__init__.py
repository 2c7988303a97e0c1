"""Local training: the only place that steps parameters."""
