"""Facts about earlier responses, which the proof takes as they are: true or false, whatever was answered now.

That is sound where a fact can only become true by a further earlier response, or by a further answer, and never cease
to be. So it must be a path that ends in `.exists()`: from `%previous`, by steps that look at each element alone, and
perhaps kept to what is among the answers now by intersect().
"""

from __future__ import annotations

from service.fhirpath.parser import parse
from service.fhirpath.syntax import Call, Index, Member, Syntax, Variable, parts
from service.packs.proof.reading import CLOCK, CONSTANT, question_path, unprovable
from service.sdc import vocabulary as sdc
from service.sdc.questionnaire import Questionnaire


def check_look_back(questionnaire: Questionnaire, fact: str) -> None:
    """Raises Unprovable unless `fact`, which reads earlier responses, can only become true by more of them."""
    match parse(questionnaire.expressions[fact].text):
        case Call(name="exists", source=source, arguments=()) if source is not None and _grows(questionnaire, source):
            return
    text = (
        f"'{fact}' looks back at earlier responses, but may be no Boolean, or cease to be true with one more. "
        "Write a path from %previous, with where() and intersect(), that ends in .exists(); join it in the rule."
    )
    raise unprovable(text, f"Questionnaire.extension (variable {fact})")


def _grows(questionnaire: Questionnaire, syntax: Syntax) -> bool:
    """True for a path from the earlier responses that finds no less where there are more of them, or more answers."""
    match syntax:
        case Variable(name=name) if name in questionnaire.expressions:
            return _grows(questionnaire, parse(questionnaire.expressions[name].text))
        case Variable(name=name):
            return name == sdc.LOOK_BACK
        case Member(source=source) | Call(name="ofType", source=source) if source is not None:
            return _grows(questionnaire, source)
        case Call(name="where" | "select" | "repeat", source=source, arguments=(step,)) if source is not None:
            return _looks_at_one(step) and _grows(questionnaire, source)
        case Call(name="intersect", source=source, arguments=(other,)) if source is not None:
            return _are_answers(questionnaire, other) and _grows(questionnaire, source)
    return False


def _looks_at_one(step: Syntax) -> bool:
    """True for what is said of one element alone, wherever it stands, and of the day of authoring."""
    known = CONSTANT | {"authoredDate"}
    for part in parts(step):
        match part:
            case Variable(name=name) if name not in known:
                return False
            case Call(name=name) if name in CLOCK:
                return False
            case Index():
                return False
    return True


def _are_answers(questionnaire: Questionnaire, syntax: Syntax) -> bool:
    """True for the answers now to a question that is always shown: a further answer, to whatever, takes none away."""
    match syntax:
        case Variable(name=name) if name in questionnaire.expressions:
            return _are_answers(questionnaire, parse(questionnaire.expressions[name].text))
        case Member(source=source) | Call(name="ofType", source=source) if source is not None:
            return _are_answers(questionnaire, source)
    asked = [questionnaire.by_link_id.get(one) for one in question_path(syntax) or ()]
    return bool(asked) and all(item is not None and item.always_shown for item in asked)
