"""An organisation's settings in a folder, and a search engine with its events, installed and loaded."""

import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.enrich.assets import build_assets
from connector.enrich.tables import build_tables
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.passes.passes import Order, Pass, run_pass
from connector.settings.load import load_settings
from connector.settings.model import Settings, SiemSettings
from connector.siem.client import Siem
from connector.siem.eve import STEM
from connector.siem.install import install, plan
from connector.siem.load import load_files
from tests.conftest import Place, clean

OFFICE_NETWORKS = """
organisation:
  name: Office
  cidr: ["10.0.0.0/8"]
  networks:
    - {name: finance, cidr: ["10.10.10.0/24"], department: finance}
    - {name: engineering, cidr: ["10.10.20.0/24"], department: engineering}
    - {name: hr, cidr: ["10.10.30.0/24"], department: hr}
    - {name: guest, cidr: ["10.10.40.0/24"], department: guest}
"""
OFFICE_RESOLVERS = """
approved:
  - {name: dns1, address: "10.0.0.53", role: recursive}
  - {name: dns2, address: "10.0.0.54", role: recursive}
exceptions: []
"""


@contextmanager
def new_place(url: str) -> Iterator[Place]:
    """Hold a clean place for the length of a with statement."""
    prefix = f"t{secrets.token_hex(4)}-"
    with Siem.connect(SiemSettings(urls=(url,))) as siem:
        try:
            yield Place(siem, prefix, url)
        finally:
            clean(siem, prefix)


def story_settings(place: Place, folder: Path, shared: Path) -> Settings:
    """Return the settings of the story's organisation, written to `folder`."""
    for name in ("networks.yml", "resolvers.yml"):
        shutil.copy(shared / "story" / name, folder)
    return _settings(place, folder)


def office_settings(place: Place, folder: Path) -> Settings:
    """Return the settings of the small office, written to `folder`."""
    (folder / "networks.yml").write_text(OFFICE_NETWORKS, encoding="utf-8")
    (folder / "resolvers.yml").write_text(OFFICE_RESOLVERS, encoding="utf-8")
    return _settings(place, folder)


def _settings(place: Place, folder: Path) -> Settings:
    """Return the settings of a folder, for the test's place."""
    file = folder / "hunts.yml"
    source = f"{{pattern: '{place.prefix}{STEM}*', dialect: eve, time_field: '@timestamp'}}"
    lines = (f"siem: {{url: '{place.url}'}}", f"prefix: {place.prefix}", f"sources: [{source}]")
    file.write_text("\n".join(lines), encoding="utf-8")
    return load_settings(file, {})


def install_and_load(siem: Siem, settings: Settings, *files: Path) -> None:
    """Install everything and load EVE files; every line of them is an event afterwards."""
    install(siem, plan(siem, build_assets(settings, build_tables(settings))))
    loaded = load_files(siem, [str(file) for file in files], settings.prefix, lambda *_: None, settings.prefix + STEM)
    assert all(file.stored == file.lines for file in loaded.files)


def one_pass(
    siem: Siem, settings: Settings, names: Sequence[str] = (), lag: timedelta = timedelta(), broken: bool = False
) -> Pass:
    """Return a pass of the named hunts, or of all that are stable, over what there is."""
    catalogue = load_catalogue(settings)
    stable = [hunt for hunt in catalogue.hunts if hunt.status == "stable"]
    hunts = [catalogue.named(name) for name in names] or stable
    return run_pass(siem, settings, Order(hunts, lag, broken=broken), clock(), lambda *_: None)


def clock() -> Callable[[], datetime]:
    """Return the clock on the wall."""
    return lambda: datetime.now(UTC)
