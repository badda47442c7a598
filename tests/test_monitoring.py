"""The dashboard and the alert rules: each query names metrics and labels that exist, and Prometheus takes it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.documents import ROOT, block, text
from tests.support.server import clean_environment
from tim import Backend
from tim.web.metrics import Metrics

OPERATING: Final = "docs/operating.md"
DASHBOARD: Final[dict[str, Any]] = json.loads(text("docs/grafana.json"))
ALERTS: Final = re.findall(r"- alert: (\w+)\n +expr: (.+)\n", text("docs/alerts.yml"))
QUERIES: Final = {
    **{
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    },
    **dict(ALERTS),
}
ROWS: Final = dict(re.findall(r"^\| `(tim_\w+)`(?: \*)? \|([^|]*)\|", text(OPERATING), re.MULTILINE))
"""The labels of each metric, as the table of the document has them."""
SUFFIXES: Final = re.compile(r"_(?:bucket|count|sum)$")


def metric_of(series: str) -> str:
    """The metric that a series belongs to."""
    return series if series in ROWS else SUFFIXES.sub("", series)


def labels_of(metric: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", ROWS[metric].partition(":")[0]))


def test_the_table_has_the_metrics_that_are_there(make_backend: Callable[..., Backend]) -> None:
    shown = Metrics(make_backend()).render().decode()
    assert ROWS.keys() == set(re.findall(r"^# TYPE (\w+)", shown, re.MULTILINE))
    for family in text_string_to_metric_families(shown):
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == labels_of(metric_of(sample.name)), sample


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_each_query_names_metrics_and_labels_that_exist(query: str) -> None:
    named = set(re.findall(r"\b(?:tim_\w+)", query))
    assert named or query.startswith("up{"), query
    known = {"instance"}
    for series in named:
        metric = metric_of(series)
        assert metric in ROWS, f"there is no {series}"
        known |= labels_of(metric) | ({"le"} if series.endswith("_bucket") else set())
    grouped = {label for labels in re.findall(r"(?:by|without) \(([^)]*)\)", query) for label in labels.split(", ")}
    selected = set(re.findall(r"(\w+)(?:=|!=|=~)\"", query)) - {"job"}
    assert grouped | selected <= known, query


def test_each_metric_is_on_the_dashboard() -> None:
    shown = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    assert {metric_of(series) for series in re.findall(r"\btim_\w+", shown)} == ROWS.keys()


def test_the_panels_do_not_overlap_and_have_titles_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_each_alert_says_what_is_wrong_and_what_to_do() -> None:
    rules = text("docs/alerts.yml").split("- alert: ")[1:]
    assert len(rules) == len(ALERTS)
    for rule in rules:
        assert re.search(r"severity: (?:page|ticket)\}", rule)
        assert re.search(r"summary: \S.*\.\n", rule)
        assert re.search(r"description: \S.*\.\n", rule)
        assert all(len(line) <= 180 for line in rule.splitlines())


def promtool(*words: str, folder: Path) -> str:
    """What it prints; it must find no fault."""
    run = subprocess.run(
        ["promtool", *words], cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_prometheus_takes_the_configuration_the_rules_and_every_query(tmp_path: Path, not_quick: None) -> None:
    (tmp_path / "prometheus.yml").write_text(block(OPERATING, "yaml", "scrape_configs"))
    shutil.copy(ROOT / "docs" / "alerts.yml", tmp_path)
    assert f"SUCCESS: {len(ALERTS)} rules found" in promtool("check", "config", "prometheus.yml", folder=tmp_path)
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for number, query in enumerate(QUERIES.values()):
        lines += [
            f"      - record: query:{number}",
            f"        expr: {json.dumps(query.replace('$__rate_interval', '5m'))}",
        ]
    (tmp_path / "queries.yml").write_text("\n".join(lines) + "\n")
    assert f"{len(QUERIES)} rules found" in promtool("check", "rules", "queries.yml", folder=tmp_path)


def test_prometheus_finds_no_fault_with_the_metrics(make_backend: Callable[..., Backend], not_quick: None) -> None:
    shown = Metrics(make_backend()).render()
    run = subprocess.run(["promtool", "check", "metrics"], input=shown, capture_output=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


FIRING: Final = {
    "TimDown": 'up{job="tim", instance="a"} 0x60',
    "TimStoreFailing": 'tim_store_failures_total{instance="a", verb="admit"} 0+1x60',
    "TimStoreSlow": 'tim_store_latency_seconds_bucket{instance="a", verb="admit", le="0.5"} 0+1x60\n'
    'tim_store_latency_seconds_bucket{instance="a", verb="admit", le="1"} 0+9x60\n'
    'tim_store_latency_seconds_bucket{instance="a", verb="admit", le="+Inf"} 0+9x60',
    "TimKicksSlow": 'tim_kick_latency_seconds_bucket{instance="a", type="multipleAccount", le="5"} 0+1x60\n'
    'tim_kick_latency_seconds_bucket{instance="a", type="multipleAccount", le="10"} 0+9x60\n'
    'tim_kick_latency_seconds_bucket{instance="a", type="multipleAccount", le="+Inf"} 0+9x60',
    "TimKicksUndelivered": 'tim_undelivered_kicks_total{instance="a", type="multipleAccount"} 0+60x60\n'
    'tim_kick_latency_seconds_count{instance="a", type="multipleAccount"} 0+6x60',
    "TimLoginsRefused": 'tim_refused_logins_total{instance="a", code="70009"} 0+600x60\n'
    'tim_logins_total{instance="a", result="admitted"} 0+60x60',
    "TimStreamsReconciled": 'tim_reconciled_streams_total{instance="a"} 0+60x60',
    "TimReadersTooSlow": 'tim_mailbox_overflows_total{instance="a"} 0+60x60',
    "TimNodeFull": 'tim_streams{instance="a"} 9500x60',
    "TimWebhookBehind": 'tim_webhook_queued_events{instance="a"} 5000x60',
    "TimWebhookDropped": 'tim_webhook_dropped_events_total{instance="a"} 0+1x60',
}
"""Series that make each alert fire within an hour, a sample a minute."""


@pytest.mark.parametrize("alert", FIRING)
def test_each_alert_fires_for_its_own_series_alone(alert: str, tmp_path: Path, not_quick: None) -> None:
    shutil.copy(ROOT / "docs" / "alerts.yml", tmp_path)
    lines = ["rule_files: [alerts.yml]", "tests:", "  - interval: 1m", "    input_series:"]
    for line in FIRING[alert].splitlines():
        series, _, values = line.rpartition(" ")
        lines += [f"      - series: {json.dumps(series)}", f"        values: {values}"]
    lines += ["    promql_expr_test:"]
    for name in FIRING:
        firing = f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)'
        sample = f"[{{labels: '{{}}', value: {int(name == alert)}}}]"
        lines += [f"      - expr: {firing}", "        eval_time: 60m", f"        exp_samples: {sample}"]
    (tmp_path / "test.yml").write_text("\n".join(lines) + "\n")
    promtool("test", "rules", "test.yml", folder=tmp_path)


def test_each_alert_has_series_that_make_it_fire() -> None:
    assert FIRING.keys() == dict(ALERTS).keys()
