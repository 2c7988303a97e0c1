"""Differential privacy accounting: what noise on bounded sums costs, in epsilon at a delta."""
