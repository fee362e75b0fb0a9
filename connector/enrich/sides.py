"""Who asked and who answered: which end of an event is the client, whatever the packet's direction.

Seen in real events: DNS answers of Suricata 8 and file events come from the server; alerts of Suricata 7 and newer say
the flow's own direction; quic, snmp, krb5, rdp and the like are logged as the packet went; active FTP data runs from
the server.
"""

from __future__ import annotations

from collections.abc import Mapping

from connector.enrich.events import Event, port_number
from connector.enrich.tables import SERVICE_PORTS

# their parsers know the client, so the addresses are in flow order
IN_FLOW_ORDER = frozenset(
    {
        "http",
        "http2",
        "tls",
        "ssh",
        "smb",
        "dcerpc",
        "ftp",
        "ftp_data",
        "smtp",
        "pop3",
        "ldap",
        "modbus",
        "dnp3",
        "pgsql",
    }
)
SERVICES = frozenset(SERVICE_PORTS)
FTP_DATA_PORT = 20


def is_swapped(event: Event, is_late_answer: bool) -> bool:
    """Tell whether the client is the destination; `is_late_answer`: a DNS answer as log version 3 writes it."""
    flow = event.eve.get("flow")
    if isinstance(flow, Mapping) and isinstance(flow.get("src_ip"), str):
        port = port_number(flow.get("src_port"))
        return flow["src_ip"] != event.src.text or (port >= 0 and event.src.port >= 0 and port != event.src.port)
    if event.kind in ("flow", "ftp_data") and event.src.port == FTP_DATA_PORT:
        return True
    known = event.kind == "flow" and event.app_proto not in ("", "failed", "unknown")
    if known or event.kind in IN_FLOW_ORDER:
        return False
    difference = _rank(event.src.port) - _rank(event.dest.port)
    return difference > 0 or (difference == 0 and is_late_answer)


def _rank(port: int) -> int:
    """Return how much a port looks like a server's: 2 a known service, 1 a privileged port, 0 any other or none."""
    return 2 if port in SERVICES else 1 if 0 < port < 1024 else 0
