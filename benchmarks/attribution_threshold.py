"""Where to put the threshold of evidence attribution, on articles of SQuAD train that nothing else is fitted to.

    python benchmarks/attribution_threshold.py squad_train/paragraphs.jsonl.gz [--cases 400] [--seed 0] [--json OUT]

Every case is a question, its paragraph among the eight of its article that share most words with the question, and
sentences as a decoder would write them:

- right: the answer alone ("69,197"), and the question's words with the answer ("people were killed ... 69,197");
- wrong: the same with the answer to another question of the article, of the same kind (a number for a number);
- unsupported: the right sentences with every paragraph that holds the answer taken out of the evidence.

A right sentence counts as found if it is cited and the first quote holds the answer and lies in the question's
paragraph. Printed a threshold: recall (right sentences found), precision (citations of right sentences that hold the
answer), and how many wrong and unsupported sentences are cited. Beside them the plain rules that attribution has to
beat: the first sentence of the best paragraph, always; and the sentence that shares most words, always.
"""

import argparse
import collections
import gzip
import hashlib
import json
import math
import pathlib
import random
import re
from dataclasses import dataclass

from rag.attribution import DEFAULT_THRESHOLD, Attributor
from rag.prompt_passage import Evidence, PromptPassage, from_evidence
from rag.text import content_words, split_sentences

HELD_OUT = 26  # of 256: articles whose title hashes below it (SHA-256, first byte) are kept for thresholds
N_PARAGRAPHS = 8
ASKING = re.compile(r"\b(what|which|who|whom|whose|when|where|why|how|many|much|did|does|do)\b|\?", re.IGNORECASE)
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(4, 18))


@dataclass(frozen=True)
class Case:
    """One sentence to attribute."""

    kind: str  # right, wrong, unsupported
    form: str  # short, restated
    question: str
    sentence: str
    answer: str
    evidence: tuple[PromptPassage, ...]
    gold: str  # the question's paragraph


def held_out_articles(path: pathlib.Path) -> dict[str, list[dict]]:
    """Paragraphs by article."""
    articles: dict[str, list[dict]] = collections.defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if hashlib.sha256(row["title"].encode()).digest()[0] < HELD_OUT:
                articles[row["title"]].append(row)
    return articles


def nearest(question: str, paragraphs: list[dict], gold: dict) -> list[str]:
    """The eight paragraphs that share most words with the question (idf weighted), the gold one among them."""
    terms = [set(content_words(row["context"])) for row in paragraphs]
    counts = collections.Counter(term for held in terms for term in held)
    asked = set(content_words(question))

    def shared(place: int) -> float:
        return sum(math.log((len(paragraphs) + 1) / (counts[term] + 0.5)) for term in asked & terms[place])

    ranked = sorted(range(len(paragraphs)), key=shared, reverse=True)
    best = [paragraphs[place]["context"] for place in ranked[:N_PARAGRAPHS]]
    return best if gold["context"] in best else [*best[:-1], gold["context"]]


def make_cases(articles: dict[str, list[dict]], n: int, rng: random.Random) -> list[Case]:
    """`n` questions, each with its right, wrong and unsupported sentences."""
    cases: list[Case] = []
    titles = sorted(articles)
    for _ in range(n):
        paragraphs = articles[rng.choice(titles)]
        row = rng.choice([paragraph for paragraph in paragraphs if paragraph["questions"]])
        asked = rng.choice(row["questions"])
        question, answer = asked["question"], asked["answer"]
        texts = nearest(question, paragraphs, row)
        numeric = any(character.isdigit() for character in answer)
        others = sorted(
            {
                other["answer"]
                for paragraph in paragraphs
                for other in paragraph["questions"]
                if any(character.isdigit() for character in other["answer"]) == numeric
                and not set(content_words(other["answer"])) & set(content_words(answer))
            }
        )
        rest = " ".join(ASKING.sub(" ", question).split())
        for form in ("short", "restated"):
            before = "" if form == "short" else f"{rest} "
            evidence = as_evidence(texts)
            cases.append(Case("right", form, question, f"{before}{answer}.", answer, evidence, row["context"]))
            if others:
                cases.append(
                    Case("wrong", form, question, f"{before}{rng.choice(others)}.", answer, evidence, row["context"])
                )
            without = as_evidence([text for text in texts if answer.casefold() not in text.casefold()])
            cases.append(Case("unsupported", form, question, f"{before}{answer}.", answer, without, row["context"]))
    return cases


def as_evidence(texts: list[str]) -> tuple[PromptPassage, ...]:
    """Paragraphs as they stand in a prompt."""
    return tuple(from_evidence(Evidence(id=str(number), text=text)) for number, text in enumerate(texts))


def holds(quote: str, marker: int, case: Case) -> bool:
    """Whether a quote holds the answer and lies in the question's paragraph."""
    return (
        case.answer.casefold() in quote.casefold()
        and quote in case.gold
        and case.evidence[marker - 1].pieces[0].text == case.gold
    )


def first_sentence(case: Case) -> tuple[int, str]:
    """Baseline: the first sentence of the first paragraph."""
    text = case.evidence[0].pieces[0].text
    return 1, split_sentences(text)[0].cut(text)


def most_words(case: Case) -> tuple[int, str]:
    """Baseline: the sentence that shares most content words with the sentence."""
    said = set(content_words(case.sentence))
    sentences = [
        (marker, span.cut(passage.pieces[0].text))
        for marker, passage in enumerate(case.evidence, start=1)
        for span in split_sentences(passage.pieces[0].text)
    ]
    return max(sentences, key=lambda pair: len(said & set(content_words(pair[1]))))


def rate(values: list[bool]) -> float | None:
    """The share that is true; None of nothing."""
    return round(sum(values) / len(values), 4) if values else None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paragraphs", type=pathlib.Path)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    cases = make_cases(held_out_articles(args.paragraphs), args.cases, random.Random(args.seed))
    found = [
        (case, Attributor(case.question, case.evidence, threshold=0.01).attribute(case.sentence)) for case in cases
    ]
    table = []
    for threshold in THRESHOLDS:
        row: dict[str, float | None] = {"threshold": threshold}
        for form in ("short", "restated"):
            of_form = [(case, got) for case, got in found if case.form == form]
            right = [(case, got) for case, got in of_form if case.kind == "right"]
            cited = [(case, got.quotes[0]) for case, got in right if got.quotes and got.score >= threshold]
            good = [holds(quote.quote, quote.marker, case) for case, quote in cited]
            row[f"{form}_recall"] = round(sum(good) / len(right), 4)
            row[f"{form}_precision"] = rate(good)
            for kind in ("wrong", "unsupported"):
                row[f"{form}_{kind}_cited"] = rate(
                    [got.score >= threshold for case, got in of_form if case.kind == kind]
                )
        table.append(row)
    right = [case for case in cases if case.kind == "right"]
    baselines = {
        rule.__name__: rate([holds(rule(case)[1], rule(case)[0], case) for case in right])
        for rule in (first_sentence, most_words)
    }
    print(" ".join(f"{name[:14]:>14}" for name in table[0]))
    for row in table:
        mark = " *" if row["threshold"] == DEFAULT_THRESHOLD else ""
        print(" ".join(f"{'null' if value is None else value:>14}" for value in row.values()) + mark)
    print("always cited, share that holds the answer:", json.dumps(baselines))
    if args.json:
        args.json.write_text(
            json.dumps({"cases": args.cases, "seed": args.seed, "table": table, "baselines": baselines}, indent=1)
        )


if __name__ == "__main__":
    main()
