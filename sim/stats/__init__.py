"""Statistics of seeds: intervals and tests."""
