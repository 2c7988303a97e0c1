"""The engine: rounds of any method over any federation, on any executor."""
