"""Which extensions of FHIR and SDC the engine carries out, and which it may leave to the form that shows them."""

from __future__ import annotations

from collections.abc import Iterator

from service.errors import Issue, IssueType, error
from service.fhir.json import Json
from service.sdc import vocabulary as sdc

_CARRIED_OUT = frozenset(
    {
        sdc.VARIABLE,
        sdc.CONSTRAINT,
        sdc.OPTION_EXCLUSIVE,
        sdc.TARGET_CONSTRAINT,
        sdc.ORDINAL_VALUE,
        sdc.ITEM_WEIGHT,
        sdc.CALCULATED_EXPRESSION,
        sdc.MIN_OCCURS,
        sdc.MAX_OCCURS,
        sdc.MIN_LENGTH,
        sdc.MIN_VALUE,
        sdc.MAX_VALUE,
        sdc.MIN_QUANTITY,
        sdc.MAX_QUANTITY,
        sdc.MAX_DECIMAL_PLACES,
        sdc.REGEX,
        sdc.MIME_TYPE,
        sdc.MAX_SIZE,
        sdc.UNIT_OPTION,
        sdc.UNIT_VALUE_SET,
        sdc.REFERENCE_RESOURCE,
        sdc.CALCULATED_VALUE,
        sdc.CALCULATED_EXPRESSION_VALUE,
        sdc.LAUNCH_CONTEXT,
        sdc.INITIAL_EXPRESSION,
        sdc.SOURCE_QUERIES,
        sdc.ITEM_POPULATION_CONTEXT,
        sdc.OBSERVATION_LINK_PERIOD,
        sdc.ENABLE_WHEN_EXPRESSION,
        sdc.TEMPLATE_EXTRACT,
        sdc.TEMPLATE_EXTRACT_BUNDLE,
        sdc.TEMPLATE_EXTRACT_CONTEXT,
        sdc.TEMPLATE_EXTRACT_VALUE,
        sdc.EXTRACT_ALLOCATE_ID,
        sdc.OBSERVATION_EXTRACT,
        sdc.OBSERVATION_EXTRACT_CATEGORY,
        sdc.OBSERVATION_EXTRACT_ENTRY,
        sdc.DEFINITION_EXTRACT,
        sdc.DEFINITION_EXTRACT_VALUE,
        sdc.ITEM_EXTRACTION_CONTEXT,
        sdc.IS_SUBJECT,
    }
)
_CORE = "http://hl7.org/fhir/StructureDefinition/"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
_SHOWN_ONLY = frozenset(
    {
        sdc.UNIT,
        sdc.HIDDEN,
        sdc.ITEM_CONTROL,
        _CORE + "questionnaire-choiceOrientation",
        sdc.DISPLAY_CATEGORY,
        sdc.OPTION_PREFIX,
        sdc.ENTRY_FORMAT,
        _CORE + "translation",
        _CORE + "rendering-style",
        sdc.RENDERING_MARKDOWN,
        _CORE + "rendering-xhtml",
        _CORE + "designNote",
        sdc.SHORT_TEXT,
        sdc.OPEN_LABEL,
        _SDC + "optionalDisplay",
    }
)
_BEHAVIOUR = (_CORE, "http://hl7.org/fhir/uv/sdc/")


def unsupported_features(definition: Json) -> Iterator[Issue]:
    """An issue for each FHIR or SDC extension that would change what a Questionnaire means, but is not carried out."""
    for path, url in _extension_urls(definition, "Questionnaire", within_template=False):
        # A modifier changes what it stands on, so what is not known of it must not be passed over.
        is_modifier = ".modifierExtension[" in path
        if is_modifier or (url.startswith(_BEHAVIOUR) and url not in _CARRIED_OUT | _SHOWN_ONLY):
            text = f"The extension {url} is not supported. Leave it out, or say it by another feature."
            yield error(IssueType.NOT_SUPPORTED, text, path)


def _extension_urls(node: object, path: str, *, within_template: bool) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for index, child in enumerate(node):
            yield from _extension_urls(child, f"{path}[{index}]", within_template=within_template)
    elif isinstance(node, dict):
        for key, child in node.items():
            if key in ("extension", "modifierExtension"):
                for index, extension in enumerate(child):
                    url = str(extension.get("url"))
                    # A template carries extensions for the resource that it becomes; those are not the form's.
                    if not within_template or url.startswith(_SDC):
                        yield f"{path}.{key}[{index}]", url
            else:
                inside = within_template or key == "contained"
                yield from _extension_urls(child, f"{path}.{key}", within_template=inside)
