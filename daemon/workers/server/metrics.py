"""What Prometheus reads at ``/metrics``. Names follow its conventions: base units, ``_total`` for counters."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The figures of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = self._counter("requests", "HTTP requests answered", "route", "status")
        self.refused = self._counter("refused", "Requests refused before the model saw them", "reason")
        self.prompt_tokens = self._counter("prompt_tokens", "Prompt tokens of finished requests")
        self.cached_prompt_tokens = self._counter("cached_prompt_tokens", "Of these, tokens another sequence had read")
        self.generated_tokens = self._counter("generated_tokens", "Tokens generated", "version")
        self.session_turns = self._counter("session_turns", "Answers kept in sessions")
        self.feedback = self._counter("feedback", "Answers that people judged", "rating")
        self.learned_answers = self._counter("learned_answers", "Answers written to the inbox")
        self.unredacted_answers = self._counter("unredacted_answers", "Answers not kept, as a redactor failed")
        self.swaps = self._counter("swaps", "Versions prepared or committed", "step", "result")
        self.disconnects = self._counter("disconnects", "Clients that went away before their answer was whole")
        self.queue_seconds = self._histogram("queue_seconds", "From submission to the first iteration")
        self.first_token_seconds = self._histogram("first_token_seconds", "From submission to the first text")
        self.between_tokens_seconds = self._histogram("between_tokens_seconds", "Between pieces of one answer")
        self.load_seconds = self._histogram("load_seconds", "To load and warm a version")
        self.pause_seconds = self._histogram("swap_pause_seconds", "Time that requests waited for a swap in place")
        self.serving = self._gauge("serving_version", "The version that new requests go to; 0: none")
        self.degraded = self._gauge("service_degraded", "1: thord is degraded, and /readyz says why")
        self.cache_rows = self._gauge("cache_rows", "Sequences that the version in service has room for at once")
        self.weight_bytes = self._gauge("weight_bytes", "What weights of all versions in memory take")
        self.cache_bytes = self._gauge("cache_bytes", "What caches of all versions in memory have taken")
        self.resident = self._gauge("resident_versions", "Versions in memory")
        self._waiting = self._gauge("waiting_sequences", "Sequences in the queue")
        self._running = self._gauge("running_sequences", "Sequences that are being generated")

    def watch(self, waiting: Callable[[], float], running: Callable[[], float]) -> None:
        """Read these two whenever the figures are read."""
        self._waiting.set_function(waiting)
        self._running.set_function(running)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"thord_server_{name}", says, labels, registry=self._registry)

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(f"thord_server_{name}", says, registry=self._registry)

    def _histogram(self, name: str, says: str) -> Histogram:
        return Histogram(f"thord_server_{name}", says, buckets=_SECONDS, registry=self._registry)
