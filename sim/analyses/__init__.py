"""Questions that a consortium answers by summing statistics exactly, not by averaging models."""
