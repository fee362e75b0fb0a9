"""The two ways Suricata events lie in a SIEM, and where a native EVE field is found in each.

`eve`: the EVE record at the root, as Logstash, Fluentd, Vector or the SELKS and Clear NDR stacks index it.
`ecs`: Elastic Agent or Filebeat: what ECS has a name for is there, the rest below `suricata.eve`.
Hunts are written in EVE names; fields of ours (`hunt.*`, `hostname_info.*`, `net_info.*`) are the same in both.
"""

from __future__ import annotations

from connector.settings.model import Dialect

# EVE name → name in an event of the Elastic Agent integration or the Filebeat module for Suricata
ECS_NAMES = {
    "timestamp": "@timestamp",
    "src_ip": "source.ip",
    "src_port": "source.port",
    "dest_ip": "destination.ip",
    "dest_port": "destination.port",
    "proto": "network.transport",
    "community_id": "network.community_id",
    "app_proto": "network.protocol",
    "http.hostname": "url.domain",
    "http.url": "url.original",
    "http.http_refer": "http.request.referrer",
    "http.status": "http.response.status_code",
    "http.length": "http.response.body.bytes",
    "fileinfo.filename": "file.path",
    "fileinfo.size": "file.size",
    "flow.pkts_toserver": "source.packets",
    "flow.pkts_toclient": "destination.packets",
    "flow.bytes_toserver": "source.bytes",
    "flow.bytes_toclient": "destination.bytes",
    "alert.severity": "event.severity",
}
OURS = ("hunt.", "hostname_info.", "net_info.", "http.http_refer_info.", "alert.tag", "@timestamp")


def stored_name(field: str, dialect: Dialect) -> str:
    """Return the name under which a field (in EVE or in our own terms) is stored in that dialect."""
    if dialect == "eve" or field.startswith(OURS):
        return field
    return ECS_NAMES.get(field, f"suricata.eve.{field}")
