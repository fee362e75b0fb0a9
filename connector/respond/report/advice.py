"""What to do next, as it follows from what was found and decided; pure.

Promises: the same report has the same advice; what was decided is not advised again; a value of an event is in a
command only if a shell cannot take it for anything else. Will not: advise anything of which the report does not have
the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from connector.respond.evidence.model import Evidence
from connector.respond.report.model import Guide, Sent, Step, Summary, Todo
from connector.respond.report.texts import shown

CLOSED = ("fixed", "false-positive")
GRAVE = ("high", "critical")
MOST_FILES = MOST_NAMES = 5
TYPED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,252}")  # what may stand in a command that people copy


def advice(
    summary: Summary, steps: Sequence[Step], evidence: Evidence, guides: Sequence[Guide], sent: Iterable[Sent]
) -> tuple[Todo, ...]:
    """Return what to do, the most urgent first."""
    subject = evidence.subject
    todo = (
        []
        if summary.status in CLOSED
        else [*_contain(summary, steps), *_decide(subject.kind, subject.id, summary, steps)]
    )
    todo += [*_files(evidence, steps), *_names(steps), *_packets(evidence, subject.id), *_ask(steps, guides)]
    failed = [one for one in sent if one.status == "failed"]
    if failed:
        why = f"{len(failed)} deliveries failed for good; the newest to {failed[0].receiver}: {failed[0].words}"
        todo.append(Todo("Have the receiver told again", shown(why), f"hunts outbox retry {failed[0].id}"))
    return tuple(todo)


def _contain(summary: Summary, steps: Sequence[Step]) -> Iterator[Todo]:
    """Yield what keeps the harm from growing: a host that is under control from outside comes off the network."""
    calls = [step for step in steps if step.lane == "beacons" and step.severity in GRAVE]
    who = ", ".join(summary.hosts) or summary.asset
    if calls:
        servers = sorted({server for step in calls for server in step.facts.get("hunt.server.ip", ())})
        whom = ", ".join(servers) or "a server outside"
        why = f"step {_numbers(calls)}: it calls {whom} regularly, which may control it"
        yield Todo(f"Take {who} off the network and keep it switched on", why)
        yield Todo(f"Block {whom} for all hosts", "others may call it, or begin to")
    if calls and summary.users:
        yield Todo(f"Reset what {', '.join(summary.users)} can log in with", f"the account was in use on {who}")


def _decide(kind: str, id: str, summary: Summary, steps: Sequence[Step]) -> Iterator[Todo]:
    """Yield what is still to be decided."""
    if kind != "declaration":
        hunt = next((step.hunt for step in steps if step.subject and step.hunt), "HUNT")
        why = "it is not declared: nobody has been told, and its evidence goes when the events do"
        command = f"hunts declare {hunt} --threat THREAT --phase PHASE --asset hunt.client.ip"
        yield Todo("Decide whether this is an incident, and declare it", why, command)
    elif summary.status == "new":
        yield Todo("Give the declaration to somebody", "its status is new", f"hunts declaration {id} assign NAME")
    elif summary.status == "assigned":
        why = f"{summary.assigned or 'somebody'} has it, and it is open"
        yield Todo("Set the status when it is done", why, f"hunts declaration {id} status fixed")


def _files(evidence: Evidence, steps: Sequence[Step]) -> Iterator[Todo]:
    """Yield the files to examine: those that the sensor kept, and those that a finding is about."""
    told = {value for step in steps for value in step.facts.get("fileinfo.sha256", ())}
    each = {file.sha256 or file.name: file for file in evidence.files if file.path or file.sha256 in told}
    for file in list(each.values())[:MOST_FILES]:
        where = f"the sensor's filestore has it as {file.path}" if file.path else "its hash is known"
        yield Todo(
            f"Examine {shown(file.name, 80)} away from the network, and find who else has it",
            f"{where}; {shown(file.magic, 80) or 'of unknown kind'}",
            _command("hunts lookup", file.sha256),
        )


def _names(steps: Sequence[Step]) -> Iterator[Todo]:
    """Yield the names that only this host asked for, which are worth blocking and looking for elsewhere."""
    names = list(dict.fromkeys(name for step in steps for name in step.only_here))
    if names:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        yield Todo(
            f"Look up and block {', '.join(names[:MOST_NAMES])}{more}",
            "no other client asked for these names around that time",
            _command("hunts lookup", names[0]),
        )


def _packets(evidence: Evidence, id: str) -> Iterator[Todo]:
    """Yield that the packets are to be kept while the capture has them."""
    files = sorted({file for capture in evidence.captures for file in capture.files})
    if files:
        why = f"the events name {', '.join(map(shown, files[:3]))}, and sensors write their captures over"
        command = f"hunts evidence {id} --files DIR --pcap PATH" if TYPED.fullmatch(id) else ""
        yield Todo("Copy packets and files while the sensor has them", why, command)


def _ask(steps: Sequence[Step], guides: Sequence[Guide]) -> Iterator[Todo]:
    """Yield the questions that are still to be asked: of other grave findings, and of guides that failed."""
    asked = {guide.finding for guide in guides}
    for step in steps:
        if step.id and step.id not in asked and step.severity in GRAVE:
            why = f"step {step.number} is {step.severity}, and its guide was not asked here"
            yield Todo(f"Ask the guide of {shown(step.title, 80)}", why, f"hunts guide {step.id[:12]}")
    for guide in guides:
        if failed := [answer.number for answer in guide.answers if answer.failed]:
            numbers = ", ".join(map(str, failed))
            yield Todo(
                f"Ask question {numbers} of {guide.title} again", "it failed", f"hunts guide {guide.finding[:12]}"
            )


def _command(command: str, value: str) -> str:
    """Return a command with a value; nothing if the value could be more than a value to a shell."""
    return f"{command} {value}" if TYPED.fullmatch(value) else ""


def _numbers(steps: Iterable[Step]) -> str:
    """Return the numbers of steps in a line."""
    return ", ".join(str(step.number) for step in steps)
