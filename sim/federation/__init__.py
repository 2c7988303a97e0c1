"""The federation: one table of rows, site after site, and the sides of every patient."""
