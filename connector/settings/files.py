"""Files that the settings name, and the secrets in them or in the environment.

Promises: a relative path starts from the folder of `hunts.yml`; a secret written into `hunts.yml` is refused; no
secret, and no path that may be a secret written under the wrong key, is in a message. Will not: keep a file open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connector.documents import Document, Place
from connector.errors import Problem
from connector.settings.part import Part

# key that must not be there → what to do instead
NO_SECRETS = {
    "password": "set the environment variable HUNTS_PASSWORD, or name a file with it as password_file",
    "api_key": "set the environment variable HUNTS_API_KEY, or name a file with it as api_key_file",
    "secret": "name an environment variable with it as secret_env, or a file with it as secret_file",
    "virustotal_key": "set the environment variable HUNTS_VIRUSTOTAL_KEY, or name a file as virustotal_key_file",
    "authorization": "name an environment variable with it as authorization_env, or a file as authorization_file",
}


@dataclass(frozen=True)
class Surroundings:
    """What settings are read against: the folder relative paths start from, and the environment.

    `named` takes down every file and folder that has a say, be it there or not.
    """

    folder: Path
    environment: Mapping[str, str]
    named: list[Path] = field(default_factory=list)

    def path(self, part: Part, key: str, problems: list[Problem], folder: bool = False) -> Path | None:
        """Return the file (or folder) named under the key if it exists; if it does not, add a problem."""
        named = part.text(key)
        if named is None:
            return None
        path = self.folder / Path(named).expanduser()
        self.named.append(path)
        if path.is_dir() if folder else path.is_file():
            return path
        problems.append(part.at(key).problem(f"names no {'folder' if folder else 'file'} that is there"))
        return None

    def secret(self, part: Part, file_key: str, variable: str | None, problems: list[Problem]) -> str | None:
        """Return the secret from the environment variable, else from the file under the key; None without either."""
        if variable and (value := self.environment.get(variable)):
            return value
        path = self.path(part, file_key, problems)
        if path is None:
            return None
        try:
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            problems.append(part.at(file_key).problem(f"names a file that cannot be read: {why}"))
            return None
        if not value or not value.isprintable():
            words = "is empty" if not value else "holds more than one line"
            problems.append(part.at(file_key).problem(f"names a file that {words}: it must hold the secret alone"))
            return None
        return value


def without_secrets(document: Document, problems: list[Problem]) -> Document:
    """Return the document without secrets written in it; each is added to `problems`, its value in none of them."""
    return Document(_clean(document, (), document.value, problems), document.file, document.lines)


def _clean(document: Document, place: Place, value: object, problems: list[Problem]) -> object:
    """Return the value without keys that hold a secret."""
    if isinstance(value, list):
        return [_clean(document, (*place, n), item, problems) for n, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    for key in value.keys() & NO_SECRETS.keys():
        words = f"{key} must not be written in this file: {NO_SECRETS[key]}"
        problems.append(document.problem((*place, key), words))
    kept = {key: item for key, item in value.items() if key not in NO_SECRETS}
    return {key: _clean(document, (*place, key), item, problems) for key, item in kept.items()}
