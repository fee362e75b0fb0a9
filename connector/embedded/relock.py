"""For maintainers: `python -m connector.embedded.relock NAME` resolves an engine's coordinates and writes its lock.

Promises: the server's own POM alone decides the versions in `lib/` (the `!` after the other coordinates), a module has
no jar that `lib/` has (the engine refuses to start on one), every sha256 is of what was downloaded now. Will not: run
on a user's machine.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import jgo
import requests

from connector.embedded.download import THREADS, path_of, repositories
from connector.embedded.lock import LOCKS, Lock, LockedFile, written
from connector.embedded.products import DISTRIBUTIONS, Distribution


@dataclass(frozen=True)
class Wanted:
    """An artifact and its place."""

    artifact: str
    to: str


def relocked(engine: Distribution) -> Lock:
    """Return the lock of the engine as its repositories have it now."""
    libraries = resolved(
        f"{engine.libraries[0]}+{'+'.join(one + '!' for one in engine.libraries[1:])}", engine.left_out
    )
    shared = {project(one) for one in libraries}
    wanted = [Wanted(one, f"lib/{file_name(one)}") for one in libraries]
    for module, coordinate in engine.modules.items():
        own = [one for one in resolved(coordinate, engine.left_out) if project(one) not in shared]
        wanted += [Wanted(one, f"modules/{module}/{file_name(one)}") for one in own]
    with TemporaryDirectory() as folder, ThreadPoolExecutor(THREADS) as pool:
        files = tuple(pool.map(lambda one: _downloaded(one, Path(folder)), wanted))
        modules = {
            name: plugin_class(Path(folder, "modules", name, file_name(coordinate)))
            for name, coordinate in engine.modules.items()
        }
    return Lock(engine.name, files, modules)


def resolved(endpoint: str, left_out: Iterable[str]) -> list[str]:
    """Return the artifacts of an endpoint (jgo's notation) as `group:artifact:version[:classifier]`."""
    artifacts = (
        ":".join(filter(None, (one.groupId, one.artifactId, one.version, one.classifier)))
        for one in jgo.resolve(endpoint)
    )
    return [one for one in artifacts if project(one) not in left_out]


def project(artifact: str) -> str:
    """Return the `group:artifact` of an artifact."""
    return ":".join(artifact.split(":")[:2])


def file_name(artifact: str) -> str:
    """Return what the jar of an artifact is called."""
    return path_of(artifact).rpartition("/")[2]


def plugin_class(jar: Path) -> str:
    """Return the class that makes a jar a module: its one `*ModulePlugin`, or its one `*Plugin`."""
    with zipfile.ZipFile(jar) as archive:
        names = [name for name in archive.namelist() if name.endswith("Plugin.class") and "$" not in name]
    (name,) = [name for name in names if name.endswith("ModulePlugin.class")] or names
    return name.removesuffix(".class").replace("/", ".")


def _downloaded(wanted: Wanted, folder: Path) -> LockedFile:
    """Return the locked file of an artifact, having put it into the folder."""
    for base in repositories():
        answer = requests.get(f"{base}/{path_of(wanted.artifact)}", timeout=120)
        if answer.ok:
            path = folder / wanted.to
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(answer.content)
            return LockedFile(
                wanted.artifact, wanted.to, len(answer.content), hashlib.sha256(answer.content).hexdigest()
            )
    raise SystemExit(f"{wanted.artifact} is in no repository")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or DISTRIBUTIONS:
        lock = relocked(DISTRIBUTIONS[chosen])
        (LOCKS / f"{chosen}.json").write_text(written(lock), "utf-8")
        print(f"{chosen}: {len(lock.files)} files, {sum(file.size for file in lock.files) >> 20} MB")
