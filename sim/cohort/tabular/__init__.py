"""Cohorts from the user's own tables: CSV or Parquet."""
