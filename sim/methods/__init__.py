"""The axes of a federated method; none imports another, and none imports the engine."""
