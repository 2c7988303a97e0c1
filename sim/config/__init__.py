"""Settings: their schema, how they are composed, and how mistakes are refused."""
