"""Health, readiness and metrics, for operators."""

from __future__ import annotations

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

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
    return Response(service().metrics.render(), content_type=CONTENT_TYPE_LATEST)
