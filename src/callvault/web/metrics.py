"""What /metrics shows: counts and times by route, never by a name, a number or an id."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from callvault.web.edge import Outgoing
from callvault.web.visit import Visit

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    def __init__(self, gauges: Mapping[str, Callable[[], float]]) -> None:
        self.registry = CollectorRegistry()
        self.sockets = Gauge("callvault_open_websockets", "Websockets that are open.", registry=self.registry)
        labels = ("part", "route", "method", "status")
        self._requests = Counter("callvault_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "callvault_request_seconds",
            "From a request's head to its answer's end.",
            ("part", "route"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._sent = Counter("callvault_sent_bytes", "Bytes of bodies sent.", ("part",), registry=self.registry)
        self.registry.register(_Gauges(gauges))

        self._known: dict[tuple[str, str, str, int], tuple[Counter, Histogram, Counter]] = {}
        """To look labels up costs more than to count."""

    def observe(self, visit: Visit, method: str, out: Outgoing, seconds: float) -> None:
        key = (visit.part.name, visit.route, method if method in METHODS else "other", out.status)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._labelled(*key)
        known[0].inc()
        known[1].observe(seconds)
        known[2].inc(out.sent)

    def _labelled(self, part: str, route: str, method: str, status: int) -> tuple[Counter, Histogram, Counter]:
        requests = self._requests.labels(part, route, method, status)
        return requests, self._seconds.labels(part, route), self._sent.labels(part)

    def text(self) -> bytes:
        return bytes(generate_latest(self.registry))


class _Gauges(Collector):
    def __init__(self, gauges: Mapping[str, Callable[[], float]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        for name, read in self._gauges.items():
            yield GaugeMetricFamily(f"callvault_{name}", name.replace("_", " "), value=read())
