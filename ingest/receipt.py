"""The account of what a file became, and a look for text that speaks to a model rather than to a reader.

The look is a heuristic: it flags and warns, and nothing is removed, since a handbook on prompts is a document, too.
What keeps such text from being obeyed is the prompt, not this.
"""

import dataclasses
import re

from rag.types import PageReceipt, ParsedDocument, Receipt

_ORDERS = re.compile(
    r"""
    \b(?:ignore|disregard|forget|override)\s+(?:(?:all|any|the|your|of|these|every)\s+){0,4}
        (?:previous|prior|above|preceding|earlier|foregoing|other)\s+
        (?:(?:system|given)\s+)?(?:instruction|prompt|rule|direction|command|message|context|guideline)s?
    | \b(?:ignoriere|vergiss|missachte)\s+(?:(?:alle|die|deine|sämtliche)\s+){0,3}
        (?:vorherigen|bisherigen|obigen|früheren|vorigen)\s+(?:anweisungen|befehle|regeln|vorgaben|instruktionen)
    | \b(?:reveal|print|repeat|show|leak)\s+(?:(?:me|us|the|your|full|hidden|entire)\s+){0,4}
        (?:system|initial|developer)\s+(?:prompt|message|instructions)
    | \byou\s+are\s+now\s+(?:in\s+\w+\s+mode|a\s+different|an?\s+(?:ai|assistant|unrestricted|jailbroken))
    | \b(?:as\s+an?\s+)?(?:ai|llm|language\s+model|chatbot|assistant)s?\s*(?:,|:)?\s+you\s+(?:must|should|will|shall)\b
    | \bnew\s+(?:system\s+)?(?:instructions|prompt)\s*:
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What chat templates put around roles and turns.
_ROLE_TOKENS = re.compile(
    r"""
    <\|[A-Za-z_]{2,32}\|>
    | <<\s*/?\s*SYS\s*>> | \[/?INST\] | </?(?:start|end)_of_turn>
    | ^\s*\#{2,}\s*(?:system|assistant|instruction)\s*(?:prompt)?\s*:
    | ^\s*</?(?:system|assistant)>
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)


def speaks_to_a_model(text: str) -> bool:
    """Whether `text` has a phrase that orders a model about, or a role marker of a chat template."""
    return _ORDERS.search(text) is not None or _ROLE_TOKENS.search(text) is not None


def complete_receipt(parsed: ParsedDocument) -> Receipt:
    """The loader's receipt with a row for each page (one row for formats without pages) and `instructions` flagged."""
    receipt = parsed.receipt
    given = {row.page: row for row in receipt.pages}
    places = [(page.number, page.start, page.end) for page in parsed.pages] or [(None, 0, len(parsed.text))]
    rows = []
    for number, start, end in places:
        row = given.get(number) or PageReceipt(page=number, n_chars=0)
        flags = tuple(flag for flag in row.flags if flag != "instructions")
        if speaks_to_a_model(parsed.text[start:end]):
            flags = (*flags, "instructions")
        rows.append(dataclasses.replace(row, n_chars=end - start, flags=flags))
    warnings = receipt.warnings
    flagged = [row.page for row in rows if "instructions" in row.flags]
    if flagged:
        warnings = (*warnings, _instructions_warning(flagged))
    return dataclasses.replace(receipt, pages=tuple(rows), warnings=warnings)


def name_pages(numbers: list[int]) -> str:
    """Page numbers for a sentence: "page 3", "pages 1, 2 and 5", "pages 1, 2, 3 and 17 more"."""
    if len(numbers) == 1:
        return f"page {numbers[0]}"
    shown, rest = (numbers[:-1], str(numbers[-1])) if len(numbers) <= 5 else (numbers[:4], f"{len(numbers) - 4} more")
    return f"pages {', '.join(map(str, shown))} and {rest}"


def _instructions_warning(flagged: list[int | None]) -> str:
    numbers = [number for number in flagged if number is not None]
    place = f"on {name_pages(numbers)} " if numbers else ""
    return f"Text {place}reads like instructions to a language model; it is treated as plain text."
