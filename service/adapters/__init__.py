"""The outside world behind the ports of service.records: a database and a FHIR server."""
