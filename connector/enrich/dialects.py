"""The two ways Suricata events lie in a SIEM, and where a native EVE field is found in each, with which values.

`eve`: the EVE record at the root, as Logstash, Fluentd, Vector or the SELKS and Clear NDR stacks index it.
`ecs`: Elastic Agent or Filebeat: what ECS has a name for is there, the rest below `suricata.eve`.
Hunts are written in EVE names and values; fields of ours (`hunt.*`, `hostname_info.*`, `net_info.*`) are the same in
both. docs/elastic-agent.md has what ECS events do not say.
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
    "http.http_method": "http.request.method",
    "http.http_user_agent": "user_agent.original",
    "http.url": "url.original",
    "http.http_refer": "http.request.referrer",
    "http.status": "http.response.status_code",
    "http.length": "http.response.body.bytes",
    **dict.fromkeys(("dns.aa", "dns.tc", "dns.rd", "dns.ra"), "dns.header_flags"),
    "dns.answers": "dns.answers",
    "dns.answers.rrname": "dns.answers.name",
    "dns.answers.rrtype": "dns.answers.type",
    "dns.answers.rdata": "dns.answers.data",
    "dns.answers.ttl": "dns.answers.ttl",
    "fileinfo.filename": "file.path",
    "fileinfo.size": "file.size",
    "flow.start": "event.start",
    "flow.end": "event.end",
    "flow.pkts_toserver": "source.packets",
    "flow.pkts_toclient": "destination.packets",
    "flow.bytes_toserver": "source.bytes",
    "flow.bytes_toclient": "destination.bytes",
    "geoip.country_iso_code": "destination.geo.country_iso_code",
    "alert.action": "event.type",
    "alert.severity": "event.severity",
}
# EVE fields whose text they write in lower case (TCP → tcp), and words they replace
ECS_LOWER_CASE = ("proto", "app_proto")
ECS_WORDS = {
    "alert.action": {"blocked": "denied"},
    **{f"dns.{flag.lower()}": {"true": flag} for flag in ("AA", "TC", "RD", "RA")},
}
OURS = ("hunt.", "hostname_info.", "net_info.", "http.http_refer_info.", "alert.tag", "@timestamp")


def stored_name(field: str, dialect: Dialect) -> str:
    """Return the name under which a field (in EVE or in our own terms) is stored in that dialect."""
    if dialect == "eve" or field.startswith(OURS):
        return field
    return ECS_NAMES.get(field, f"suricata.eve.{field}")


def stored_text(field: str, text: str, dialect: Dialect) -> str:
    """Return the text that a field has in that dialect where it has this text in EVE, of a boolean true or false."""
    if dialect == "eve":
        return text
    return text.lower() if field in ECS_LOWER_CASE else ECS_WORDS.get(field, {}).get(text, text)
