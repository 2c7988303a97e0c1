"""The clinical table: imported records of patients."""
