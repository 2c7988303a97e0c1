"""Cohorts: who the patients are."""
