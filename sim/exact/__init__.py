"""Analyses by sums over patients: over all sites they are those of the pooled rows."""
