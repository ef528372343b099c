"""Sentence splitting, word spans and plain forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.text import content_words, split_sentences, stem, words

# The sentences of one line, joined by single spaces.
SAME_LINE = [
    ["One."],
    ["One sentence without an end"],
    ["First one.", "Second one."],
    ["Is it so?", "Yes!", "Good."],
    ["What?!", "No way..."],
    ["He left…", "She stayed."],
    ["He thought… about it."],
    ["He thought . . . about it.", "She too. . . ."],
    ["Dr. Smith met Mr. Jones.", "They talked."],
    ["Prof. Dr. Meier kam.", "Er ging."],
    ["Use tools, e.g. Hammers or i.e. Saws.", "Done."],
    ["The U.S. Government acted.", "It paid."],
    ["It happened in the U.S.", "The law changed."],
    ["He lived in Washington D.C. until 1990.", "Then he moved."],
    ["See No. 5 on the list.", "It is red."],
    ["He said no.", "Then he left."],
    ["See Fig. 3 and Fig. A for details.", "Both differ."],
    ["As in Sec. IV we go on.", "Next."],
    ["Smith et al. (2020) found it.", "We agree."],
    ["This was shown by Smith et al.", "The others agree."],
    ["J. K. Rowling wrote it.", "It sold well."],
    ["George W. Bush won.", "He served."],
    ["J. A. Hobson said so.", "All of the U. S. flags fell."],
    ["Take vitamin C.", "Drink water."],
    ["It began after World War I.", "Germany was weak."],
    ["We chose plan B.", "Then it rained."],
    ["Pi is 3.14 or so.", "It is not 3."],
    ["Version 2.0.1 is out.", "Get it at example.com now."],
    ["It cost $1.5 million.", "That was much."],
    ["It was 1973.", "The crisis began."],
    ["It grew by 12.", "The rest fell."],
    ["Wir treffen uns am 3. Mai in Köln.", "Komm mit."],
    ["Im 19. Jahrhundert war alles anders.", "Das ist lange her."],
    ["Vom 3. bis 5. Oktober ist zu.", "Danach nicht."],
    ["Der 2. Weltkrieg endete 1945.", "Dann kam Frieden."],
    ["Das gilt z. B. für Hunde, d. h. für Tiere.", "Katzen auch."],
    ["Das gilt z.B. Hunden.", "Katzen auch."],
    ["Das war 44 v. Chr. in Rom.", "Danach kam Augustus."],
    ["Vgl. Abs. 3 und Art. 5 des Gesetzes.", "Mehr nicht."],
    ["Äpfel, Birnen usw. gibt es hier.", "Kirschen nicht."],
    ["They sell apples, pears, etc.", "Prices vary."],
    ["We meet at 5 p.m. Eastern.", "Be there."],
    ["We meet at 5 p.m.", "Kissinger comes."],
    ["He joined Apple Inc. in 1999.", "He left Apple Inc.", "The end."],
    ["Martin Luther King Jr. spoke.", "All listened."],
    ['He said "Go."', "She went."],
    ['"Really?" he asked.', "Nobody knew."],
    ["(It was late.)", "They slept."],
    ["„Komm!“", "Er kam."],
    ["«Où va-t-il ?»", "Il part."],
    ["It is so.[1]", "And so.[2][3]", "End."],
    ["It is so. [1]", "And so. [2, 3]", "End."],
    ["It is so [1].", "And so [2]."],
    ["It is so.[citation needed]", "And so.[a]", "End."],
    ["Yahoo! is a company.", "It is old."],
    ["Node.js runs.", "So does asp.net too."],
    ["What a day!", "「Yes.」", "Ok."],
    ["हम घर गए।", "वह आया।"],
    ["هل هذا صحيح؟", "نعم."],
    ["3.2. Scope of this text."],
    ["The answer is 42."],
    ["Open the door.", "2. Close it."],
    ["Hello world.", "5 people came."],
    ["It rained.", "— So they left."],
    ["Ends with a quote.", '"Another one."'],
    ["She asked: why?", "Because."],
]


@pytest.mark.parametrize("sentences", SAME_LINE, ids=lambda s: s[0][:40])
def test_sentences_on_one_line(sentences: list[str]) -> None:
    text = " ".join(sentences)
    assert [span.cut(text) for span in split_sentences(text)] == sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n\n\t ", []),
        ("今天很好。明天呢？好！", ["今天很好。", "明天呢？", "好！"]),
        ("彼は「行く。」と言った。終わり。", ["彼は「行く。」", "と言った。", "終わり。"]),
        ("A line that\nwraps around. And\nanother.", ["A line that\nwraps around.", "And\nanother."]),
        ("Heading\n\nA paragraph", ["Heading", "A paragraph"]),
        ("It ended.\nthen it went on.", ["It ended.", "then it went on."]),
        ("He saw Dr.\nSmith there.", ["He saw Dr.\nSmith there."]),
        ("In the U.S.\nand elsewhere.", ["In the U.S.\nand elsewhere."]),
        ("- one thing\n- another thing\n- third", ["one thing", "another thing", "third"]),
        ("Buy:\n1. milk\n2. bread and\nbutter\n3. eggs", ["Buy:", "milk", "bread and\nbutter", "eggs"]),
        ("a) first\nb) second", ["first", "second"]),
        ("Wir kommen am\n3. Mai an.", ["Wir kommen am\n3. Mai an."]),
        ("There were about\n30. Of these", ["There were about\n30.", "Of these"]),
        ("3. Mai 2024 ist frei.", ["3. Mai 2024 ist frei."]),
        ("Name | Age\nAnn | 5\nBob | 6", ["Name | Age", "Ann | 5", "Bob | 6"]),
        ("# Title\nText here. More.", ["Title", "Text here.", "More."]),
        ("A thought\n– long – ends.", ["A thought\n– long – ends."]),
        ("It is so:\n– one\n– two", ["It is so:", "one", "two"]),
        ("  spaces around.   Next.  ", ["spaces around.", "Next."]),
        ("Wait.Next stays", ["Wait.Next stays"]),
        ("See it.【1】Then go.", ["See it.【1】", "Then go."]),
        ("Done.¹ Next.", ["Done.¹", "Next."]),
        ("... and so on. Yes.", ["... and so on.", "Yes."]),
        (". . .", [". . ."]),
    ],
)
def test_sentences_with_structure(text: str, sentences: list[str]) -> None:
    assert [span.cut(text) for span in split_sentences(text)] == sentences


@given(st.text(alphabet=st.sampled_from(list("aZ1.!?… \n\"')]([|-#*。,é0")), max_size=200))
def test_sentences_are_trimmed_ordered_and_complete(text: str) -> None:
    spans = split_sentences(text)
    position = 0
    for span in spans:
        assert span.start >= position
        left_out = text[position : span.start]
        assert not any(char.isalpha() for char in left_out.replace("a", "") if char not in "Z"), left_out
        assert span.cut(text) == span.cut(text).strip() != ""
        position = span.end
    assert not any(char.isalpha() for char in text[position:])


@pytest.mark.parametrize(
    "unit",
    [
        ". ",
        ".",
        '"." ',
        "a",
        "a. ",
        "A. B. ",
        "[1]",
        ".[1]",
        " ",
        ". (((",
        "\n- ",
        "| ",
        "1. ",
        "(",
        "e.g. ",
        "?!",
        "1,",
    ],
)
def test_long_runs_of_anything_end_soon(unit: str) -> None:
    text = unit * (300_000 // len(unit))  # a quadratic step would not end within the suite's limit
    spans = split_sentences(text)
    assert all(span.start < span.end for span in spans)
    assert len(words(text)) <= len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It cost 1,000.50 or 3.5%", ["It", "cost", "1,000.50", "or", "3.5"]),
        ("shown¹ at 10⁶", ["shown", "at", "10"]),
        ("don’t re-use CO2", ["don’t", "re", "use", "CO2"]),
        ("日本 2020年", ["日", "本", "2020", "年"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("cafe\u0301 au", ["cafe\u0301", "au"]),
        ("snake_case 1970s", ["snake", "case", "1970s"]),
        ("1.2.3 and 5.", ["1.2.3", "and", "5"]),
        ("", []),
        ("from 10:00 to 15:30, ratio 3:1", ["from", "10:00", "to", "15:30", "ratio", "3:1"]),
    ],
)
def test_words_have_exact_offsets(text: str, expected: list[str]) -> None:
    assert [span.cut(text) for span in words(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cats are in the house", ("cat", "hous")),
        ("1,000 = 1000 = 1'000", ("1000", "1000", "1000")),
        ("3,5 and 3.5", ("3.5", "3.5")),
        ("1.000.000 und 1.000,50", ("1000000", "1000.50")),
        ("Straße Café MÜLLER", ("strass", "caf", "mull")),
        ("He isn't here, not now", ("not", "not", "now")),
        ("Die Häuser der Hausern", ("haus", "haus")),
        ("in the 1970s", ("1970",)),
        ("Smith's smiths’", ("smith", "smith")),
        ("東京は", ("東", "京", "は")),
        ("٣ apples", ("3", "appl")),
    ],
)
def test_content_words(text: str, expected: tuple[str, ...]) -> None:
    assert content_words(text) == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("proclaimed", "proclaims"),
        ("raised", "raise"),
        ("planned", "plan"),
        ("studied", "study"),
        ("countries", "country"),
        ("processes", "process"),
        ("boxes", "box"),
        ("tage", "tages"),
        ("tage", "tagen"),
        ("agreed", "agree"),
        ("embargoes", "embargo"),
        ("calling", "calls"),
    ],
)
def test_inflected_forms_share_a_stem(first: str, second: str) -> None:
    assert stem(first) == stem(second)


@pytest.mark.parametrize("word", ["bus", "gas", "king", "string", "red", "this", "class", "b12"])
def test_short_words_keep_their_form(word: str) -> None:
    assert stem(word) == word
