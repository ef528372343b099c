"""A question and its answer as one statement, by rule: "When was Ada born?" and "1815" say "Ada was born in 1815"."""

import re

_END = re.compile(r"[\s?？.!]+$")
PARTICIPLE = (
    r"(?:\w+ed|born|built|held|made|found|known|written|won|sold|given|taken|seen|set|shown|spoken|used|sent|put|led"
    r"|begun|drawn|grown|chosen|founded|kept|lost|paid|laid)"
)
_BE = r"(?:is|was|are|were)"
_AUX = r"(?:is|was|are|were|has|have|had|can|could|will|would|may|might|must|should)"
_DO = r"(?:did|does|do)"
_TIME = r"(?:(?:in|on|during|by|at|since|from)\s+)?(?:what|which)\s+(?:year|month|day|date|century|decade|time|era)"
_WHEN = re.compile(rf"^(?:when|{_TIME})\s+({_DO}|{_BE})\s+(.+)$", re.IGNORECASE)
_WHERE = re.compile(
    rf"^(?:where|in (?:what|which) (?:city|country|state|place|town|region|area))\s+({_DO}|{_BE})\s+(.+)$",
    re.IGNORECASE,
)
_DID = re.compile(
    rf"^(?:what|which|who|whom|how many|how much)\b((?:\s+(?!(?:{_DO}|{_AUX})\b)[\w'’-]+){{0,5}}?)\s+{_DO}\s+(.+)$",
    re.IGNORECASE,
)
_COUNT = re.compile(rf"^how (?:many|much)\s+((?:[\w'’-]+\s+){{0,6}}?)({_AUX}|[a-z]+ed)\s+(.+)$", re.IGNORECASE)
_WHAT_IS_THE = re.compile(rf"^(?:what|who)\s+({_BE})\s+((?:the|a|an|his|her|its|their)\s+.+)$", re.IGNORECASE)
_SUBJECT = re.compile(rf"^(?:who|what|which)\s+({_AUX}|[a-z]{{2,}}(?:ed|s|es)|won|wrote|led|made|built)\s+(.+)$", re.I)
_KIND = re.compile(
    rf"^(?:what|which)\s+((?:[\w'’-]+\s+){{1,4}}?)({_AUX}|[a-z]+ed|won|wrote|led|made|built|became)\s+(.+)$", re.I
)
_PASSIVE = re.compile(rf"^(.+?)\s+({PARTICIPLE}\b.*)$", re.IGNORECASE)
_PREPOSITION = re.compile(r"^(?:in|on|at|by|during|from|since|until|after|before|between|around|about|near|to)\b", re.I)
_DAY = re.compile(r"^(?:[A-Z][a-z]+\s+\d{1,2}\b|\d{1,2}\s+[A-Z][a-z]+|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)")
_INSIDE = re.compile(
    r"(?<=\w\s)(?:what|whom|how many(?=\s))(?:\s+(?:year|kind|type|percent(?:age)?)\b)?", re.IGNORECASE
)
_STRANDED = re.compile(r"\s(?:of|by|for|with|to|from|at|in|on|as|into|about|than|under|over)$")


def declare(question: str, answer: str) -> str | None:
    """One statement, or None where no rule fits and the two are better read one after the other."""
    asked = _END.sub("", question.strip())
    answer = _END.sub("", answer.strip())
    if not answer or not asked or len(asked) > 300:
        return None
    said = _by_rule(asked, answer)
    return f"{said[0].upper()}{said[1:]}." if said else None


def _by_rule(asked: str, answer: str) -> str | None:
    """The statement of the first rule that fits."""
    for pattern, place in ((_WHEN, _at_time(answer)), (_WHERE, _at_place(answer))):
        found = pattern.match(asked)
        if found is not None:
            return _turned(found[1], found[2], place)
    found = _DID.match(asked)
    if found is not None:
        many = asked.casefold().startswith("how ")
        return f"{found[2]} {answer}{found[1] if many and found[1].strip() not in answer else ''}"
    found = _COUNT.match(asked)
    if found is not None:
        noun = "" if found[1].strip() and found[1].strip() in answer else found[1]
        return None if _STRANDED.search(asked) else f"{answer} {noun}{found[2]} {found[3]}"
    found = _WHAT_IS_THE.match(asked)
    if found is not None and not re.search(rf"\b{PARTICIPLE}$", asked) and not _STRANDED.search(asked):
        return f"{found[2]} {found[1]} {answer}"
    for pattern in (_SUBJECT, _KIND):
        found = pattern.match(asked)
        if found is not None and not _STRANDED.search(asked):
            verb, rest = found.groups()[-2:]
            return f"{answer} {verb} {rest}"
    found = None if re.match(r"(?:what|who|which|when|where|why|how)\b", asked, re.I) else _INSIDE.search(asked)
    return f"{asked[: found.start()]}{answer}{asked[found.end() :]}" if found is not None else None


def _turned(verb: str, rest: str, place: str) -> str | None:
    """The parts in the order of a statement: was, Ada born in London, in 1815 → Ada was born in London in 1815."""
    if verb.casefold() in ("did", "does", "do"):
        return f"{rest} {place}"  # "Ada publish her notes in 1843": the tense is lost, the statement is not
    found = _PASSIVE.match(rest)
    return f"{found[1]} {verb} {found[2]} {place}" if found is not None else f"{rest} {verb} {place}"


def _at_time(answer: str) -> str:
    if _PREPOSITION.match(answer):
        return answer
    return f"on {answer}" if _DAY.match(answer) else f"in {answer}"


def _at_place(answer: str) -> str:
    return answer if _PREPOSITION.match(answer) else f"in {answer}"
