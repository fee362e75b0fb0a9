"""elastalert2 2.31 for the benches: an environment with it, rules that ask our hunts' very queries, its own indices.

Promises: nothing of it comes into our own environment; a rule is the hunt's compiled query and fetches its fields.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from ground import say

from connector.embedded.places import cache_folder
from connector.hunts.asking.asking import CONTEXT
from connector.hunts.asking.mapped import INGESTED
from connector.hunts.asking.questions import Asked

VERSION = "2.31.0"
PYTHONS = ("python3.14", "python3.13", "python3.12", "python3")
WRITEBACK = "elastalert"
ENVIRONMENT = {"PATH": os.defpath}  # of variables that it would put into rules, none
Json = dict[str, Any]


def elastalert_python(wanted: str | None = None) -> Path:
    """Return the Python of an environment with elastalert2, made in the cache folder if it is not there.

    `wanted` is the Python to make it with; without it the newest is taken that is found. SystemExit if there is none.
    """
    for candidate in [wanted] if wanted else _pythons():
        version = _version(candidate)
        if version < (3, 12):
            continue
        folder = cache_folder() / f"elastalert2-{VERSION}-python{version[0]}.{version[1]}"
        python, done = folder / "bin" / "python", folder / "complete"
        if not done.exists():
            say(f"installing elastalert2 {VERSION} into {folder}")
            subprocess.run([candidate, "-m", "venv", "--clear", str(folder)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "-q", f"elastalert2=={VERSION}"], check=True)
            done.touch()
        return python
    raise SystemExit(f"elastalert2 {VERSION} needs Python 3.12 or newer, and none was found: name one with --python")


def _pythons() -> Iterator[str]:
    """Yield the Pythons of the path and of pyenv, the newest of each first."""
    yield from filter(None, map(shutil.which, PYTHONS))
    found = (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")
    yield from map(str, sorted(found, key=lambda p: [int(n) for n in re.findall(r"\d+", p.parts[-3])], reverse=True))


def _version(python: str) -> tuple[int, int]:
    """Return the version of a Python, (0, 0) if it does not run."""
    asking = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    told = subprocess.run(asking, capture_output=True, text=True, check=False).stdout.split()
    return (int(told[0]), int(told[1])) if len(told) == 2 else (0, 0)


def create_indices(python: Path, config: Path) -> None:
    """Make its own indices, which are empty then."""
    create = [str(python), "-m", "elastalert.create_index", "--config", str(config), "--recreate", "True"]
    subprocess.run(create, check=True, env=ENVIRONMENT, cwd=config.parent, stdout=sys.stderr)


def write_rules(folder: Path, url: str, rules: Iterable[Json], config: Mapping[str, Any]) -> Path:
    """Write rules and the configuration, with what it says besides, into the folder; return the file of the latter."""
    (folder / "rules").mkdir()
    for rule in rules:
        (folder / "rules" / f"{rule['name']}.yaml").write_text(yaml.safe_dump(rule), encoding="utf-8")
    host, port = urlsplit(url).netloc.split(":")
    engine = {"es_host": host, "es_port": int(port), "writeback_index": WRITEBACK}
    whole = {"rules_folder": str(folder / "rules"), **engine, **config}
    (folder / "config.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    return folder / "config.yaml"


def rule_of(each: Asked, **more: Any) -> Json:
    """Return a hunt as a rule, which by default goes by the time when the engine wrote the event."""
    (question,) = each.questions
    names = dict.fromkeys((*each.hunt.fields, *CONTEXT, question.source.time_field))
    return {
        "name": each.hunt.name,
        "type": "any",
        "index": question.source.pattern,
        "filter": [question.compiled.query],
        "timestamp_field": INGESTED,
        "timestamp_type": "unix_ms",
        "include": [question.stored(name) for name in names],
        "realert": {"minutes": 0},
        **more,
    }
