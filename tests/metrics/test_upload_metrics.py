"""Outcomes of uploads, and other changes, as a whole service counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.guarded_site import form_of
from tests.fixtures.metric_values import metric_values
from tests.fixtures.publishing_site import publishing_site

if TYPE_CHECKING:
    from pathlib import Path


def test_uploads_and_changes(tmp_path: Path) -> None:
    """By form, as a bare file, refused at the head, and by the JSON interface."""
    with publishing_site(tmp_path) as site:
        fields = {":action": "file_upload"}
        header, body = form_of(wheel_name("acme", "1.0"), fields, wheel_bytes("acme", "1.0"))
        content_type = header.partition(": ")[2]
        assert site.post(body, content_type).status == 200
        assert site.post(b"x", content_type).status == 400
        assert site.post(b"x", "text/plain", method="PUT", target="/none-1.0.txt").status == 400
        head = (
            b"POST /legacy/ HTTP/1.1\r\nHost: index\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n"
        )
        assert [answer.status for answer in site.send(head)] == [401]
        assert site.post(b"{}", "application/json", target="/-/api/none/yank").status == 404
        metrics = site.service.index.metrics
        assert metrics is not None
        values = metric_values(metrics.families())
    uploads = {name: value for name, value in values.items() if name.startswith("simpleindex_uploads")}
    assert uploads == {
        "simpleindex_uploads_total{outcome=accepted}": 1,
        "simpleindex_uploads_total{outcome=invalid}": 2,
        "simpleindex_uploads_total{outcome=not-logged-in}": 1,
    }
    assert values["simpleindex_requests_total{route=api,class=4xx}"] == 1
