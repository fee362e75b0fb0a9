"""A search engine as the rest of the package sees it: calls, paging, bulk, compare-and-set. Tasks are in `tasks.py`.

Promises: the right wire is picked from `GET /`; an overloaded engine is asked again with growing pauses; paging sees a
frozen view where the product can give one. Will not: know an index, a field or a hunt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import stamina

from connector.errors import Conflict, NotThere, Overloaded, Rejected
from connector.settings.model import SiemSettings
from connector.siem.products import Product, product_of
from connector.siem.wire import Body, OfficialWire, PlainWire, Wire

PAGE = 1000
KEEP = "5m"
PREFERENCE = "guided-hunts"  # the same copy of a shard answers each search, so that none sees less than the one before
AT_ONCE = 8  # searches of one round trip that the engine does side by side; small engines take 4 of themselves
HERE: dict[str, str | float] = {"ignore_unavailable": True, "allow_no_indices": True, "preference": PREFERENCE}
WHOLE = {"allow_partial_search_results": False}
Json = dict[str, Any]
Param = str | float  # whole numbers and booleans are among them
Lines = bytes | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Stored:
    """A document as it is stored, with what compare-and-set needs."""

    id: str
    source: Json
    seq_no: int
    primary_term: int


@dataclass(frozen=True)
class Refusal:
    """One bulk item the engine refused: which (0 based), index, id, status and reason."""

    position: int
    index: str
    id: str
    status: int
    reason: str


class Siem:
    """One search engine; make it with `Siem.connect`, close it or use it in a with statement."""

    def __init__(self, wire: Wire, product: Product, at_once: int = AT_ONCE) -> None:
        """Keep the wire, what the server is, and how many searches of one round trip it does side by side."""
        stamina.instrumentation.set_on_retry_hooks(())  # a retry that helps is nobody's business
        self._wire = wire
        self.product = product
        self._at_once = at_once

    @classmethod
    def connect(cls, settings: SiemSettings) -> Siem:
        """Return the engine at the settings' urls; Unreachable, NotAllowed or Rejected if there is none."""
        plain = PlainWire(settings)
        product = product_of(plain.call("GET", "/", {}, None))
        if not product.official_client:
            return cls(plain, product)
        plain.close()
        return cls(OfficialWire(settings), product)

    def __enter__(self) -> Siem:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def through(self, around: Callable[[Wire], Wire], at_once: int = AT_ONCE) -> Siem:
        """Return the same engine over another wire, which is given this one's; both share its connections."""
        return Siem(around(self._wire), self.product, at_once)

    def call(self, method: str, path: str, body: Body | Lines | None = None, **params: Param) -> Any:
        """Return the decoded answer of any call, asked again while the engine is overloaded. Raises SiemError.

        A body that is a list is sent as NDJSON, and so are bytes, as they are.
        """
        return self.call_marked("", method, path, body, **params)

    def call_marked(self, mark: str, method: str, path: str, body: Body | Lines | None = None, **params: Param) -> Any:
        """Return the answer as `call` does; a task that the call starts carries the mark."""
        asked = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in params.items()}
        sent = body if body is None or isinstance(body, bytes | Mapping) else ndjson(body)
        for attempt in stamina.retry_context(on=Overloaded, attempts=6, timeout=60, wait_initial=0.2, wait_max=8):
            with attempt:
                return self._wire.call(method, path, asked, sent, mark)
        raise AssertionError("the retry loop ends with a return or an error")

    def exists(self, path: str) -> bool:
        """Return whether a GET on the path finds something."""
        try:
            self.call("GET", path)
        except NotThere:
            return False
        return True

    def search(self, index: str, body: Body, **params: Param) -> Json:
        """Return the answer of one search; missing indices count as empty, a failed shard is an error."""
        options: dict[str, Param] = {**HERE, **WHOLE, **params}
        answer: Json = self.call("POST", f"/{quote(index, safe=',*-')}/_search", body, **options)
        return answer

    def msearch(self, searches: Sequence[tuple[str, Json]]) -> list[Json]:
        """Return the answers of many searches in one round trip, each with its own `error` if it failed.

        A query that cannot be parsed makes the engine refuse the whole trip: then each search makes its own.
        """
        lines: list[Json] = []
        for index, body in searches:
            lines += [{"index": index.split(","), **HERE, **WHOLE}, body]
        try:
            options = {"max_concurrent_searches": self._at_once}
            answers: list[Json] = self.call("POST", "/_msearch", lines, **options)["responses"] if lines else []
        except Rejected as error:
            if len(searches) == 1:
                return [{"error": {"reason": str(error)}, "status": 400}]
            return [answer for search in searches for answer in self.msearch([search])]
        return answers

    def count(self, index: str, query: Json) -> int:
        """Return how many documents match."""
        answer = self.search(index, {"size": 0, "track_total_hits": True, "query": query})
        return int(answer["hits"]["total"]["value"])

    def scan(self, index: str, body: Json, page: int = PAGE) -> Iterator[Json]:
        """Yield every hit of a search body, page by page, from one frozen view. Order is the body's `sort`, if any."""
        first = self.search(index, {**body, "size": page, "track_total_hits": False})["hits"]["hits"]
        if len(first) < page:  # all of them, from one view: most answers are so small
            yield from first
        elif self.product.pit is None:
            yield from self._scroll(index, body, page)
        else:
            yield from self._point_in_time(index, body, page)

    def _point_in_time(self, index: str, body: Json, page: int) -> Iterator[Json]:
        """Page with a point in time and search_after."""
        if self.search(index, {"size": 0, "terminate_after": 1})["_shards"]["total"] == 0:
            return  # OpenSearch cannot open a point in time over no index
        key = self.product.pit_key
        path = f"/{quote(index, safe=',*-')}/{self.product.pit}"
        pit = self.call("POST", path, keep_alive=KEEP, ignore_unavailable=True, preference=PREFERENCE)[key]
        request = {**body, "size": page, "sort": [*body.get("sort", []), *self._tie_break], "track_total_hits": False}
        try:
            while True:
                answer = self.call("POST", "/_search", {**request, "pit": {"id": pit, "keep_alive": KEEP}}, **WHOLE)
                pit = answer.get("pit_id", pit)
                hits = answer["hits"]["hits"]
                yield from hits
                if len(hits) < page:
                    return
                request["search_after"] = hits[-1]["sort"]
        finally:
            self.call("DELETE", f"/{self.product.pit_close}", {key: [pit] if key == "pit_id" else pit})

    @property
    def _tie_break(self) -> list[Json]:
        """Return the last sort keys, which make every hit's place its own.

        `_shard_doc` where there is one (OpenSearch 3.3, Elasticsearch 7.12), or `_id`; under the index, because both
        repeat from index to index (OpenSearch 3.8 loses hits at the page's end without it).
        """
        since = (3, 3) if self.product.name == "OpenSearch" else (7, 12)
        return [{"_index": "asc"}, {"_shard_doc" if self.product.version >= since else "_id": "asc"}]

    def _scroll(self, index: str, body: Json, page: int) -> Iterator[Json]:
        """Page with a scroll, where there is no point in time."""
        answer = self.search(index, {**body, "size": page}, scroll=KEEP)
        try:
            while hits := answer["hits"]["hits"]:
                yield from hits
                if len(hits) < page:
                    return
                answer = self.call("POST", "/_search/scroll", {"scroll": KEEP, "scroll_id": answer["_scroll_id"]})
        finally:
            if "_scroll_id" in answer:  # there is none over no index
                self.call("DELETE", "/_search/scroll", {"scroll_id": answer["_scroll_id"]})

    def bulk(self, lines: Lines, **params: Param) -> list[Refusal]:
        """Send one bulk body (NDJSON, or actions and sources in turn); return the refused items."""
        answer = self.call("POST", "/_bulk", lines, **params)
        return [r for n, item in enumerate(answer["items"]) if (r := _refusal(n, item))] if answer["errors"] else []

    def get(self, index: str, id: str) -> Stored | None:
        """Return a document with its sequence number, or None."""
        try:
            answer = self.call("GET", f"/{index}/_doc/{quote(id, safe='')}")
        except NotThere:
            return None
        return Stored(id, answer["_source"], answer["_seq_no"], answer["_primary_term"])

    def put(
        self, index: str, id: str, source: Mapping[str, Any], replacing: Stored | None = None, **params: Param
    ) -> Stored:
        """Write a document if it still is what `replacing` says, or if there is none; return it. Conflict otherwise."""
        path = f"/{index}/_doc/{quote(id, safe='')}"
        if replacing is None:
            answer = self.call("PUT", path, source, op_type="create", **params)
        else:
            cas = {"if_seq_no": replacing.seq_no, "if_primary_term": replacing.primary_term}
            answer = self.call("PUT", path, source, **cas, **params)
        return Stored(id, dict(source), answer["_seq_no"], answer["_primary_term"])

    def change(self, index: str, id: str, edit: Callable[[Json | None], Json], **params: Param) -> Json:
        """Read, edit (a function of the source or None that returns the new source), write; again after a conflict."""
        while True:
            stored = self.get(index, id)
            changed: Json = edit(stored.source if stored else None)
            if stored and changed == stored.source:
                return changed
            try:
                self.put(index, id, changed, stored, **params)
            except Conflict:
                continue
            return changed


def _refusal(position: int, item: Mapping[str, Any]) -> Refusal | None:
    """Return the refusal of one bulk item, or None if it was taken."""
    result = next(iter(item.values()))
    if "error" not in result:
        return None
    error = result["error"]
    cause = (error.get("caused_by") or {}).get("reason") if isinstance(error, Mapping) else ""
    reason = error.get("reason", "") if isinstance(error, Mapping) else str(error)
    why = f"{reason}: {cause}" if cause else str(reason)
    return Refusal(position, result.get("_index", ""), result.get("_id") or "", int(result["status"]), why[:500])


def ndjson(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the mappings as NDJSON for `bulk`."""
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
