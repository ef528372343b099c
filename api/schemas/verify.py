"""What goes into and comes out of checking any text against any evidence."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.schemas.answers import ClaimOut
from api.schemas.documents import CharRangeOut, ResponseModel
from api.schemas.fields import CollectionName, Question, RequestModel, Text, refuse

MAX_TEXT_CHARS = 100_000
MAX_CLAIMS = 500
MAX_EVIDENCE = 100
MAX_EVIDENCE_CHARS = 1_000_000  # of one text, and of all together


class EvidenceTextIn(RequestModel):
    """A text to check against; it may be empty."""

    id: Annotated[str, Text(1, 200)]
    text: Annotated[str, Text(0, MAX_EVIDENCE_CHARS, blanks=True)]


class VerifyIn(RequestModel):
    """A text, the question it answers if there is one, and what it is checked against: evidence, or a collection."""

    text: Annotated[str, Text(1, MAX_TEXT_CHARS)]
    question: Question | None = None
    evidence: Annotated[list[EvidenceTextIn], Field(max_length=MAX_EVIDENCE)] | None = None
    collection: CollectionName | None = None

    @model_validator(mode="after")
    def _check_evidence(self) -> Self:
        if (self.evidence is None) == (self.collection is None):
            raise refuse("exactly one of evidence and collection must be given")
        rows = self.evidence or []
        if len({row.id for row in rows}) < len(rows):
            raise refuse("evidence must have a different id in each row")
        if sum(len(row.text) for row in rows) > MAX_EVIDENCE_CHARS:
            raise refuse(f"evidence must have at most {MAX_EVIDENCE_CHARS:,} characters in all")
        return self


class EvidencePlaceOut(ResponseModel):
    """Where the evidence says it: the id of an evidence text, or of a document, and the range in its text."""

    id: str
    char_range: CharRangeOut


class VerifiedClaimOut(ClaimOut):
    """One claim with its verdict and the place that decided; null where nothing supports or contradicts it."""

    evidence: EvidencePlaceOut | None


class VerifierOut(ResponseModel):
    """Which verifier judged, and how well it does; figures are null where nobody measured them."""

    name: str
    version: str
    threshold: float
    balanced_accuracy: float | None
    ece: float | None
    brier: float | None
    measured_on: str | None


class VerifyOut(ResponseModel):
    """The claims of a text, and the share of them that is supported; null where the text claims nothing."""

    claims: list[VerifiedClaimOut]
    faithfulness: float | None
    verifier: VerifierOut
