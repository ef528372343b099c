from hypothesis import given
from hypothesis import strategies as st

from rag.verify.windows import MAX_SENTENCES, N_WINDOWS, EvidenceSentences, WordCounts

COUNTS = WordCounts()
BRIDGE = "The bridge was opened in 1883. It was painted red. Cats sleep all day. Dogs bark at night."


def test_the_window_with_the_claims_words_comes_first() -> None:
    sentences = EvidenceSentences(["Nothing here.", BRIDGE], COUNTS)
    first = sentences.best_windows(sentences.weights_of("The bridge was opened in 1883"))[0]
    assert first.evidence == 1
    assert first.span is not None
    assert first.span.cut(BRIDGE) == "The bridge was opened in 1883."


def test_sentences_of_several_places_are_also_read_together() -> None:
    evidence = [BRIDGE, "The tower stands in Ulm."]
    sentences = EvidenceSentences(evidence, COUNTS)
    last = sentences.best_windows(sentences.weights_of("The bridge opened in 1883 and the tower stands in Ulm"))[-1]
    assert last.evidence is None
    assert last.text == "The bridge was opened in 1883. The tower stands in Ulm."


def test_a_rare_word_weighs_more_than_a_frequent_one() -> None:
    counts = WordCounts(n_texts=100, n_with={"bridg": 60, "ulm": 1})
    sentences = EvidenceSentences(["The bridge is old. Cats sleep.", "Ulm is old."], counts)
    assert sentences.best_windows(sentences.weights_of("the bridge of Ulm"))[0].text == "Ulm is old."


def test_a_text_without_full_stops_is_read_in_pieces() -> None:
    table = " ".join(f"word{number}" for number in range(1_000))
    sentences = EvidenceSentences([table], COUNTS)
    assert max(len(sentence.text.split()) for sentence in sentences.sentences) <= 60
    assert " ".join(sentence.text for sentence in sentences.sentences) == table
    assert "word777" in sentences.best_windows(sentences.weights_of("word777"))[0].text


def test_markers_of_documents_are_not_read() -> None:
    assert EvidenceSentences(["The bridge [2] is old."], COUNTS).sentences[0].text == "The bridge is old."


def test_reading_all_means_every_run_of_up_to_three_sentences() -> None:
    windows = EvidenceSentences([BRIDGE, "One more sentence."], COUNTS).all_windows()
    assert len(windows) == 4 + 3 + 2 + 1


@given(st.lists(st.text(alphabet="ab c.\n!?1é[]", max_size=60), max_size=4), st.text(alphabet="abc 1é", max_size=30))
def test_windows_lie_in_their_evidence(evidence: list[str], claim: str) -> None:
    sentences = EvidenceSentences(evidence, COUNTS)
    windows = sentences.best_windows(sentences.weights_of(claim))
    assert len(windows) <= N_WINDOWS
    assert bool(windows) == bool(sentences.sentences)
    for window in windows:
        if window.evidence is not None:
            assert window.span is not None
            assert window.span.end <= len(evidence[window.evidence])
            assert len(window.sentences) <= MAX_SENTENCES


def test_stretches_are_runs_of_one_text_and_of_many_the_best_are_read_in_order() -> None:
    long = " ".join(f"Sentence number{number} says very little about anything at all." for number in range(40))
    sentences = EvidenceSentences([BRIDGE, long, "The tower stands in Ulm."], COUNTS)
    found = sentences.best_stretches(sentences.weights_of("Where does the tower stand by the bridge?"), 2)
    assert [(one.evidence, one.text) for one in found] == [(0, BRIDGE), (2, "The tower stands in Ulm.")]
    every = [one.text for one in sentences.best_stretches({}, 100)]
    assert " ".join(every) == f"{BRIDGE} {long} The tower stands in Ulm."
    assert max(len(text.split()) for text in every) <= 130


def test_a_digest_of_little_is_all_of_it() -> None:
    sentences = EvidenceSentences([BRIDGE, "The tower stands in Ulm."], COUNTS)
    assert sentences.digest({}) == f"{BRIDGE} The tower stands in Ulm."
    assert EvidenceSentences([], COUNTS).digest({}) == ""


def test_a_digest_of_much_holds_what_was_asked_for_with_its_neighbours_in_order() -> None:
    filler = [f"Filler number{n} says nothing about anything that matters here at all." for n in range(60)]
    filler[10] = "The bridge was opened in 1883."
    filler[40] = "It was painted by Helene Roth."
    sentences = EvidenceSentences([" ".join(filler)], COUNTS)
    found = sentences.digest(sentences.weights_of("The bridge of 1883 was painted by Helene Roth"))
    assert len(found.split()) <= 170
    places = [found.index(filler[at]) for at in (9, 10, 11, 39, 40, 41)]
    assert places == sorted(places)
