"""Import of patients' records: exports of Synthea and FHIR bundles to the clinical table."""
