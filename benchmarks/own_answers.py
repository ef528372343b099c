"""What an untuned decoder says without documents, as rows for `citebound train sft --also`.

    python benchmarks/own_answers.py SQUAD MODEL_FOLDER --out ROWS.jsonl [--closed-book 400] [--chat 240]

Tuning on grounded answers alone makes a small decoder forget everything else: asked without documents it repeats
itself, and told to name a colour it speaks of documents. Rows with its own earlier answers keep what it could do.
Closed-book questions are of paragraphs that tuning may use; requests are put together below. Greedy; an answer that
does not end by itself, or repeats itself, is left out.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from llm.device import probe_device
from llm.engines.openvino import load_openvino_decoder
from llm.types import Generation, Message, Request, SamplingParams
from rag.paragraphs import is_held_out, read_paragraphs
from rag.prompt import build_closed_book_prompt

_MAX_NEW_TOKENS = 64
_AT_ONCE = 8
_THINGS = (
    "colour", "fruit", "animal", "city", "river", "planet", "metal", "sport", "musical instrument", "vegetable",
    "country", "tool", "bird", "month", "language", "flower", "tree", "season", "profession", "board game",
)  # fmt: skip
_TOPICS = (
    "the moon", "bread", "a bicycle", "rain", "libraries", "gravity", "friendship", "the sea", "coffee", "winter",
    "trains", "honey bees", "volcanoes", "chess", "sleep", "paper", "mountains", "a dog", "electricity", "gardens",
)  # fmt: skip
_REQUESTS = (
    ("Name a {}.", _THINGS),
    ("Give me three examples of a {}.", _THINGS),
    ("Which {} do you like best?", _THINGS),
    ("Write one sentence about {}.", _TOPICS),
    ("Explain {} in one sentence.", _TOPICS),
    ("Why do people care about {}?", _TOPICS),
    ("Write a title for a story about {}.", _TOPICS),
    ("What is one good question about {}?", _TOPICS),
    ("Is {} interesting? Answer briefly.", _TOPICS),
    ("Tell me something short about {}.", _TOPICS),
    ("{}", ("Hello!", "How are you?", "Thank you.", "Who are you?", "What can you do?", "Say goodbye.")),
    ("What is {}?", [f"{a} plus {b}" for a in range(2, 9) for b in (1, 3, 5)]),
)


def prompts(squad: Path, n_closed_book: int, n_chat: int, rng: random.Random) -> Iterator[tuple[Message, ...]]:
    """Closed-book questions and plain requests."""
    articles = read_paragraphs(squad)
    asked = [
        one.question
        for title, paragraphs in sorted(articles.items())
        if not is_held_out(title)
        for paragraph in paragraphs
        for one in paragraph.questions
    ]
    for question in rng.sample(asked, n_closed_book):
        yield build_closed_book_prompt(question, token_budget=1000, count_tokens=lambda _: 0).messages
    requests = [form.format(thing) for form, things in _REQUESTS for thing in things]
    for request in rng.sample(requests, min(n_chat, len(requests))):
        yield (Message(role="user", content=request),)


def repeats_itself(text: str) -> bool:
    """Whether four words in a row come a second time."""
    words = text.casefold().split()
    runs = [tuple(words[at : at + 4]) for at in range(len(words) - 3)]
    return len(set(runs)) < len(runs)


def row_of(messages: Sequence[Message], done: Generation) -> dict[str, object] | None:
    """A row to learn; None where the answer is not worth keeping."""
    text = done.text.strip()
    if done.finish_reason != "stop" or not text or repeats_itself(text):
        return None
    turns = [{"role": turn.role, "content": turn.content} for turn in messages]
    return {"messages": [*turns, {"role": "assistant", "content": text}], "kind": "own"}


def main() -> None:
    """Parse the arguments, ask, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--closed-book", type=int, default=400)
    parser.add_argument("--chat", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    device = probe_device("cpu", "auto")
    decoder = load_openvino_decoder(
        args.model, name=args.model.name, device=device, conversions=args.out.parent / "converted"
    )
    sampling = SamplingParams(max_new_tokens=_MAX_NEW_TOKENS, temperature=0.0)
    asked = list(prompts(args.squad, args.closed_book, args.chat, random.Random(args.seed)))
    n_kept = 0
    with args.out.open("w", encoding="utf-8") as file:
        for at in range(0, len(asked), _AT_ONCE):
            some = asked[at : at + _AT_ONCE]
            answers = decoder.generate([Request(messages=messages, sampling=sampling) for messages in some])
            for messages, done in zip(some, answers, strict=True):
                if (row := row_of(messages, done)) is not None:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    n_kept += 1
            print(f"{at + len(some)} of {len(asked)} asked, {n_kept} kept", flush=True)


if __name__ == "__main__":
    main()
