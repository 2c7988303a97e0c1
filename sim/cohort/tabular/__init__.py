"""The user's own table: CSV or Parquet."""
