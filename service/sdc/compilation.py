"""Compiles a Questionnaire: items, options, conditions, constraints, limits, variables.

What cannot be compiled becomes an issue of the compiled Questionnaire: a gate may refuse it, a validation of a response
reports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from service.errors import Detail, Issue, IssueType, Severity
from service.fhir.elements import choice_key, extension_value, extensions, typed_extension_value
from service.fhir.json import Json
from service.fhir.r4_terminology import is_unit_of
from service.fhir.terminology import Terminology
from service.fhirpath import Expression, FhirPathError, compile_expression
from service.sdc import vocabulary as sdc
from service.sdc.comparison import answer_key
from service.sdc.limits import compile_limits
from service.sdc.questionnaire import (
    Condition,
    Constraint,
    EnableBehavior,
    Item,
    ItemType,
    Option,
    Questionnaire,
    Variable,
    look_back_hint,
    root_names,
)

_VALUE_KEY: Mapping[ItemType, str] = MappingProxyType(
    {
        ItemType.BOOLEAN: "valueBoolean",
        ItemType.DECIMAL: "valueDecimal",
        ItemType.INTEGER: "valueInteger",
        ItemType.DATE: "valueDate",
        ItemType.DATE_TIME: "valueDateTime",
        ItemType.TIME: "valueTime",
        ItemType.STRING: "valueString",
        ItemType.TEXT: "valueString",
        ItemType.URL: "valueUri",
        ItemType.CHOICE: "valueCoding",
        ItemType.OPEN_CHOICE: "valueCoding",
        ItemType.ATTACHMENT: "valueAttachment",
        ItemType.REFERENCE: "valueReference",
        ItemType.QUANTITY: "valueQuantity",
    }
)


_TYPES: Mapping[str, str] = MappingProxyType({sdc.LOOK_BACK: "QuestionnaireResponse"})


def compile_questionnaire(definition: Json, terminology: Terminology | None = None) -> Questionnaire:
    """The compiled form of a Questionnaire resource; `terminology` adds value sets beside the contained ones.

    Raises nothing for what is wrong inside: see `Questionnaire.issues`.
    """
    packaged = terminology or Terminology.of(())
    return _Compiler(definition, packaged.with_contained(definition.get("contained", ()))).compile()


@dataclass(slots=True)
class _Compiler:
    definition: Json
    terminology: Terminology
    issues: list[Issue] = field(default_factory=list)
    by_link_id: dict[str, Item] = field(default_factory=dict)
    look_back: frozenset[str] = frozenset()

    def compile(self) -> Questionnaire:
        launch_contexts = frozenset(self._launch_contexts())
        population_names = frozenset(_population_names(self.definition))
        names = root_names(launch_contexts | population_names)
        facts = names | {sdc.LOOK_BACK}
        variables = self._variables(self.definition, "Questionnaire", facts, "QuestionnaireResponse")
        self.look_back = _looking_back(variables)
        names |= {variable.name for variable in variables} - self.look_back
        constraints = self._constraints(self.definition, "Questionnaire", names, "QuestionnaireResponse")
        items = self._items(self.definition, "Questionnaire", names, (), True)
        self._check_conditions()
        return Questionnaire(
            definition=self.definition,
            url=self.definition.get("url"),
            version=self.definition.get("version"),
            status=self.definition.get("status", "unknown"),
            items=items,
            positions=_positions(items),
            by_link_id=self.by_link_id,
            variables=variables,
            expressions={variable.name: variable.expression for variable in variables},
            look_back=self.look_back,
            constraints=constraints,
            launch_contexts=launch_contexts,
            population_names=population_names,
            terminology=self.terminology,
            weights=dict(_weights(self.definition)),
            issues=tuple(self.issues),
        )

    def _launch_contexts(self) -> Iterator[str]:
        for extension in extensions(self.definition, sdc.LAUNCH_CONTEXT):
            name = extension_value(extension, "name")
            yield name["code"] if isinstance(name, dict) else str(name)

    def _items(
        self, parent: Json, path: str, names: frozenset[str], ancestors: tuple[str, ...], always_shown: bool
    ) -> tuple[Item, ...]:
        return tuple(
            self._item(definition, f"{path}.item[{index}]", names, ancestors, always_shown)
            for index, definition in enumerate(parent.get("item", []))
        )

    def _item(
        self, definition: Json, path: str, names: frozenset[str], ancestors: tuple[str, ...], always_shown: bool
    ) -> Item:
        link_id = definition.get("linkId", "")
        variables = self._variables(definition, path, names, "QuestionnaireResponse.item")
        names |= {variable.name for variable in variables}
        enable_expression = self._expression(
            extension_value(definition, sdc.ENABLE_WHEN_EXPRESSION), path, names, "QuestionnaireResponse.item"
        )
        options, unresolved = self._options(definition, path)
        always_shown = always_shown and "enableWhen" not in definition and enable_expression is None
        items = self._items(definition, path, names, (*ancestors, link_id), always_shown)
        kind = self._type(definition, path)
        item = Item(
            link_id=link_id,
            type=kind,
            text=definition.get("text", ""),
            path=path,
            definition=definition,
            required=definition.get("required", False),
            repeats=definition.get("repeats", False),
            ancestors=ancestors,
            always_shown=always_shown,
            may_hide=not always_shown or any(item.may_hide for item in items),
            options=options,
            option_keys={option.key: option for option in options or ()},
            unresolved_value_set=unresolved,
            conditions=tuple(self._conditions(definition, path)),
            behavior=self._behavior(definition, path),
            enable_expression=enable_expression,
            calculated=self._expression(
                extension_value(definition, sdc.CALCULATED_EXPRESSION), path, names, "QuestionnaireResponse.item"
            ),
            constraints=self._constraints(definition, path, names, "QuestionnaireResponse.item"),
            limits=compile_limits(
                definition,
                lambda source: self._expression(source, path, names, "QuestionnaireResponse.item"),
                self.terminology,
            ),
            min_occurs=typed_extension_value(definition, sdc.MIN_OCCURS, int) or 0,
            max_occurs=typed_extension_value(definition, sdc.MAX_OCCURS, int),
            variables=variables,
            expressions={variable.name: variable.expression for variable in variables},
            items=items,
            is_question=kind not in (ItemType.GROUP, ItemType.DISPLAY),
            answer_keys=_answer_keys(kind, options),
            positions=_positions(items),
        )
        if link_id in self.by_link_id:
            self._refuse(IssueType.DUPLICATE, f"The linkId '{link_id}' stands twice. Give each item its own.", path)
        self.by_link_id[link_id] = item
        return item

    def _type(self, definition: Json, path: str) -> ItemType:
        try:
            return ItemType(definition.get("type", ""))
        except ValueError:
            known = ", ".join(ItemType)
            self._refuse(IssueType.CODE_INVALID, f"'{definition.get('type')}' is no item type. Use {known}.", path)
            return ItemType.DISPLAY

    def _behavior(self, definition: Json, path: str) -> EnableBehavior:
        code = definition.get("enableBehavior", EnableBehavior.ALL)
        if code not in tuple(EnableBehavior):
            self._refuse(IssueType.CODE_INVALID, f"'{code}' is no enableBehavior. Use all or any.", path)
            return EnableBehavior.ALL
        return EnableBehavior(code)

    def _options(self, definition: Json, path: str) -> tuple[tuple[Option, ...] | None, str | None]:
        """The options of a question, and the canonical of a value set that is not at hand."""
        if "answerOption" in definition:
            return tuple(_option(element) for element in definition["answerOption"]), None
        canonical = definition.get("answerValueSet")
        if canonical is None:
            return None, None
        codings = self.terminology.expand(canonical)
        if codings is None and is_unit_of(canonical, {}) is None:
            text = f"The value set '{canonical}' is not at hand, or cannot be listed. Contain it, or list its codes."
            self.issues.append(Issue(Severity.WARNING, IssueType.NOT_FOUND, text, f"{path}.answerValueSet"))
        if codings is None:
            return None, canonical
        return tuple(_option({"valueCoding": coding}) for coding in codings), None

    def _conditions(self, definition: Json, path: str) -> Iterator[Condition]:
        for index, element in enumerate(definition.get("enableWhen", [])):
            key = next((name for name in element if name.startswith("answer")), None)
            if key is None or "question" not in element or "operator" not in element:
                text = "An enableWhen needs question, operator and answer[x]."
                self._refuse(IssueType.REQUIRED, text, f"{path}.enableWhen[{index}]")
                continue
            value_key = key.replace("answer", "value", 1)
            yield Condition(element["question"], element["operator"], value_key, element[key])

    def _check_conditions(self) -> None:
        for item in self.by_link_id.values():
            for index, condition in enumerate(item.conditions):
                place = f"{item.path}.enableWhen[{index}]"
                if condition.question not in self.by_link_id:
                    self._refuse(IssueType.NOT_FOUND, f"There is no item '{condition.question}'.", f"{place}.question")
                if condition.operator not in ("exists", "=", "!=", ">", "<", ">=", "<="):
                    self._refuse(IssueType.CODE_INVALID, f"'{condition.operator}' is no operator.", f"{place}.operator")

    def _constraints(self, element: Json, path: str, names: frozenset[str], context: str) -> tuple[Constraint, ...]:
        found = []
        for extension in (*extensions(element, sdc.CONSTRAINT), *extensions(element, sdc.TARGET_CONSTRAINT)):
            source = extension_value(extension, "expression")
            text = source.get("expression") if isinstance(source, dict) else source
            is_warning = extension_value(extension, "severity") == "warning"
            severity = Severity.WARNING if is_warning else Severity.ERROR
            expression = self._expression({"expression": text}, path, names, context, severity)
            if expression is not None:
                human = extension_value(extension, "human") or f"It breaks the rule {text}."
                found.append(Constraint(str(extension_value(extension, "key")), severity, human, expression))
        return tuple(found)

    def _variables(self, element: Json, path: str, names: frozenset[str], context: str) -> tuple[Variable, ...]:
        found: list[Variable] = []
        for extension in extensions(element, sdc.VARIABLE):
            source = extension.get("valueExpression", {})
            if source.get("language") == sdc.FHIR_QUERY:
                continue
            expression = self._expression(source, path, names, context)
            if expression is not None:
                found.append(Variable(source.get("name", ""), expression))
                names |= {source.get("name", "")}
        return tuple(found)

    def _expression(
        self,
        source: Json | None,
        path: str,
        names: frozenset[str],
        context: str,
        severity: Severity = Severity.ERROR,
    ) -> Expression | None:
        """The expression in `source`; None, and an issue of `severity` more, when it cannot be compiled."""
        if source is None:
            return None
        language, text = source.get("language", "text/fhirpath"), source.get("expression")
        if language != "text/fhirpath":
            reason = f"Only FHIRPath expressions are supported, not '{language}'."
            self._refuse(IssueType.NOT_SUPPORTED, reason, path, severity)
            return None
        if not isinstance(text, str):
            self._refuse(IssueType.REQUIRED, "An expression needs its text in 'expression'.", path, severity)
            return None
        try:
            return compile_expression(text, context_type=context, variables=names, types=_TYPES)
        except FhirPathError as fault:
            name = f" (variable {source['name']})" if "name" in source else ""
            hint = look_back_hint(text, self.look_back)
            text = f"The expression{name} cannot be compiled: {fault}{hint}"
            self._refuse(IssueType.INVALID, text, path, severity)
            return None

    def _refuse(self, code: IssueType, text: str, path: str, severity: Severity = Severity.ERROR) -> None:
        self.issues.append(Issue(severity, code, text, path, Detail.QUESTIONNAIRE_UNUSABLE))


def _looking_back(variables: Sequence[Variable]) -> frozenset[str]:
    """The names of the variables that read earlier responses, themselves or through those before them."""
    found: set[str] = set()
    for variable in variables:
        if variable.expression.variables & {sdc.LOOK_BACK, *found}:
            found.add(variable.name)
    return frozenset(found)


def _option(element: Json) -> Option:
    key = choice_key(element) or "valueString"
    exclusive = extension_value(element, sdc.OPTION_EXCLUSIVE) is True
    return Option({key: element.get(key)}, answer_key(key, element.get(key)), exclusive)


def _weights(element: Json) -> Iterator[tuple[tuple[str | None, str | None], Decimal]]:
    """The ordinal values of the options in and below `element`, on the option or on its Coding."""
    for option in element.get("answerOption", []):
        coding = option.get("valueCoding", {})
        for holder in (option, coding):
            for url in (sdc.ORDINAL_VALUE, sdc.ITEM_WEIGHT):
                number = typed_extension_value(holder, url, int, Decimal)
                if number is not None:
                    yield (coding.get("system"), coding.get("code")), Decimal(number)
    for item in element.get("item", []):
        yield from _weights(item)


def _positions(items: Sequence[Item]) -> dict[str, int]:
    return {item.link_id: position for position, item in enumerate(items)}


def _answer_keys(kind: ItemType, options: Sequence[Option] | None) -> frozenset[str]:
    """The names that the value of an answer may have."""
    open_text = {"valueString"} if kind is ItemType.OPEN_CHOICE else frozenset[str]()
    match kind:
        case ItemType.GROUP | ItemType.DISPLAY:
            return frozenset()
        case ItemType.QUESTION if options is None:
            return frozenset(_VALUE_KEY.values())
        case _ if options is None:
            return frozenset({_VALUE_KEY[kind]} | open_text)
        case _:
            return frozenset({option.key[0] for option in options} | open_text)


def _population_names(element: Json) -> Iterator[str]:
    """The names that queries and population contexts on and below `element` give to what they find."""
    for extension in extensions(element, sdc.VARIABLE):
        source = extension.get("valueExpression", {})
        if source.get("language") == sdc.FHIR_QUERY:
            yield source.get("name", "")
    for extension in extensions(element, sdc.SOURCE_QUERIES):
        yield str(extension.get("valueReference", {}).get("reference", "")).removeprefix("#")
    for extension in extensions(element, sdc.ITEM_POPULATION_CONTEXT):
        yield extension.get("valueExpression", {}).get("name", "")
    for item in element.get("item", []):
        yield from _population_names(item)
