"""Where the content folders (`queries`, `ingest-pipelines`, `dashboards`) are.

In a wheel they lie inside the package, in a checkout at the top of the repository; nothing else knows which it is.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def content_folder(name: str) -> Path:
    """Return the folder of that name, from the wheel or from the checkout; FileNotFoundError if neither has it."""
    for folder in (PACKAGE / "content" / name, PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the installation has no folder {name}: install guided-hunts again")
