"""Faults of users as data, and the errors of the domain. Nothing here knows HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """FHIR R4 issue-severity."""

    FATAL = "fatal"
    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


class IssueType(StrEnum):
    """The codes of FHIR R4 issue-type that this service uses."""

    INVALID = "invalid"
    STRUCTURE = "structure"
    REQUIRED = "required"
    VALUE = "value"
    INVARIANT = "invariant"
    SECURITY = "security"
    LOGIN = "login"
    FORBIDDEN = "forbidden"
    PROCESSING = "processing"
    NOT_SUPPORTED = "not-supported"
    DUPLICATE = "duplicate"
    MULTIPLE_MATCHES = "multiple-matches"
    NOT_FOUND = "not-found"
    DELETED = "deleted"
    TOO_LONG = "too-long"
    CODE_INVALID = "code-invalid"
    EXTENSION = "extension"
    TOO_COSTLY = "too-costly"
    BUSINESS_RULE = "business-rule"
    CONFLICT = "conflict"
    TRANSIENT = "transient"
    THROTTLED = "throttled"
    INCOMPLETE = "incomplete"
    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    INFORMATIONAL = "informational"


class Detail(StrEnum):
    """What exactly was found: the codes of this service's own CodeSystem (service/fhir/issue-code-system.json)."""

    MALFORMED = "malformed"
    UNKNOWN_ELEMENT = "unknown-element"
    WRONG_TYPE = "wrong-type"
    EMPTY_ELEMENT = "empty-element"
    INVALID_VALUE = "invalid-value"
    INVALID_STATUS = "invalid-status"
    REQUIRED_MISSING = "required-missing"
    UNKNOWN_QUESTIONNAIRE = "unknown-questionnaire"
    OTHER_QUESTIONNAIRE = "other-questionnaire"
    NO_VERSION = "no-version"
    NO_AUTHORED = "no-authored"
    KEPT_AS_AMENDED = "kept-as-amended"
    AUTHORED_IN_FUTURE = "authored-in-future"
    NOT_ACTIVE = "not-active"
    NOT_IN_EFFECT = "not-in-effect"
    QUESTIONNAIRE_UNUSABLE = "questionnaire-unusable"
    PLAN_UNUSABLE = "plan-unusable"
    TEMPLATE_UNUSABLE = "template-unusable"
    NOT_EXTRACTED = "not-extracted"
    UNKNOWN_LINK_ID = "unknown-link-id"
    WRONG_PLACE = "wrong-place"
    DUPLICATE_ITEM = "duplicate-item"
    DUPLICATE_ANSWER = "duplicate-answer"
    ANSWER_ON_GROUP = "answer-on-group"
    ANSWER_WITHOUT_VALUE = "answer-without-value"
    ANSWER_NOT_ENABLED = "answer-not-enabled"
    TEXT_DIFFERS = "text-differs"
    NOT_AN_OPTION = "not-an-option"
    EXCLUSIVE_OPTION_COMBINED = "exclusive-option-combined"
    VALUE_SET_UNRESOLVED = "value-set-unresolved"
    TOO_MANY_ANSWERS = "too-many-answers"
    TOO_FEW_ANSWERS = "too-few-answers"
    CONSTRAINT_VIOLATED = "constraint-violated"
    EXPRESSION_FAILED = "expression-failed"
    CALCULATED_DIFFERS = "calculated-differs"
    CALCULATED_MISSING = "calculated-missing"
    OUT_OF_BOUNDS = "out-of-bounds"
    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    TOO_PRECISE = "too-precise"
    PATTERN_MISMATCH = "pattern-mismatch"
    WRONG_UNIT = "wrong-unit"
    WRONG_TARGET = "wrong-target"
    INVALID_REFERENCE = "invalid-reference"
    WRONG_CONTENT_TYPE = "wrong-content-type"
    SIZE_DIFFERS = "size-differs"
    TOO_LARGE = "too-large"
    NOT_POPULATED = "not-populated"
    DATA_NOT_AT_HAND = "data-not-at-hand"


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding about an input.

    `text` says what is wrong and how to mend it; `expression` is the FHIRPath-like path of the element
    (`QuestionnaireResponse.item[2].answer[0]`); `detail` is a code of this service's own CodeSystem of issues.
    """

    severity: Severity
    code: IssueType
    text: str
    expression: str | None = None
    detail: Detail | None = None

    @property
    def is_error(self) -> bool:
        """True if the finding refuses the input."""
        return self.severity in (Severity.FATAL, Severity.ERROR)


def error(code: IssueType, text: str, expression: str | None = None, detail: Detail | None = None) -> Issue:
    """An issue of severity error."""
    return Issue(Severity.ERROR, code, text, expression, detail)


class DomainError(Exception):
    """A request that cannot be carried out; `issues` tell the caller why and how to mend it."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues = tuple(issues)
        super().__init__("; ".join(issue.text for issue in self.issues))


class Unauthenticated(DomainError):
    """Nobody knows who calls. `refused` says that credentials came, and were not good."""

    def __init__(self, issues: Iterable[Issue], *, refused: bool) -> None:
        super().__init__(issues)
        self.refused = refused


class Forbidden(DomainError):
    """Whoever calls may not do this. `scope` names a SMART scope that would do."""

    def __init__(self, issues: Iterable[Issue], scope: str | None = None) -> None:
        super().__init__(issues)
        self.scope = scope


class Malformed(DomainError):
    """The input cannot be read at all."""


class Invalid(DomainError):
    """The input can be read, but breaks a rule."""


class NotFound(DomainError):
    """No such thing here."""


class Gone(DomainError):
    """It was here, and is not any more."""


class NotSupported(DomainError):
    """A feature that this service does not offer."""


class Conflict(DomainError):
    """The same key already stands for something else."""


class PreconditionFailed(DomainError):
    """The state is not the one the caller expected."""


class TooLarge(DomainError):
    """The input exceeds a limit."""


class Unavailable(DomainError):
    """Not possible now; the same request may succeed after `retry_after_seconds`."""

    def __init__(self, issues: Iterable[Issue], retry_after_seconds: int) -> None:
        super().__init__(issues)
        self.retry_after_seconds = retry_after_seconds


class TooManyRequests(Unavailable):
    """The caller sends more than is taken."""
