"""The calibrated generator: synthetic patients whose truth is known."""
