"""Deliveries that failed, or wait, sent again: under the id they had, with all attempts before them.

Promises: what has arrived, or is on its way, is left as it is; one that went with others goes with them again. Will
not: send.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connector.errors import Refused
from connector.hunts.asking.tally import instant
from connector.respond.deliveries.claiming import members
from connector.respond.deliveries.outbox import Delivery, in_status, read_delivery, sent_to
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.many import change_many

Json = dict[str, Any]


def send_again(siem: Siem, settings: Settings, id: str, now: datetime) -> Delivery:
    """Return a delivery that is due now and has all its attempts before it; Refused if it cannot be sent again.

    Of one that went with others all are due that have not arrived, as they go again together.
    """
    stored = siem.get(settings.state("outbox"), id)
    if stored is None:
        raise Refused(f"there is no delivery {id}: `hunts outbox` lists them")
    if stored.source["status"] not in ("waiting", "failed"):
        words = f"delivery {id} is {stored.source['status']}"
        raise Refused(f"{words}: only one that waits or has failed can be sent again")
    group = stored.source.get("group")
    ids = [one.id for one in members(siem, settings, group)] if group else [id]
    return _again(siem, settings, ids, now)[id]


def send_all_again(siem: Siem, settings: Settings, receiver: str | None, now: datetime) -> int:
    """Return how many deliveries to a receiver, or to any, had failed and are due now."""
    ids = _failed(siem, settings, receiver)
    return len(_again(siem, settings, ids, now))


def _again(siem: Siem, settings: Settings, ids: Sequence[str], now: datetime) -> dict[str, Delivery]:
    """Return those of the deliveries that are due now, with all attempts before them."""
    done: dict[str, Delivery] = {}

    def edit(id: str, current: Json | None) -> Json | None:
        """Return the stored delivery as one that is due now; None if it has arrived, or is on its way."""
        done.pop(id, None)
        if current is None or current["status"] not in ("waiting", "failed"):
            return None
        source = current | {"status": "waiting", "next": instant(now), "attempts": 0}
        done[id] = read_delivery(id, source)
        return source

    change_many(siem, settings.state("outbox"), ids, edit)
    return done


def _failed(siem: Siem, settings: Settings, receiver: str | None) -> list[str]:
    """Return the ids of the deliveries to a receiver, or to any, that have failed."""
    index = settings.state("outbox")
    siem.call("POST", f"/{index}/_refresh")
    filters = [in_status(("failed",)), *([sent_to(receiver)] if receiver else [])]
    return [hit["_id"] for hit in siem.scan(index, {"query": {"bool": {"filter": filters}}, "_source": False})]
