"""For whoever runs the server: is it alive, is it ready, what does it do."""

from __future__ import annotations

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from tim.errors import StoreUnavailable
from tim.web.service import service

blueprint = Blueprint("ops", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
def readyz() -> Response:
    """The store answers as well."""
    try:
        service().backend.store.get("")
    except StoreUnavailable as error:
        return Response(f"{error.message}\n", 503, mimetype="text/plain")
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/metrics")
def metrics() -> Response:
    """Prometheus text."""
    registry = CollectorRegistry()
    Gauge("tim_streams", "Streams that are open in this process.", registry=registry).set(len(service().backend.hub))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
