"""Take an entry of ``stream:request:ingest`` and hand its request to an orchestrator.

In comes a delivery; out goes a request that is terminal, or left to be delivered again. Called by
`vncore.serving.serve`, many at once.
"""

from vncore.connection import Connections
from vncore.errors import InvalidRequest
from vncore.held import begin
from vncore.ids import parse_request_id
from vncore.keys import ORCHESTRATORS, Keys
from vncore.logs import bound, logger
from vncore.messages import IngestEntry, MalformedEntry
from vncore.streams import Delivery, acknowledge
from vnvs.orchestrate import give_up, orchestrate
from vnvs.steps import Tools

_log = logger("vnvs")


class Ingest:
    """Handles deliveries, many at once; holds nothing between them."""

    def __init__(
        self, connections: Connections, keys: Keys, tools: Tools, *, name: str, max_deliveries: int
    ) -> None:
        """Give a request up that was delivered more often than `max_deliveries`.

        `name` is the consumer's: what people see of who has a request.
        """
        self._connections = connections
        self._keys = keys
        self._tools = tools
        self._name = name
        self._max_deliveries = max_deliveries

    async def handle(self, delivery: Delivery) -> None:
        """Bring the request of a delivery to its end.

        An entry that cannot be read is logged and taken off: nobody could ever run it. Raises
        StoreUnavailable: the entry stays pending. Cancelled: likewise, and whoever takes it over
        goes on where this one stood.
        """
        try:
            entry = IngestEntry.from_fields(delivery.fields)
            parse_request_id(entry.request_id)
        except (MalformedEntry, InvalidRequest) as err:
            _log.error("entry_malformed", extra={"entry": delivery.entry_id, "error": str(err)})
            await acknowledge(
                self._connections.commands, self._keys.ingest, ORCHESTRATORS, [delivery.entry_id]
            )
            return
        with bound(
            _log,
            request_id=entry.request_id,
            correlation_id=entry.trace.correlation_id,
            traceparent=entry.trace.traceparent,
        ):
            request = await begin(
                self._connections,
                self._keys,
                entry,
                delivery.entry_id,
                self._tools.clock,
                orchestrator=self._name,
            )
            if request is None:
                _log.info("request_skipped", extra={"reason": "terminal or unknown"})
            elif delivery.deliveries > self._max_deliveries:
                await give_up(request, self._tools, delivery.deliveries)
            else:
                await orchestrate(request, self._tools)
