import pytest

from llm.scripted import ScriptedDecoder
from rag.errors import InvalidInputError
from rag.evaluation.draft_cases import draft_cases


def draft(lab, n: int, seed: int = 0, decoder: ScriptedDecoder | None = None):
    passages = lab.passages
    ids = [int(one) for one in passages.ids("default")]
    return draft_cases(ids, lambda drawn: tuple(passages.get_many(drawn).values()), n, seed=seed, decoder=decoder)


def test_a_drafted_case_asks_for_a_fact_of_its_passage(lab) -> None:
    (case,) = draft(lab, 5)
    assert case.drafted and case.answerable and case.document == "handbook.txt"
    (answer,), (passage,) = case.reference_answers, case.gold_passages
    assert answer in passage and answer not in case.question
    assert case.question == "What belongs in the gap? “The office in Lisbon opened on ____.”"
    assert answer == "3 May 2019"


def test_the_decoder_writes_the_question_unless_it_gives_the_answer_away(lab) -> None:
    asked = []

    def reply(messages) -> str:
        asked.append(messages[-1].content)
        return ' "When did the office in Lisbon open? It was a Friday."'

    (case,) = draft(lab, 1, decoder=ScriptedDecoder(reply))
    assert case.question == "When did the office in Lisbon open?"
    assert "Answer: 3 May 2019" in asked[0]
    for bad in ("Did it open on 3 May 2019 in Lisbon?", "No question.", "When?", "w " * 400 + "?"):
        (case,) = draft(lab, 1, decoder=ScriptedDecoder([bad]))
        assert case.question.startswith("What belongs in the gap?")


def test_the_same_seed_drafts_the_same(library) -> None:
    for number in range(12):
        line = f"The machine number {number} in hall {number + 40} was made in {1950 + number} by hand."
        library.add(line, name=f"{number}.txt")

    def run(seed: int):
        passages = library.catalog.passages
        ids = [int(one) for one in passages.ids("default")]
        return draft_cases(ids, lambda drawn: tuple(passages.get_many(drawn).values()), 4, seed=seed)

    assert run(1) == run(1) != run(2)
    assert [case.case_id for case in run(1)] == ["draft-1", "draft-2", "draft-3", "draft-4"]
    assert len({case.document for case in run(1)}) == 4


@pytest.mark.parametrize("n", [0, 1001])
def test_bad_counts_and_empty_collections_are_refused(lab, n: int) -> None:
    with pytest.raises(InvalidInputError, match="1 to 1000"):
        draft(lab, n)
    with pytest.raises(InvalidInputError, match="no passages"):
        draft_cases([], lambda drawn: (), 1, seed=0)
    with pytest.raises(InvalidInputError, match="by hand"):
        draft_cases([1], lambda drawn: (), 1, seed=0)
