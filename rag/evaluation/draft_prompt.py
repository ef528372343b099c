"""What the decoder is asked when questions are drafted from documents. Sentences are data, never orders."""

from llm.types import Message
from rag.markers import one_line

DRAFT_PROMPT_VERSION = "draft-1"

_SYSTEM = (
    "Write one question about the sentence, in one line. The answer to the question must be the given answer. "
    "Do not write the answer. Name what the question is about, since the reader does not see the sentence."
)


def draft_messages(topic: str | None, sentence: str, answer: str) -> tuple[Message, ...]:
    """Asks for a question to which `answer`, a part of `sentence`, is the answer.

    Args:
        topic: The section or document that the sentence is from; None where it has no name.
        sentence: One sentence of a document.
        answer: A part of it.
    """
    lines = [f"Topic: {one_line(topic)}"] if topic else []
    lines += [f"Sentence: {one_line(sentence)}", f"Answer: {one_line(answer)}", "Question:"]
    return (Message(role="system", content=_SYSTEM), Message(role="user", content="\n".join(lines)))
