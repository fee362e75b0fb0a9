"""Fetches the jars a lock names, in parallel, each checked against its sha256 before it gets its name.

Promises: a file is complete and right or it is not there, so a killed download is simply continued; a file that is
there and right is not fetched again; the repositories are jgo's own and those of the user's jgo settings. Will not:
resolve a dependency.
"""

from __future__ import annotations

import hashlib
import shutil
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import import_module
from pathlib import Path

import requests
import stamina

from connector.embedded.lock import LockedFile
from connector.embedded.places import check_room, writing_below
from connector.errors import EngineError

# called with bytes done and bytes in all
Progress = Callable[[int, int], None]
THREADS = 8
ATTEMPTS = 4
TIMEOUT_SECONDS = 30
CHUNK = 1 << 16
PARTIAL = ".partial"
BUSY = (429, 500, 502, 503, 504)


def no_progress(_done: int, _total: int) -> None:
    """Show nothing."""


def fetched(
    files: Sequence[LockedFile], folder: Path, progress: Progress = no_progress, sources: Sequence[str] | None = None
) -> int:
    """Return how many of the files had to be fetched so that all of them lie in the folder, whole and right.

    `sources` are base URLs of Maven repositories (default: jgo's). EngineError names the artifact and what to do.
    The caller is the only process in the folder.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        right = pool.map(lambda file: is_intact(folder / file.to, file), files)
        missing = [file for file, there in zip(files, right, strict=True) if not there]
    if not missing:
        return 0
    bases = list(sources) if sources is not None else repositories()
    partial = folder / PARTIAL
    with writing_below(folder):
        shutil.rmtree(partial, ignore_errors=True)
        stamina.instrumentation.set_on_retry_hooks(())  # a retry that helps is nobody's business
        total = sum(file.size for file in missing)
        check_room(folder, total, "XDG_CACHE_HOME")
        partial.mkdir(parents=True)
        try:
            _fetch_all(missing, _Download(folder, bases, total, progress))
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return len(missing)


def is_intact(path: Path, file: LockedFile) -> bool:
    """Tell whether the path holds exactly the locked file."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def repositories() -> list[str]:
    """Return the base URLs jgo asks: its default, and the `[repositories]` of the user's jgo settings (a mirror)."""
    try:
        maven, config = import_module("jgo.maven"), import_module("jgo.config")
    except ImportError:
        raise EngineError(
            "the engine has to be downloaded, and the packages for that are not installed: "
            "pip install 'guided-hunts[embedded]'"
        ) from None
    named = {**maven.MavenContext().remote_repos, **config.GlobalSettings.load().repositories}
    return [str(url).rstrip("/") for url in named.values()]


def path_of(artifact: str, packaging: str = "jar") -> str:
    """Return where an artifact (`group:id:version[:classifier]`) lies in a repository of Maven's layout."""
    group, name, version, *classifier = artifact.split(":")
    return f"{group.replace('.', '/')}/{name}/{version}/{'-'.join([name, version, *classifier])}.{packaging}"


def _fetch_all(files: Sequence[LockedFile], download: _Download) -> None:
    """Fetch the files with some threads; the first error ends the others at their next chunk."""
    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(download.fetch, file) for file in files]
        try:
            for job in as_completed(jobs):
                job.result()
        finally:
            download.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            download.session.close()


class _Download:
    """One download of many files by many threads: where to, where from, and how far it is."""

    def __init__(self, folder: Path, bases: Sequence[str], total: int, progress: Progress) -> None:
        """Begin at nothing."""
        self.stop = threading.Event()
        self._folder, self._bases, self._total, self._progress = folder, bases, total, progress
        self.session = requests.Session()
        self.session.verify = system_certificates()
        self.session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))
        self._done = 0
        self._lock = threading.Lock()

    def fetch(self, file: LockedFile) -> None:
        """Put one file in its place; EngineError if it cannot be had or is not what it should be."""
        partial = self._folder / PARTIAL / file.to.replace("/", "_")
        try:
            digest = self._received(file, partial)
        except requests.RequestException as error:
            raise EngineError(
                f"the download of {file.artifact} failed ({_cause(error)}): "
                f"{_remedy(error)} and run it again; what is here already is kept"
            ) from error
        if digest != file.sha256:
            raise EngineError(
                f"{file.artifact} was downloaded and is not the file it should be (sha256 {digest}, "
                f"expected {file.sha256}): nothing was kept of it; look at what is between here and the repository"
            )
        target = self._folder / file.to
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.chmod(0o644)
        partial.replace(target)

    def _received(self, file: LockedFile, path: Path) -> str:
        """Return the sha256 of what was received into the path, asked again while that may help."""
        for attempt in stamina.retry_context(on=_is_passing, attempts=ATTEMPTS, wait_initial=0.5, wait_max=5):
            with attempt:
                return self._written(self._chunks(file), path)
        raise AssertionError("the retry loop ends with a return or an error")

    def _written(self, chunks: Iterable[bytes], path: Path) -> str:
        """Return the sha256 of the chunks, having written them to the path."""
        digest, counted = hashlib.sha256(), 0
        try:
            with path.open("wb") as stream:
                for chunk in chunks:
                    if self.stop.is_set():
                        raise EngineError("the download was stopped")
                    stream.write(chunk)
                    digest.update(chunk)
                    counted += len(chunk)
                    self._count(len(chunk))
            counted = 0
        finally:
            self._count(-counted)
        return digest.hexdigest()

    def _chunks(self, file: LockedFile) -> Iterator[bytes]:
        """Yield the content of a file from the first repository that has it; requests.RequestException if none does."""
        error = requests.RequestException("no repository to ask")
        for base in self._bases:
            with self.session.get(f"{base}/{path_of(file.artifact)}", stream=True, timeout=TIMEOUT_SECONDS) as answer:
                if answer.ok:
                    yield from answer.iter_content(CHUNK)
                    return
                error = requests.HTTPError(f"{answer.status_code} {answer.reason} at {answer.url}", response=answer)
        raise error

    def _count(self, size: int) -> None:
        """Count more bytes (fewer than none when a file is begun again) and tell the progress display."""
        with self._lock:
            self._done += size
            self._progress(self._done, self._total)


def _is_passing(error: Exception) -> bool:
    """Tell whether a failed download may work when it is asked again."""
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in BUSY
    if isinstance(error, requests.exceptions.SSLError):
        return False
    return isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError)


def system_certificates() -> str | bool:
    """Return where the machine keeps the authorities it trusts, or True for those that come with requests.

    A company's proxy has its authority there; REQUESTS_CA_BUNDLE still goes before it.
    """
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def _remedy(error: requests.RequestException) -> str:
    """Return what to look at when a download failed so."""
    if isinstance(error, requests.exceptions.SSLError):
        return "name the certificates of the proxy in between in REQUESTS_CA_BUNDLE"
    return "check the network or proxy"


def _cause(error: requests.RequestException) -> str:
    """Return why, in one line."""
    return str(error).splitlines()[0][:300] or type(error).__name__
