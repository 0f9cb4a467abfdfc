"""Accepting responses, composing what stands in the record, and delivering it; no I/O but through ports."""
