"""What else the decoder would answer, where nothing supports its draft.

The draft that was passed over in the second look comes first; then the decoder is shown the sentences around the
likeliest place of an answer alone, then the stretch of evidence around the next one. A draft is worth checking where
the decoder holds an abstention for the less likely thing to say from that evidence. Whether one stands is decided like
for any draft: by what supports it.

On held-out questions (`docs/experiments.md`) one in two answerable ones that were refused gets an answer so, and one in
fourteen of the others.
"""

import dataclasses
from collections.abc import Iterator

from rag.draft import is_abstention
from rag.generate import Written
from rag.markers import drop_markers
from rag.second_look import MOST_CHARS, Again, cited_as, mean_probability, with_costs
from rag.text import content_words

_LESS_LIKELY = 0.5  # an abstention, than the draft
_N_PLACES = 2


class OtherDrafts:
    """The other drafts of one question, made as they are asked for; none where the engine tells no probabilities.

    `refused` is the draft that nothing supports, with the costs of everything that was read since.
    """

    def __init__(self, again: Again, refused: Written) -> None:
        self._again = again
        self._tried = {_said(refused)}
        self.refused = refused

    def __iter__(self) -> Iterator[Written]:
        """Drafts that say something else, each with all costs so far.

        Raises:
            CancelledError: the request was cancelled.
        """
        seen = self._again.seen
        if seen is None or seen.first.abstention_probability is None:
            return
        if self._is_new(seen.first):
            yield self._with_costs(seen.first)
        for number, place in enumerate(seen.looked.places(_N_PLACES)):
            self._again.cancel.raise_if_set()
            draft = self._again.ask_again(place.around(1) if number == 0 else place.stretch.text)
            if draft is None:
                continue
            self.refused = with_costs(self.refused, draft)
            if self._is_new(draft):
                yield self._with_costs(cited_as(draft, seen.markers[place.stretch.evidence]))

    def _is_new(self, draft: Written) -> bool:
        """Whether it is an answer, short and likely, that was not tried yet."""
        if is_abstention(draft.text) or len(draft.text) > MOST_CHARS:
            return False
        if draft.abstention_probability is None or draft.abstention_probability >= _LESS_LIKELY:
            return False
        said = _said(draft)
        is_new = bool(said) and said not in self._tried
        self._tried.add(said)
        return is_new

    def _with_costs(self, draft: Written) -> Written:
        """With what everything took, and with how likely an abstention was before whole passages counted in."""
        seen = self._again.seen
        assert seen is not None and draft.abstention_probability is not None
        by_both = mean_probability(draft.abstention_probability, seen.first.abstention_probability)
        return dataclasses.replace(
            draft,
            abstention_probability=by_both,
            usage=self.refused.usage,
            generate_seconds=self.refused.generate_seconds,
            first_token_seconds=self.refused.first_token_seconds,
        )


def _said(draft: Written) -> frozenset[str]:
    return frozenset(content_words(drop_markers(draft.text)))
