"""Puts a distribution together from its lock: the folder that a node is started from.

Promises: the folder is checked whole at every call and mended if need be; it is shared by all nodes and none writes in
it. Will not: start anything.
"""

from __future__ import annotations

from pathlib import Path

from connector.embedded.download import Progress, fetched, no_progress
from connector.embedded.lock import Lock, lock_named
from connector.embedded.places import alone_in, writing_below
from connector.embedded.products import Distribution

# the engine would make these itself, and may not
EMPTY = ("bin", "plugins")
DESCRIPTOR = "plugin-descriptor.properties"


def assembled(engine: Distribution, cache: Path, progress: Progress = no_progress, lock: Lock | None = None) -> Path:
    """Return the home folder of the distribution, below the cache folder, with all its files right.

    EngineError if a file cannot be fetched or the disk is full; what was fetched is kept.
    """
    lock = lock or lock_named(engine.name)
    home = cache / lock.key
    with alone_in(home):
        fetched(lock.files, home, progress)
        with writing_below(home):
            for module, class_name in lock.modules.items():
                _keep(home / "modules" / module / DESCRIPTOR, descriptor(engine, module, class_name))
            for name in EMPTY:
                (home / name).mkdir(exist_ok=True)
            for folder in (home, *home.glob("**/")):
                folder.chmod(0o755)
    return home


def descriptor(engine: Distribution, module: str, class_name: str) -> str:
    """Return the text that makes a folder of jars a module: Java properties, checked by the engine when it starts."""
    properties = {
        "description": module,
        "version": engine.version,
        engine.descriptor_key: engine.version,
        "name": module,
        "classname": class_name,
        "java.version": str(engine.java[0]),
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def _keep(path: Path, text: str) -> None:
    """Write a file whole, if it does not have that text already."""
    if not path.is_file() or path.read_text("utf-8") != text:
        partial = path.with_suffix(".partial")
        partial.write_text(text, "utf-8")
        partial.chmod(0o644)
        partial.replace(path)
