"""The page of the webhook: where it sends to, how many events wait, and how the newest attempts went."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from tim.state_change import TEST
from tim.web.context import service
from tim.web.responses import go

blueprint = Blueprint("console_webhook", __name__, url_prefix="/console")


@blueprint.get("/webhook")
def page() -> str:
    return render_template("console/webhook.html", **_values())


@blueprint.get("/webhook/live")
def fragment() -> str:
    """The live part of the page."""
    return render_template("console/_webhook.html", **_values())


@blueprint.post("/webhook/test")
def test() -> Response:
    """Sends a test event at once; the page shows how it went."""
    service().backend.webhook.test()
    return go(url_for("console_webhook.page", done="test"))


@blueprint.post("/webhook/retry")
def retry() -> Response:
    """Ends all pauses between attempts."""
    service().backend.webhook.retry()
    return go(url_for("console_webhook.page", done="retry"))


def _values() -> dict[str, object]:
    webhook = service().backend.webhook
    deliveries = webhook.deliveries()
    tested = next((each for each in deliveries if each.action == TEST), None)
    return {
        "receiver": webhook.receiver,
        "queue": webhook.queue(),
        "deliveries": deliveries,
        "tested": tested if request.args.get("done") == "test" else None,
    }
