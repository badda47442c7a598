"""Health, readiness and metrics, for operators."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from tim.errors import StoreUnavailable
from tim.web.context import service

blueprint = Blueprint("ops", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
def readyz() -> Response:
    """The store answers as well."""
    try:
        service().backend.find("")
    except StoreUnavailable as error:
        return Response(f"{error.message}\n", 503, mimetype="text/plain")
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/metrics")
def metrics() -> Response:
    """Prometheus text. Metrics of all nodes are the same whichever node answers."""
    registry = CollectorRegistry()
    here = Gauge("tim_streams", "Open streams of this node.", registry=registry)
    here.set(service().backend.streams)
    everywhere = Gauge(
        "tim_online_instances",
        "Online instances, by node. Every node reports the same.",
        ["node"],
        registry=registry,
    )
    with suppress(StoreUnavailable):  # the other metric does not need the store
        for node, number in service().backend.online().items():
            everywhere.labels(node).set(number)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
