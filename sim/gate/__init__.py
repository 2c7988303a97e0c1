"""A gate: runs beside a committed baseline, and whether an algorithm got worse."""
