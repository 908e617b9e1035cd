"""Sends every alert as JSON to one address. The setting `url` says which; the secret `token` goes along."""

import json

from componentize_py_types import Err
from wit_world.exports import AlertDelivery as World
from wit_world.exports.alert_delivery import Failure_Again, Failure_Never, Question, Receipt, Setback
from wit_world.imports import http
from wit_world.imports.http import FailureKind, Header, Part_Secret, Part_Text, Request, Response
from wit_world.imports.types import Field, Value_Text


class AlertDelivery(World):
    def deliver(self, question: Question) -> Receipt:
        """What is raised says whether to try again: `Failure_Again` with a wait or without, or `Failure_Never`."""
        alert = question.alert
        body = {
            "id": alert.id,
            "severity": alert.severity.name.lower(),
            "title": alert.title,
            "text": alert.text,
            "recovered": alert.recovered,
            "facts": {fact.key: fact.value.value for fact in alert.facts},
        }
        if alert.workload is not None:
            body["workload"] = alert.workload
        headers = [
            # Backstop puts the secret in; the policy never sees it.
            Header("authorization", [Part_Text("Bearer "), Part_Secret("token")]),
            Header("content-type", [Part_Text("application/json")]),
        ]
        url = read_settings(question.settings)
        response = send(Request("POST", [Part_Text(url)], headers, [Part_Text(json.dumps(body))], 10_000))
        if 200 <= response.status < 300:
            return Receipt("", "")
        excerpt = response.body[:200].decode(errors="replace")
        why = f"the receiver answered {response.status}: {excerpt}"
        # What may pass by itself; anything else will be refused again.
        if response.status in (408, 425, 429) or response.status >= 500:
            raise Err(Failure_Again(Setback(response.retry_after, why)))
        raise Err(Failure_Never(why))


def send(request: Request) -> Response:
    try:
        return http.send(request)
    except Err as error:
        failure = error.value
        if failure.kind in (FailureKind.UNREACHABLE, FailureKind.TIMED_OUT):
            raise Err(Failure_Again(Setback(None, failure.message)))
        raise Err(Failure_Never(failure.message))


def read_settings(settings: list[Field]) -> str:
    """Settings that are wrong stay wrong: `Failure_Never`, so that the fallback takes over."""
    for setting in settings:
        if setting.key != "url":
            raise Err(Failure_Never(f"setting `{setting.key}` is not known: there is url"))
    if not settings or not isinstance(settings[0].value, Value_Text):
        raise Err(Failure_Never('setting `url` wants a text: write `url = "https://…"`'))
    return settings[0].value.value
