"""The gate's tally and state as Prometheus metrics; `METRICS` is the whole list."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from passgate.build import COMPILED, VERSION
from passgate.tally import BOUNDS, Histogram, Tally


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric: its name, kind, labels and what it says."""

    name: str
    kind: str
    labels: tuple[str, ...]
    says: str


METRICS = (
    MetricRow("passgate_requests_total", "counter", ("decision", "reason", "action"),
              "Requests decided, by decision, reason code and action."),
    MetricRow("passgate_decision_seconds", "histogram", (),
              "Seconds from a whole request head to the decision to forward it, without waiting "
              "for the disk."),
    MetricRow("passgate_upstream_seconds", "histogram", (),
              "Seconds from forwarding a request to the end of its answer."),
    MetricRow("passgate_request_seconds", "histogram", (),
              "Seconds from a whole request head to the end of its answer, if it was forwarded."),
    MetricRow("passgate_inflight_requests", "gauge", (), "Requests forwarded and not yet ended."),
    MetricRow("passgate_connections", "gauge", (),
              "Client connections that are open, TLS handshakes included."),
    MetricRow("passgate_connections_refused_total", "counter", ("reason",),
              "Client connections that were not served: a limit (`connections`, "
              "`connections_per_client`), a missing or bad `proxy_header`, an unfinished TLS "
              "`handshake`."),
    MetricRow("passgate_certificate_expiry_seconds", "gauge", ("use",),
              "Seconds until the gate's certificate for `listen` or `upstream` ends; negative "
              "afterwards."),
    MetricRow("passgate_trust_age_seconds", "gauge", ("issuer", "kind"),
              "Seconds since an issuer's keys or revocations were last read or confirmed."),
    MetricRow("passgate_trust_bundle_version", "gauge", (),
              "The version of the trust bundle in force; 0 without one."),
    MetricRow("passgate_sync_failures_total", "counter", ("issuer", "kind"),
              "Reads of a trust source that failed, and streams of kind `push` that ended."),
    MetricRow("passgate_unknown_kid_total", "counter", ("issuer",),
              "Passports that named a key which the issuer does not have."),
    MetricRow("passgate_charges_total", "counter", ("kind",), "Charges reserved, by kind."),
    MetricRow("passgate_settled_cents_total", "counter", (), "What requests cost in the end."),
    MetricRow("passgate_platform_fee_cents_total", "counter", (), "The platform's fees on that."),
    MetricRow("passgate_holds", "gauge", ("state",),
              "Holds by state: `pending`, `approved` and not used yet, `denied` and remembered; "
              "and the requests `waiting` for a person."),
    MetricRow("passgate_checks_total", "counter", (), "Dry runs answered by `POST /check`."),
    MetricRow("passgate_clock_skew_seconds", "gauge", ("issuer",),
              "Seconds by which `iat` of an issuer's passports lay ahead of the gate's clock, the "
              "most of the last ten minutes; beyond `passport.clock_skew` they are refused."),
    MetricRow("passgate_kills", "gauge", ("kind",),
              "What the operator has stopped and not lifted: agents, passports, actions, issuers, "
              "and 1 for `all` while everything is stopped."),
    MetricRow("passgate_ledger_up", "gauge", (),
              "1 while the server of a shared ledger answers, else 0; only with one, as all of "
              "these."),
    MetricRow("passgate_ledger_gates", "gauge", (), "Gates that share the counters just now."),
    MetricRow("passgate_ledger_missing_gates", "gauge", (),
              "Gates that have not said what they spent since the server lost it; budgets are "
              "refused until then."),
    MetricRow("passgate_ledger_requests_total", "counter", ("by",),
              "Requests whose charges were decided by a `lease`, or by the `server`."),
    MetricRow("passgate_ledger_round_trips_total", "counter", (),
              "Messages to the server that were answered."),
    MetricRow("passgate_ledger_disconnects_total", "counter", (),
              "Times that the server was lost."),
    MetricRow("passgate_ledger_losses_total", "counter", ("kind", "outcome"),
              "Charges that the server could not be asked about, by kind (`rate`, `spend`, "
              "`replay`): counted here (`local`) or refused (`deny`)."),
    MetricRow("passgate_log_lines_total", "counter", (), "Lines put on record."),
    MetricRow("passgate_log_commit_seconds", "histogram", (),
              "Seconds that a group commit took: hash, sign, write and, if strict, sync."),
    MetricRow("passgate_log_gaps_total", "counter", (), "Gap lines: stretches without a record."),
    MetricRow("passgate_log_healthy", "gauge", (), "1 while the log can be written, else 0."),
    MetricRow("passgate_upstream_addresses", "gauge", ("state",),
              "Addresses of the upstream: `up`, `out` while they fail, `trial` until they answer."),
    MetricRow("passgate_upstream_connections", "gauge", (),
              "Connections to the upstream that are open or being opened."),
    MetricRow("passgate_upstream_failures_total", "counter", ("kind",),
              "Failures of an address: `connect`, `timeout`, or an unusable `answer`."),
    MetricRow("passgate_upstream_ejections_total", "counter", (),
              "Times that an address was put out, or kept out after another trial."),
    MetricRow("passgate_upstream_retries_total", "counter", ("on",),
              "Second attempts: on another `address`, on a fresh `connection`."),
    MetricRow("passgate_upstream_resolution_failures_total", "counter", (),
              "Attempts to resolve a host name of the upstream that failed."),
    MetricRow("passgate_config_reloads_total", "counter", ("result",), "Reloads, by result."),
    MetricRow("passgate_verify_cache_total", "counter", ("result",),
              "Look-ups in the cache of verified passports, by hit or miss."),
    MetricRow("passgate_build_info", "gauge", ("version", "compiled"),
              "Always 1; the version as a label, and `true` or `false`: whether the hot path is "
              "compiled."),
)  # fmt: skip
"""Every metric, with bounded labels only."""


