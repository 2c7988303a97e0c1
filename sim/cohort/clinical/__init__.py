"""The clinical table: imported records of patients with a cancer."""
