"""Symptom Intake: FHIR R4 questionnaires in, triaged and recorded answers out."""
