"""The script that puts a rule on an event or takes rules off it, and brings the event's tag in line with what remains.

A rule's id ends in its tag (`public-dns-queries.3f2a91c04b.relevant`), so that an event alone says what its tag must be
and a script needs no list of rules. `relevant` wins. An `alert.tag` that another product had set counts as a rule
`elsewhere.<value>` while rules of ours are on the event, and is what remains when the last of them goes.

Promises: tagging and untagging leaves an event as it was; a tag that another product sets in between is kept. An
`alert.tag` that is no text is not touched. Will not: choose events.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

RULES_FIELD, TAG_FIELD = "hunt.tag_rules", "hunt.tag"
ELSEWHERE = "elsewhere."

# works on Elasticsearch from 7.10 and OpenSearch: typed locals, no lambda over mixed types
SOURCE = """
boolean isOurs(String rule) { return !rule.startsWith('elsewhere.'); }

String strongest(List rules) {
  String tag = null;
  for (def each : rules) {
    String rule = each.toString();
    if (rule.equals('elsewhere.relevant') || (isOurs(rule) && rule.endsWith('.relevant'))) { return 'relevant'; }
    if (rule.equals('elsewhere.informational') || (isOurs(rule) && rule.endsWith('.informational'))) {
      tag = 'informational';
    }
  }
  return tag;
}

String elsewhere(List rules) {
  for (def each : rules) { if (!isOurs(each.toString())) { return each.toString().substring(10); } }
  return null;
}

void forget(List rules) {
  for (int i = rules.size() - 1; i >= 0; i--) { if (!isOurs(rules.get(i).toString())) { rules.remove(i); } }
}

// where an alert carries its tag; in events of the Elastic Agent it is made, as the alert itself lies elsewhere
Map alertOf(Map event) {
  Object found = event.get('alert');
  if ('alert'.equals(event.get('event_type'))) { return found instanceof Map ? (Map) found : null; }
  Object suricata = event.get('suricata');
  Object eve = suricata instanceof Map ? ((Map) suricata).get('eve') : null;
  if (!(eve instanceof Map) || !'alert'.equals(((Map) eve).get('event_type'))) { return null; }
  if (found == null) { return new HashMap(); }
  return found instanceof Map && !((Map) found).isEmpty() ? (Map) found : null;
}

Map event = ctx._source;
Object held = event.get('hunt');
Map hunt = held instanceof Map ? (Map) held : new HashMap();
Object listed = hunt.get('tag_rules');
List rules = new ArrayList();
if (listed instanceof List) { rules.addAll((List) listed); } else if (listed != null) { rules.add(listed); }
String before = strongest(rules);
boolean changed = rules.removeAll((List) params.remove);
if (params.add != null && !rules.contains(params.add)) { rules.add(params.add); changed = true; }
if (!changed || (held != null && !(held instanceof Map))) { ctx.op = 'noop'; return; }

Map alert = alertOf(event);
if (alert != null) {
  Object tag = alert.get('tag');
  if (tag != null && !(tag instanceof String)) {
    alert = null;
  } else if (tag == null ? before != null : !tag.equals(before)) {
    forget(rules);
    if (tag != null) { rules.add(0, 'elsewhere.' + tag); }
  }
}
boolean ours = false;
for (def each : rules) { if (isOurs(each.toString())) { ours = true; } }
String tag = ours ? strongest(rules) : elsewhere(rules);
if (ours) {
  hunt.put('tag', tag);
  hunt.put('tag_rules', rules);
  if (hunt.get('tagged') == null) { hunt.put('tagged', params.now); }
} else {
  hunt.remove('tag'); hunt.remove('tag_rules'); hunt.remove('tagged');
}
if (hunt.isEmpty()) { event.remove('hunt'); } else { event.put('hunt', hunt); }
if (alert != null) {
  if (tag == null) { alert.remove('tag'); } else { alert.put('tag', tag); }
  if (alert.isEmpty() && !'alert'.equals(event.get('event_type'))) { event.remove('alert'); }
  else { event.put('alert', alert); }
}
"""


def retag_script(add: str | None, remove: Sequence[str], now: datetime) -> dict[str, Any]:
    """Return the update script that adds a rule (or none) to each event and removes others; `now` dates a first tag."""
    params = {"add": add, "remove": list(remove), "now": round(now.timestamp() * 1000)}
    return {"lang": "painless", "source": SOURCE, "params": params}
