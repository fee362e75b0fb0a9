"""A service in small, which `test_lease_engines.py` starts, stops and wakes: while it has the lease, it writes.

It writes two kinds of documents in turn. Those that are `bound` are numbered on from the highest there is and created
only, as the service changes its state only where nobody has changed it before; the others are written whatever there
is. It asks nobody whether it may: it writes until that is refused.
"""

import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from connector.errors import Conflict, LeaseLost
from connector.service.guarded import GuardedWire, Pace
from connector.service.lease import Holder, Lease, renewing
from connector.settings.model import SiemSettings
from connector.siem.client import Siem

LOOKS = 10  # at the lease, in its time


def next_number(siem: Siem, index: str) -> int:
    """Return the number after the highest that is written."""
    siem.call("POST", f"/{index}/_refresh")
    hits = siem.search(index, {"size": 1, "sort": [{"n": "desc"}]})["hits"]["hits"]
    return hits[0]["_source"]["n"] + 1 if hits else 1


def write(siem: Siem, index: str, lease: Lease) -> None:
    """Write as fast as it can; LeaseLost when it may not any more."""
    who, term, n = lease.seen.holder.id, lease.seen.term, next_number(siem, index)
    while True:
        with suppress(Conflict):  # another one wrote it first
            siem.put(index, str(n), {"who": who, "term": term, "n": n, "bound": True})
        siem.call("POST", f"/{index}/_doc", {"who": who, "term": term, "bound": False})
        n += 1


def main(url: str, prefix: str, seconds: float) -> None:
    """Take the lease and write, or stand by, for ever."""
    settings, ttl = SiemSettings((url,)), timedelta(seconds=seconds)
    with Siem.connect(settings) as own, Siem.connect(settings) as plain:
        lease = Lease(own, f"{prefix}state", ttl, Holder.here(datetime.now(UTC)))
        siem = plain.through(lambda wire: GuardedWire(wire, lease.check, Pace(1e6)))
        while True:
            if not lease.take():
                time.sleep(seconds / LOOKS)
                continue
            with renewing(lease, lambda _: None):
                try:
                    write(siem, f"{prefix}written", lease)
                except LeaseLost:
                    continue


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
