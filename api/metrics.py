"""Prometheus metrics. Labels are routes, statuses and states, never text of documents or questions."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rag.types import Answer, Claim, Removed

_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_VERIFICATION_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_GENERATION_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)

Counts = Callable[[], Mapping[str, int]]


class _Catalog(Collector):
    """Counts read from the catalog when somebody scrapes."""

    def __init__(self, documents: Counts, passages: Callable[[], int], jobs: Callable[[], int]) -> None:
        self._documents, self._passages, self._jobs = documents, passages, jobs

    def describe(self) -> Iterator[Metric]:
        """The families without samples, so that registering reads nothing."""
        yield GaugeMetricFamily("citebound_documents", "Documents by status.", labels=["status"])
        yield GaugeMetricFamily("citebound_passages", "Searchable passages.")
        yield GaugeMetricFamily("citebound_jobs_queued", "Jobs that wait or run.")

    def collect(self) -> Iterator[Metric]:
        """The counts as of now."""
        documents = GaugeMetricFamily("citebound_documents", "Documents by status.", labels=["status"])
        for status, n in self._documents().items():
            documents.add_metric([status], n)
        yield documents
        yield GaugeMetricFamily("citebound_passages", "Searchable passages.", value=self._passages())
        yield GaugeMetricFamily("citebound_jobs_queued", "Jobs that wait or run.", value=self._jobs())


class Metrics:
    """Every figure of one service, in a registry of its own."""

    def __init__(
        self,
        *,
        documents: Counts,
        passages: Callable[[], int],
        jobs: Callable[[], int],
        questions: Callable[[], float],
    ) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Catalog(documents, passages, jobs))
        self._requests = Counter(
            "citebound_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "citebound_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["method", "route"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        Gauge(
            "citebound_questions_inside", "Questions being answered or waiting.", registry=self.registry
        ).set_function(questions)
        self._answers = Counter(
            "citebound_answers", "Answers by mode and outcome.", ["mode", "outcome"], registry=self.registry
        )
        self._tokens = Counter("citebound_tokens", "Tokens by kind.", ["kind"], registry=self.registry)
        self._generation = Histogram(
            "citebound_generation_seconds",
            "Seconds spent generating one answer.",
            buckets=_GENERATION_BUCKETS,
            registry=self.registry,
        )

        self._claims = Counter("citebound_claims", "Claims by verdict.", ["verdict"], registry=self.registry)
        self._verification = Histogram(
            "citebound_verification_seconds",
            "Seconds spent verifying one answer or one text.",
            buckets=_VERIFICATION_BUCKETS,
            registry=self.registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one answered request; `route` is the template, never the path."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def answer(self, answer: Answer) -> None:
        """Note one finished answer."""
        self._answers.labels(answer.mode, "abstained" if answer.abstained else "answered").inc()
        self._tokens.labels("prompt").inc(answer.usage.prompt_tokens)
        self._tokens.labels("completion").inc(answer.usage.completion_tokens)
        if answer.timings.generate_seconds is not None:
            self._generation.observe(answer.timings.generate_seconds)
        if answer.timings.verify_seconds is not None:
            self.verified([*answer.claims, *answer.removed], answer.timings.verify_seconds)

    def verified(self, claims: Iterable[Claim | Removed], seconds: float) -> None:
        """Note one answer or text that was verified."""
        self._verification.observe(seconds)
        for claim in claims:
            self._claims.labels(claim.verdict).inc()

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
