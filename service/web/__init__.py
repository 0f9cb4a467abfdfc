"""HTTP: the FHIR API, operations, probes and pages. The only package that knows Flask and status numbers."""
