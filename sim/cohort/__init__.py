"""Cohorts by the name they have in a config."""
