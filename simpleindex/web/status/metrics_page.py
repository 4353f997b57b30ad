"""``/-/metrics``: metrics in the text format of Prometheus, for some addresses, and for those who administer every project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.access.errors import Unauthenticated
from simpleindex.access.identity import ANYONE, Action
from simpleindex.core.addresses import is_loopback, is_within
from simpleindex.core.errors import NotAllowed
from simpleindex.web.http.response import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from simpleindex.access.identity import Identity
    from simpleindex.core.addresses import Network
    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import RequestInfo


class MetricsPage:
    """The page.

    Args:
        networks: The networks whose clients need no login.
        admission: Decides who administers every project.
        text: Returns the metrics, and their content type.
        facts: Returns the metrics as JSON, for ``/-/status``.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        admission: Admission,
        text: Callable[[], Awaitable[tuple[bytes, str]]],
        facts: Callable[[], Awaitable[dict[str, object]]],
    ) -> None:
        self._networks = networks
        self._admission = admission
        self._text = text
        self._facts = facts

    def admits(self, request: RequestInfo) -> bool:
        """Tell whether a client needs no login."""
        address = request.direct_address
        if is_loopback(address) and not request.is_local:
            # A browser on this machine that was led here under another name.
            return False
        return bool(address) and is_within(address, self._networks)

    def may_see(self, request: RequestInfo) -> bool:
        """Tell whether a client may see metrics, by its address or by who logged in."""
        reader = ANYONE if request.record is None else request.record.identity
        return self.admits(request) or self._may_administer(reader)

    async def facts(self) -> dict[str, object]:
        """Return the metrics as JSON."""
        return await self._facts()

    def _may_administer(self, reader: Identity) -> bool:
        return self._admission.access.may_everywhere(reader, Action.ADMIN)

    async def answer(self) -> Response:
        """Return the metrics."""
        body, content_type = await self._text()
        headers = (
            ("Content-Type", content_type),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        )
        return Response(200, headers, body, is_private=True)

    async def answer_reader(self, reader: Identity) -> Response:
        """Return the metrics to a reader who administers every project.

        Raises:
            Unauthenticated: The reader did not log in, and can.
            NotAllowed: The rights do not allow it.
        """
        if self._may_administer(reader):
            return await self.answer()
        if reader.authenticated:
            raise NotAllowed(
                "Metrics are for those who administer every project, and for the addresses of --metrics-for."
            )
        text = "Metrics are for the addresses of --metrics-for"
        if not self._admission.can_log_in:
            raise NotAllowed(f"{text}; on the server itself use localhost as the host.")
        raise Unauthenticated(f"{text}, and for those who log in and administer every project.")
