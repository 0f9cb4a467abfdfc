"""FHIR R4 JSON: strict reading and writing, models, outcomes, terminology."""
