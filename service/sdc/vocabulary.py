"""Canonical urls of the FHIR R4 and SDC (STU4) extensions that the engine reads, and its own variables."""

from __future__ import annotations

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"

VARIABLE = _CORE + "variable"
CONSTRAINT = _CORE + "questionnaire-constraint"
OPTION_EXCLUSIVE = _CORE + "questionnaire-optionExclusive"
ORDINAL_VALUE = _CORE + "ordinalValue"
ITEM_WEIGHT = _CORE + "itemWeight"
MIN_OCCURS = _CORE + "questionnaire-minOccurs"
MAX_OCCURS = _CORE + "questionnaire-maxOccurs"
MIN_LENGTH = _CORE + "minLength"
MIN_VALUE = _CORE + "minValue"
MAX_VALUE = _CORE + "maxValue"
MAX_DECIMAL_PLACES = _CORE + "maxDecimalPlaces"
REGEX = _CORE + "regex"
MIME_TYPE = _CORE + "mimeType"
MAX_SIZE = _CORE + "maxSize"
UNIT = _CORE + "questionnaire-unit"
UNIT_OPTION = _CORE + "questionnaire-unitOption"
UNIT_VALUE_SET = _CORE + "questionnaire-unitValueSet"
REFERENCE_RESOURCE = _CORE + "questionnaire-referenceResource"
CALCULATED_VALUE = _CORE + "cqf-calculatedValue"
CALCULATED_EXPRESSION_VALUE = _CORE + "cqf-expression"
MIN_QUANTITY = _SDC + "minQuantity"
MAX_QUANTITY = _SDC + "maxQuantity"
TARGET_CONSTRAINT = _CORE + "targetConstraint"

HIDDEN = _CORE + "questionnaire-hidden"
ITEM_CONTROL = _CORE + "questionnaire-itemControl"
ENTRY_FORMAT = _CORE + "entryFormat"
DISPLAY_CATEGORY = _CORE + "questionnaire-displayCategory"
RENDERING_MARKDOWN = _CORE + "rendering-markdown"
OPTION_PREFIX = _CORE + "questionnaire-optionPrefix"
OPEN_LABEL = _SDC + "openLabel"
SHORT_TEXT = _SDC + "shortText"

LAUNCH_CONTEXT = _SDC + "launchContext"
INITIAL_EXPRESSION = _SDC + "initialExpression"
SOURCE_QUERIES = _SDC + "sourceQueries"
ITEM_POPULATION_CONTEXT = _SDC + "itemPopulationContext"
OBSERVATION_LINK_PERIOD = _SDC + "observationLinkPeriod"
CALCULATED_EXPRESSION = _SDC + "calculatedExpression"
ENABLE_WHEN_EXPRESSION = _SDC + "enableWhenExpression"
TEMPLATE_EXTRACT = _SDC + "templateExtract"
TEMPLATE_EXTRACT_BUNDLE = _SDC + "templateExtractBundle"
TEMPLATE_EXTRACT_CONTEXT = _SDC + "templateExtractContext"
TEMPLATE_EXTRACT_VALUE = _SDC + "templateExtractValue"
EXTRACT_ALLOCATE_ID = _SDC + "extractAllocateId"
PATCH_REQUEST_URL = "https://smartforms.csiro.au/ig/StructureDefinition/TemplateExtractExtensionPatchRequestUrl"
OBSERVATION_EXTRACT = _SDC + "observationExtract"
OBSERVATION_EXTRACT_CATEGORY = _SDC + "observation-extract-category"
OBSERVATION_EXTRACT_ENTRY = _SDC + "observationExtractEntry"
DEFINITION_EXTRACT = _SDC + "definitionExtract"
DEFINITION_EXTRACT_VALUE = _SDC + "definitionExtractValue"
ITEM_EXTRACTION_CONTEXT = _SDC + "itemExtractionContext"
IS_SUBJECT = _SDC + "isSubject"

ANSWER_SOURCE = "https://symptom-intake.example/fhir/StructureDefinition/answer-source"
"""This engine's extension on a response item: where its prefilled answers came from, a Reference to the resource, or
the canonical of the Questionnaire that gives a default."""

FHIR_QUERY = "application/x-fhir-query"
"""The language of an Expression that is a FHIR search."""

DRAFT_STATUS = "in-progress"
"""The status of a QuestionnaireResponse that may still be incomplete."""

STANDARD_VARIABLES = frozenset(
    {"resource", "rootResource", "context", "questionnaire", "qitem", "ucum", "sct", "loinc"}
)
"""Variables that FHIRPath, FHIR and SDC define for every expression in a Questionnaire."""

RESPONSE_VARIABLES = frozenset({"authoredDate", "hidden", "exclusiveConflicts"})
"""Variables of this engine about the response as a whole: the calendar date of `authored` in its own offset, the
linkIds of questions that enableWhen hides, and of those where an exclusive option stood beside another answer."""

LOOK_BACK = "previous"
"""Variable of this engine for facts: earlier responses of the same subject to the page, the newest authored first."""

RULE_VARIABLES = frozenset({"fired", "notAssessed"})
"""Variables of this engine for rules about rules: the ids of the rules that fired, and of those not assessed."""
