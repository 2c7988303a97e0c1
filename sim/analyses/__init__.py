"""Questions that a consortium answers by exact sums of statistics, not by averaging models."""
