"""Reads a condition from a place in a YAML file.

Promises: whatever is wrong is added to `problems` as file:line, all of it, and reading goes on. What is only of the
wrong type is left to the JSON Schema, which says it better.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from connector.errors import Problem
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.address import AnyNetwork, address_number, is_address_field, network
from connector.hunts.conditions.host_fields import host_problem
from connector.hunts.conditions.lists import Lists
from connector.hunts.conditions.pattern import HOW, How, Pattern
from connector.settings.part import Part

GROUPS: dict[str, type[c.All] | type[c.Any] | type[c.None_]] = {"all": c.All, "any": c.Any, "none": c.None_}
BOUNDS = ("gt", "gte", "lt", "lte")
NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.@")


@dataclass
class Reader:
    """What reading needs: the lists, the fields that `$field` may name, and where problems go."""

    lists: Lists
    problems: list[Problem] = field(default_factory=list)
    finding_fields: Collection[str] = ()

    def group(self, part: Part) -> c.Condition:
        """Return the condition of a mapping of all, any and none; several of them in one mapping must all hold."""
        groups = [self._group(part.at(key), key) for key in GROUPS if key in _keys(part)]
        return groups[0] if len(groups) == 1 else c.All(tuple(groups))

    def _group(self, part: Part, key: str) -> c.Group:
        """Return one group of members."""
        items = part.value if isinstance(part.value, list) else []
        members = [Part(part.document, (*part.place, index), value) for index, value in enumerate(items)]
        return GROUPS[key](tuple(self._member(member) for member in members))

    def _member(self, part: Part) -> c.Condition:
        """Return the condition of a group's member: a nested group, `lucene`, or one field."""
        keys = _keys(part)
        if any(key in GROUPS for key in keys) and all(key in GROUPS for key in keys):
            return self.group(part)
        if len(keys) != 1:
            self.problems.append(part.problem("must have one field: give each field its own dash, or nest them in all"))
            return c.All(())
        name = keys[0]
        if name == "lucene":
            return c.Lucene(part.text("lucene") or "")
        if not NAME.issuperset(name.lower()) or name.startswith("."):
            self.problems.append(part.at(name).problem("is no field name: write it with dots, such as hunt.client.ip"))
        leaf = self._leaf(name, part.at(name))
        for problem in map(host_problem, c.leaves(leaf)):
            if problem:
                self.problems.append(part.at(name).problem(problem))
        return leaf

    def _leaf(self, name: str, part: Part) -> c.Condition:
        """Return the leaf for what is asked of a field."""
        if not isinstance(part.value, dict):
            return self._equals(name, [part])
        words = _keys(part)
        if all(word in BOUNDS for word in words):
            return self._compares(name, part)
        if len(words) != 1:
            self.problems.append(part.problem(f"has {' and '.join(words)}: give each its own dash"))
            return c.All(())
        word = words[0]
        if word in HOW:
            return self._matches(name, word, part)
        readers: dict[str, Callable[[str, Part], c.Condition]] = {
            "any_of": lambda n, p: self._equals(n, p.items("any_of")),
            "in_list": self._in_list,
            "in_network": self._in_network,
            "under_domain": self._under_domain,
            "exists": lambda n, p: c.Exists(n),
            "regex": lambda n, p: c.Regex(n, p.text("regex") or ""),
        }
        return readers[word](name, part) if word in readers else c.All(())

    def _equals(self, name: str, parts: Sequence[Part]) -> c.Condition:
        """Return the leaf for values that are written out."""
        return c.Equals(name, tuple(self._value(name, part) for part in parts))

    def _value(self, name: str, part: Part) -> c.Scalar | c.Reference:
        """Return one value to compare with: a scalar, or the `$field` of a guide step."""
        value = part.value
        if not isinstance(value, str | int | float):
            return ""
        if isinstance(value, str) and value.startswith("$"):
            if value[1:] not in self.finding_fields:
                known = ", ".join(sorted(self.finding_fields)) or "none, as only guide steps start from a finding"
                self.problems.append(part.problem(f"names {value}, which a finding does not have; it has: {known}"))
            return c.Reference(value[1:])
        if is_address_field(name) and address_number(value) is None:
            self.problems.append(part.problem(f"is {value!r}, but {name} holds addresses: for networks use in_network"))
        return value

    def _in_list(self, name: str, part: Part) -> c.Condition:
        """Return the leaf for the values of a named list."""
        if is_address_field(name):
            self.problems.append(part.problem(f"asks for a list of texts, but {name} holds addresses: use in_network"))
        return c.Equals(name, self._list(part.at("in_list")), part.text("in_list"))

    def _list(self, part: Part) -> tuple[str, ...]:
        """Return the values of the list that a place names."""
        if not isinstance(part.value, str):
            return ()
        if part.value not in self.lists:
            known = ", ".join(sorted(self.lists)) or "none"
            self.problems.append(part.problem(f"names the list {part.value!r}, which is not there; lists: {known}"))
            return ()
        return self.lists[part.value].values

    def _in_network(self, name: str, part: Part) -> c.Condition:
        """Return the leaf for networks that are written out, or for a named list of them."""
        written = part.texts("in_network")
        if [p.value for p in written] == [part.at("in_network").value] and network(written[0].value) is None:
            values, named = self._list(part.at("in_network")), part.text("in_network")
            parts = [Part(part.document, (*part.place, "in_network"), value) for value in values]
            return c.InNetwork(name, self._networks(parts), named)
        return c.InNetwork(name, self._networks(written))

    def _networks(self, parts: Sequence[Part]) -> tuple[AnyNetwork, ...]:
        """Return the networks that are written at these places."""
        found = [(part, network(part.value)) for part in parts]
        for part, net in found:
            if net is None:
                self.problems.append(
                    part.problem(f"has {part.value!r}, which is no address and no prefix in CIDR form")
                )
        return tuple(net for _, net in found if net is not None)

    def _under_domain(self, name: str, part: Part) -> c.Condition:
        """Return the leaf for names at or below domains."""
        domains = [str(p.value).lower().strip(".") for p in part.texts("under_domain")]
        if not all(domains):
            self.problems.append(part.at("under_domain").problem("is empty: name a domain, such as example.com"))
        return c.UnderDomain(name, tuple(domains))

    def _matches(self, name: str, how: How, part: Part) -> c.Condition:
        """Return the leaf for patterns over text."""
        patterns = tuple(Pattern(how, str(p.value)) for p in part.texts(how))
        if is_address_field(name):
            self.problems.append(part.problem(f"asks for text, but {name} holds addresses: use in_network"))
        elif not all(pattern.text for pattern in patterns):
            self.problems.append(part.at(how).problem("is empty and would match everything: ask with exists instead"))
        return c.Matches(name, patterns)

    def _compares(self, name: str, part: Part) -> c.Condition:
        """Return the leaf for bounds on a number."""
        words = _keys(part)
        if len({word[:2] for word in words}) != len(words):
            self.problems.append(part.problem("has two bounds on one side: keep one of them"))
        given = {word: part.at(word).value for word in words}
        return c.Compares(name, **{k: v for k, v in given.items() if isinstance(v, int | float)})


def _keys(part: Part) -> list[str]:
    """Return the keys of a mapping; of anything else none."""
    return [str(key) for key in part.value] if isinstance(part.value, dict) else []
