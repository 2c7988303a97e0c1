"""The federation: one table of rows, ordered by site, and the split of every patient."""
