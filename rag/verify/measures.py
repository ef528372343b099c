"""What kind of amount a question asks for, and whether an answer gives another kind: weeks asked, a share told."""

import re

_KINDS = {
    "time": "seconds? minutes? hours? days? nights? weeks? fortnights? months? quarters? years? decades? "
    "century centuries sekunden? minuten? stunden? tagen? tage wochen? monaten? monate jahren? jahre",
    "a share": "% percent percentage percentages prozent",
    "money": "[$£€] euros? eur dollars? usd pounds? gbp chf francs? yen jpy cents?",
    "length": "mm cm km millimet(?:er|re)s? centimet(?:er|re)s? met(?:er|re)s? kilomet(?:er|re)s? inch inches feet "
    "foot yards? miles?",
    "mass": "mg kg pounds? grams? kilograms? kilos? tons? tonnes?",
}
_UNITS = {kind: rf"(?:{'|'.join(units.split())})" for kind, units in _KINDS.items()}
_NUMBER = r"\d[\d,.]*(?:\s(?:hundred|thousand|million|billion|trillion))?"
_ASKED = [  # (what asks, what it asks for, kinds that answer it)
    *(
        (re.compile(rf"\b(?:how many|wie viele|number of)\s+(?:\w+\s+)?{unit}(?!\w)", re.IGNORECASE), kind, {kind})
        for kind, unit in _UNITS.items()
    ),
    (
        re.compile(r"\b(?:what|which)\s+(?:percent|percentage|share)\b|\bwie viel prozent\b", re.IGNORECASE),
        "a share",
        {"a share"},
    ),
    (
        re.compile(r"\bhow much\b.*\b(?:paid|pays?|costs?|charged?|prices?|earn(?:s|ed)?|spen[dt]|reimbursed)\b", re.I),
        "money",
        {"money", "a share"},
    ),
]
_TOLD = {
    kind: re.compile(rf"(?:{_NUMBER}[\s-]?|\b\w+[\s-]){unit}(?!\w)|(?<!\w){unit}\s?\d", re.IGNORECASE)
    for kind, unit in _UNITS.items()
}
_MAX_WORDS = 8  # a longer answer may tell more than what was asked


def other_measure(question: str, answer: str) -> tuple[str, str] | None:
    """(what the answer tells, the kind that was asked), where a short answer gives amounts of other kinds only.

    None where the question asks for no amount with a unit, or the answer names no unit: "14" may well be weeks.
    """
    asked = [(kind, accepted) for pattern, kind, accepted in _ASKED if pattern.search(question)]
    if len(asked) != 1 or len(answer.split()) > _MAX_WORDS:
        return None
    ((kind, accepted),) = asked
    told = {kind: match[0].strip() for kind, pattern in _TOLD.items() if (match := pattern.search(answer))}
    if not told or accepted & told.keys():
        return None
    return next(iter(told.values())), kind
