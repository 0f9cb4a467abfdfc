"""Structured Data Capture: compiles one Questionnaire and one PlanDefinition, and applies them to responses."""
