"""Compiles a condition to a search query, given how the fields of the indices are mapped.

Promises: the query has the answers of `predicate.py`; every clause stands in filter context; a field that no index has
is named in `Compiled.missing`, one whose mapping cannot answer in `Compiled.unfit`, and neither reads as "no findings".
Will not: send anything. The queries work on OpenSearch 2 and 3 and on Elasticsearch from 7.10.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial, singledispatchmethod
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any

from elasticsearch.dsl import query as q

from connector.enrich.dialects import stored_name
from connector.errors import Refused
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.address import AnyNetwork, address_number, is_address_field, plain_network, spellings
from connector.hunts.conditions.fields import KEYWORD, NUMBER, TEXT, Fields
from connector.hunts.conditions.pattern import Pattern
from connector.hunts.conditions.stored import with_stored_values
from connector.settings.model import Dialect

NUMERIC = re.compile(r"[-+]?[0-9]{1,18}(?:\.[0-9]+)?")
NOTHING = q.MatchNone()


@dataclass(frozen=True)
class Compiled:
    """A search query, and what it could not ask.

    `missing`: fields that no index has. `unfit`: fields whose mapping cannot answer, each with the reason in words.
    `limits`: what the answer leaves out or takes in too much because of a mapping, in words. `unknown`: what cannot be
    told now whatever the mapping, with the reason.
    """

    query: dict[str, Any]
    missing: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        """Tell whether the query can match at all; if not, the reason is in `missing` or `unfit`."""
        return "match_none" not in self.query


def compile_query(condition: c.Condition, fields: Fields, dialect: Dialect) -> Compiled:
    """Return the search query of a condition for indices with these fields; Refused if it has an unbound `$field`."""
    compiler = _Compiler(fields, dialect)
    query = compiler.compile(condition)
    found = (compiler.missing, compiler.unfit, compiler.limits, compiler.unknown)
    notes = (tuple(dict.fromkeys(own)) for own in found)
    return Compiled(query.to_dict(), *notes)


def any_query(queries: Sequence[q.Query]) -> q.Query:
    """Return the query that matches where at least one does; one that cannot match is left out."""
    found = [query for query in queries if query is not NOTHING]
    if len(found) < 2:
        return found[0] if found else NOTHING
    return q.Bool(should=found, minimum_should_match=1)


def all_query(queries: Sequence[q.Query]) -> q.Query:
    """Return the query that matches where all do."""
    if any(query is NOTHING for query in queries):
        return NOTHING
    return queries[0] if len(queries) == 1 else q.Bool(filter=list(queries))


def none_query(queries: Sequence[q.Query]) -> q.Query:
    """Return the query that matches where none does."""
    found = [query for query in queries if query is not NOTHING]
    return q.Bool(must_not=found) if found else q.MatchAll()


@dataclass
class _Compiler:
    """One compilation: the mapping it is for, and the notes it collects."""

    fields: Fields
    dialect: Dialect
    missing: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def compile(self, condition: c.Condition) -> q.Query:
        """Return the query of a group or a leaf."""
        if isinstance(condition, c.All | c.Any | c.None_):
            parts = [self.compile(part) for part in condition.parts]
            if isinstance(condition, c.All):
                return all_query(parts)
            return any_query(parts) if isinstance(condition, c.Any) else none_query(parts)
        if isinstance(condition, c.Lucene):
            return q.QueryString(query=condition.text, analyze_wildcard=True)
        if isinstance(condition, c.Unknown):
            self.unknown.append(condition.why)
            return NOTHING
        name = stored_name(condition.field, self.dialect)
        if not self.fields.has(name):
            self.missing.append(condition.field)
            return NOTHING
        if len(types := self.fields.types[name]) > 1:
            self.limits.append(
                f"{condition.field} is mapped as {' and as '.join(sorted(types))}, depending on the index"
            )
        return self._leaf(with_stored_values(condition, self.dialect), name)

    @singledispatchmethod
    def _leaf(self, leaf: c.Leaf, name: str) -> q.Query:
        """Return the query of a leaf on the field stored under that name."""
        raise TypeError(f"no query for {type(leaf).__name__}")

    @_leaf.register
    def _(self, leaf: c.Equals, name: str) -> q.Query:
        if wanted := c.references(leaf):
            raise Refused(f"${wanted[0]} has no value yet: a guide step runs from a finding")
        texts = [text for value in leaf.values if (text := c.scalar_text(value)) is not None]
        ways = [way for text in texts for way in spellings(text)] if is_address_field(leaf.field) else texts
        options = [
            *self._terms(name, KEYWORD, ways),
            *self._terms(name, ("ip",), [text for text in texts if address_number(text) is not None]),
            *self._terms(name, NUMBER, [text for text in texts if NUMERIC.fullmatch(text)]),
            *self._terms(name, ("boolean",), [text for text in texts if text in ("true", "false")]),
        ]
        return self._either(leaf.field, name, options, "has no such value")

    def _terms(self, name: str, kinds: Iterable[str], texts: list[str]) -> list[q.Query]:
        """Return the queries for any of the texts on every variant of one of the types; none if there is no text."""
        return self._on(name, kinds, lambda v: q.Terms(v, texts, _expand__to_dot=False)) if texts else []

    def _on(self, name: str, kinds: Iterable[str], ask: Callable[[str], q.Query]) -> list[q.Query]:
        """Return what `ask` makes of every stored name that answers for the field with one of the types.

        Where only some indices have the field itself so, it is asked where its sub-fields have nothing.
        """
        variants = self.fields.variants(name, kinds)
        *subs, last = variants or ("",)
        if not subs or last != name:
            return [ask(variant) for variant in variants]
        return [*map(ask, subs), q.Bool(filter=[ask(name)], must_not=[_exists(sub) for sub in subs])]

    @_leaf.register
    def _(self, leaf: c.InNetwork, name: str) -> q.Query:
        options = self._on(name, ("ip",), lambda variant: _networks(variant, leaf.networks))
        return self._either(leaf.field, name, options, "cannot be compared with networks")

    @_leaf.register
    def _(self, leaf: c.UnderDomain, name: str) -> q.Query:
        tests = [p for domain in leaf.domains for p in (Pattern("suffix", f".{domain}"), _whole(domain))]
        return self._patterns(leaf.field, name, tests)

    @_leaf.register
    def _(self, leaf: c.Matches, name: str) -> q.Query:
        return self._patterns(leaf.field, name, leaf.patterns)

    def _patterns(self, asked: str, name: str, patterns: Sequence[Pattern]) -> q.Query:
        """Return the query for text that fits a pattern, on the keyword and on values too long for it."""
        options = [query for p in patterns for query in self._on(name, KEYWORD, partial(_pattern, p))]
        if self.fields.types[name] & TEXT and name not in self.fields.short:
            exact = [v for v in self.fields.variants(name, KEYWORD) if v != name]
            options += [self._in_text(asked, name, exact, pattern) for pattern in patterns]
        return self._either(asked, name, options, "cannot be compared with patterns")

    def _in_text(self, asked: str, name: str, exact: Sequence[str], pattern: Pattern) -> q.Query:
        """Return the query on a text field, for values that are longer than its keyword sub-field takes.

        Exact for a pattern of one word; otherwise every word of the pattern is asked for, in any order, and only
        where the keyword has no value.
        """
        words = [_wildcard(name, f"*{word}*") for word in pattern.words()]
        if pattern.is_one_word:
            return words[0]
        which = f"values too long for {exact[0]}" if exact else "text without a keyword"
        if not words and pattern.has_text:
            self.limits.append(f"{asked}: {which} is not searched for {pattern.text!r}, which has no letter or digit")
            return NOTHING
        if words:
            self.limits.append(f"{asked}: {which} is searched for the words of {pattern.text!r}, in any order")
        return q.Bool(filter=words or [_exists(name)], must_not=[_exists(variant) for variant in exact])

    @_leaf.register
    def _(self, leaf: c.Compares, name: str) -> q.Query:
        options = self._on(name, NUMBER, lambda v: q.Range(v, leaf.bounds(), _expand__to_dot=False))
        return self._either(leaf.field, name, options, "cannot be compared with a number")

    @_leaf.register
    def _(self, leaf: c.Exists, name: str) -> q.Query:
        options = [] if self.fields.types[name] == {"unindexed"} else [_exists(name)]
        return self._either(leaf.field, name, options, "cannot be searched")

    @_leaf.register
    def _(self, leaf: c.Regex, name: str) -> q.Query:
        options = self._on(name, KEYWORD, lambda v: q.Regexp(v, {"value": leaf.text}, _expand__to_dot=False))
        return self._either(leaf.field, name, options, "cannot be compared with a regular expression")

    def _either(self, asked: str, name: str, options: Sequence[q.Query], why_not: str) -> q.Query:
        """Return the query of all options; with none the field is unfit, and the reason is kept."""
        if not options:
            self.unfit.append(f"{asked} {why_not}: it is mapped as {', '.join(sorted(self.fields.types[name]))}")
        return any_query(options)


def _networks(name: str, networks: Sequence[AnyNetwork]) -> q.Query:
    """Return the query for addresses in the networks: single addresses as one set, prefixes as ranges."""
    plain = [plain_network(net) for net in networks]
    merged: list[AnyNetwork] = [
        *collapse_addresses(net for net in plain if isinstance(net, IPv4Network)),
        *collapse_addresses(net for net in plain if isinstance(net, IPv6Network)),
    ]
    single = [str(net.network_address) for net in merged if net.num_addresses == 1]
    prefixes = [str(net) for net in merged if net.num_addresses > 1]
    ranges = [q.Term(name, {"value": prefix}, _expand__to_dot=False) for prefix in prefixes]
    return any_query([*([q.Terms(name, single, _expand__to_dot=False)] if single else []), *ranges])


def _whole(text: str) -> Pattern:
    """Return the pattern that is the whole text, in any case."""
    return Pattern("wildcard", re.sub(r"([*?\\])", r"\\\1", text))


def _pattern(pattern: Pattern, name: str) -> q.Query:
    """Return the query for a pattern on a keyword field."""
    if pattern.how == "prefix":
        body = {"value": pattern.text, "case_insensitive": True}
        return q.Prefix(name, body, _expand__to_dot=False)
    return _wildcard(name, pattern.wildcard())


def _wildcard(name: str, text: str) -> q.Query:
    """Return the wildcard query, blind to the case of a to z."""
    return q.Wildcard(name, {"value": text, "case_insensitive": True}, _expand__to_dot=False)


def _exists(name: str) -> q.Query:
    """Return the query for events that have the field."""
    return q.Exists(field=name)
