"""Give a refusal the form that its client reads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simpleindex.web.http.problems import ProblemForm, choose_problem_form, render_problem
from simpleindex.web.pages.templates import content_security_policy
from simpleindex.web.routing.targets import way_to_root

if TYPE_CHECKING:
    from twisted.web.http import Request

    from simpleindex.web.http.response import Response


def presented(response: Response, request: Request) -> Response:
    """Return a response as this request's client reads it; only refusals have more than one form."""
    problem = response.problem
    if problem is None:
        return response
    accept = request.requestHeaders.getRawHeaders(b"accept")
    form = choose_problem_form(None if accept is None else b", ".join(accept).decode("latin-1"))
    headers = [(name, form.value if name == "Content-Type" else value) for name, value in response.headers]
    if all(name != "Vary" for name, _ in headers):
        headers.append(("Vary", "Accept"))
    if form is ProblemForm.HTML:
        headers += [
            ("Content-Security-Policy", content_security_policy),
            ("Referrer-Policy", "no-referrer"),
        ]
    body = render_problem(problem, form, way_to_root(request.uri))
    return replace(response, headers=tuple(headers), body=body)
