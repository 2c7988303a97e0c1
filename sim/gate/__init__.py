"""The gate: compares runs with a committed baseline to detect whether an algorithm got worse."""