class Measured(Protocol):
    """What the renderer reads, at the moment of a scrape."""

    tally: Tally

    def measurements(self) -> dict[str, Any]:
        """The gauges and foreign counters, by metric name: a number, or {labels: number}."""


class _Renderer(Collector):
    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def collect(self) -> Iterable[Metric]:
        tally = self._measured.tally
        values: dict[str, Any] = {
            "passgate_requests_total": tally.requests,
            "passgate_decision_seconds": tally.decision_seconds,
            "passgate_upstream_seconds": tally.upstream_seconds,
            "passgate_request_seconds": tally.request_seconds,
            "passgate_charges_total": {(k,): v for k, v in tally.charges.items()},
            "passgate_settled_cents_total": {(): tally.settled_cents},
            "passgate_platform_fee_cents_total": {(): tally.fee_cents},
            "passgate_config_reloads_total": {(k,): v for k, v in tally.reloads.items()},
            "passgate_checks_total": tally.checks,
            "passgate_build_info": {(VERSION, str(COMPILED).lower()): 1},
            **self._measured.measurements(),
        }
        for row in METRICS:
            yield _family(row, values[row.name])


def _family(row: MetricRow, value: Any) -> Metric:
    if isinstance(value, Histogram):
        return _histogram(row, value)
    kinds: dict[str, Callable[..., Any]] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
    }
    family: Any = kinds[row.kind](row.name, row.says, labels=row.labels)
    samples = value if isinstance(value, dict) else {(): value}
    for labels, number in samples.items():
        family.add_metric(list(labels), number)
    return family  # type: ignore[no-any-return]  # prometheus_client types its families loosely


def _histogram(row: MetricRow, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(
        row.name, row.says, buckets=list(_cumulative(histogram)), sum_value=histogram.total
    )


def _cumulative(histogram: Histogram) -> Iterator[tuple[str, float]]:
    below = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), histogram.counts, strict=True):
        below += count
        yield bound, below


def metrics_text(measured: Measured) -> Callable[[], bytes]:
    """A function that renders everything in the text exposition format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Renderer(measured))
    return lambda: generate_latest(registry)
