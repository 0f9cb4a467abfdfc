"""FHIRPath 2.0 for FHIR R4 JSON, compiled into closures. Strict: what it does not know is an error, never empty."""

from service.fhirpath.environment import Environment, ItemIndex, index_items
from service.fhirpath.errors import EvaluationError, FhirPathError
from service.fhirpath.expression import Expression, compile_expression
from service.fhirpath.nodes import Node
from service.fhirpath.quantity import Quantity
from service.fhirpath.temporal import Date, DateTime, Time
from service.fhirpath.values import Collection, Item, json_value, type_name

__all__ = [
    "Collection",
    "Date",
    "DateTime",
    "Environment",
    "EvaluationError",
    "Expression",
    "FhirPathError",
    "Item",
    "ItemIndex",
    "Node",
    "Quantity",
    "Time",
    "compile_expression",
    "index_items",
    "json_value",
    "type_name",
]
