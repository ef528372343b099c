"""What the page's script reads: the cases, without what is null, as JSON that no HTML parser can be led out of."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rag.evaluation.slices import properties
from rag.evaluation.types import Case

# In a script element only "</script" and "<!--" end or change the state of the parser (HTML Standard, 13.2.5.4 ff.);
# escaping these characters wherever they stand leaves neither. U+2028 and U+2029 end lines in older JavaScript.
_ESCAPED = "<>&\u2028\u2029"
_ANSWER = (
    "text", "abstained", "outcome", "decided_by", "label", "faithfulness", "confidence", "invalid_markers",
    "cause", "failure", "redacted", "total_seconds", "judged_equivalent", "hallucinates",
)  # fmt: skip
_CLAIM = ("text", "start", "end", "verdict", "shown_verdict", "score", "decided_by", "where", "reasons")
_QUOTE = (
    "text",
    "document_id",
    "document_name",
    "document_version",
    "passage_id",
    "first_page",
    "last_page",
    "redacted",
)
_COUNTS = ("n_sentences", "n_recalled", "n_citations", "n_precise")


def embedded(value: Any) -> Markup:
    """JSON for a `<script type="application/json">`; the same value always gives the same text."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in _ESCAPED:
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def script_data(report: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The systems' names and every case with its answers in the order of the systems."""
    systems = [system["name"] for system in report["systems"]]
    slices = groups(report)
    more = {(line["case_id"], line["system"]): line for line in results}
    return {"systems": systems, "cases": [_case(case, systems, slices, more) for case in report["case_rows"]]}


def _case(
    case: Mapping[str, Any],
    systems: Sequence[str],
    slices: Mapping[tuple[str, str], int],
    more: Mapping[tuple[str, str], Mapping[str, Any]],
) -> dict[str, Any]:
    answers = {answer["system"]: answer for answer in case["answers"]}
    return {
        "id": case["case_id"],
        "question": case["question"],
        **_kept(case, ("document", "drafted", "reference_answers")),
        "answerable": case["answerable"],
        "slices": [slices[key] for key in _groups(case) if key in slices],
        "transitions": [case["transitions"].get(name) for name in systems],
        "answers": [
            _answer(answers[name], more.get((case["case_id"], name), {})) if name in answers else None
            for name in systems
        ],
    }


def groups(report: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """A number for each group of cases among the worst slices; several slices may be about one group."""
    keys = dict.fromkeys((item["property"], item["value"]) for item in report["slices"])
    return {key: place for place, key in enumerate(keys)}


def _groups(case: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The groups of a case, as the worst slices were looked for in."""
    return list(
        properties(
            Case(
                case_id=case["case_id"],
                question=case["question"],
                reference_answers=tuple(case["reference_answers"]),
                answerable=case["answerable"],
                document=case["document"],
                slices=case["slices"],
            )
        )
    )


def _answer(answer: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    written = _kept(answer, _ANSWER)
    if answer["claims"]:
        written["claims"] = [_quoting(claim, _CLAIM) for claim in answer["claims"]]
    if answer["citations"]:
        written["citations"] = [_quoting(citation, ("marker", "label", "literal")) for citation in answer["citations"]]
    if line.get("retrieved_passage_ids"):
        written["retrieved"] = list(line["retrieved_passage_ids"])
    if line.get("citation_counts"):
        written["counts"] = {key: line["citation_counts"][key] for key in _COUNTS}
    return written


def _quoting(value: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    written = _kept(value, keys)
    if value["quote"]:
        written["quote"] = _kept(value["quote"], _QUOTE)
    return written


def _kept(value: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The named entries that say something."""
    found = {key: value.get(key) for key in keys}
    return {
        key: item
        for key, item in found.items()
        if item is not None and item != [] and item != () and item is not False and item != {}
    }
