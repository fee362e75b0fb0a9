"""What of the files of hunts and settings is in force while they are edited, broken, emptied, moved and deleted."""

import os
import random
import re
import tempfile
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from connector.errors import ContentError
from connector.service import reload
from connector.service.reload import Watched

TEXT = (Path(__file__).parents[1] / "bad" / "hunts" / "title-word.yml").read_text(encoding="utf-8")
HEAD = "# about: a\n# source: b\n# licence: c\n# date: 2026-11-24\n"
ORGANISATION = "organisation: {name: Acme, cidr: 10.0.0.0/8}\n"
STAYS = "(it stays as it was read before)"


def id_of(name: str) -> str:
    return f"{sum(map(ord, name)):08d}-0000-4000-8000-{len(name):012d}"


def text_of(name: str, severity: str = "low", **values: str) -> str:
    """Return a hunt of this name; its id follows from the name if none is given."""
    text = TEXT.replace("name: title-word", f"name: {name}")
    for key, value in {"id": id_of(name), "severity": severity, **values}.items():
        text = re.sub(rf"^( *-? ?){re.escape(key)}: .*$", rf"\g<1>{key}: {value}", text, flags=re.MULTILINE)
    return text


class Files:
    """A folder with our hunts, one with the operator's, and settings; and the service's view of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ours, self.theirs = folder, folder / "ours", folder / "theirs"
        self.settings = folder / "hunts.yml"
        self.ours.mkdir()
        self.theirs.mkdir()
        self.put("hunts.yml", "queries: theirs\n")
        self.put("networks.yml", ORGANISATION)
        self.during: list = []  # what happens while the service waits for files to rest
        self.hunt("ours/dns/one.yml")
        self.hunt("theirs/mine/two.yml")

    def start(self, **environment: str) -> "Files":
        self.watched = Watched(self.settings, environment, self.ours, self._pause)
        return self

    def _pause(self, seconds: float) -> None:
        for happens in self.during:
            happens()
        self.during.clear()

    def put(self, path: str, text: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def hunt(self, path: str, severity: str = "low", **values: str) -> Path:
        return self.put(path, text_of(Path(path).stem, severity, **values))

    def look(self) -> bool:
        return self.watched.look()

    @property
    def loaded(self) -> reload.Loaded:
        return self.watched.loaded

    @property
    def found(self) -> dict[str, str]:
        """Return the severity of each hunt in force by its file."""
        return {str(Path(h.file).relative_to(self.folder)): h.severity for h in self.loaded.hunts}

    @property
    def said(self) -> str:
        return "\n".join(self.loaded.problems)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path).start()


BOTH = {"ours/dns/one.yml": "low", "theirs/mine/two.yml": "low"}


# ---- hunts


def test_without_a_change_nothing_is_read_again(files, monkeypatch):
    assert files.found == BOTH and files.loaded.problems == () and not files.loaded.broken
    monkeypatch.setattr(reload, "load_catalogue", None)
    monkeypatch.setattr(reload, "read_settings", None)
    before = files.loaded
    assert not files.look() and not files.look() and files.loaded is before


def test_a_file_that_is_written_as_it_was_is_no_change(files):
    files.hunt("ours/dns/one.yml")
    files.put("hunts.yml", "# about us\nqueries: theirs\n")
    assert not files.look() and files.found == BOTH


def test_hunts_are_edited_added_and_deleted(files):
    files.hunt("ours/dns/one.yml", "high")
    files.hunt("theirs/new-family/three.yml")
    assert files.look() and not files.look()
    assert files.found == BOTH | {"ours/dns/one.yml": "high", "theirs/new-family/three.yml": "low"}
    (files.folder / "theirs/mine/two.yml").unlink()
    files.hunt("ours/dns/one.yml", "high", status="deprecated")
    assert files.look() and files.found == {"theirs/new-family/three.yml": "low"}
    assert files.loaded.problems == () and not files.loaded.broken


@pytest.mark.parametrize("broken", ["", "id: [", "name: two\n", "# nothing yet\n", TEXT[:900], "\0", "- a\n"])
def test_a_broken_hunt_stays_as_it_was_until_it_is_right_again_or_deleted(files, broken):
    files.put("theirs/mine/two.yml", broken)
    files.hunt("ours/dns/one.yml", "high")
    assert files.look() and files.found == BOTH | {"ours/dns/one.yml": "high"}
    assert files.loaded.broken and "theirs/mine/two.yml:" in files.said
    assert all(problem.endswith(STAYS) for problem in files.loaded.problems)
    assert not files.look(), "it is told once"
    files.hunt("theirs/mine/two.yml", "medium")
    assert files.look() and files.found["theirs/mine/two.yml"] == "medium" and files.loaded.problems == ()
    files.put("theirs/mine/two.yml", broken)
    assert files.look() and files.found["theirs/mine/two.yml"] == "medium"
    (files.folder / "theirs/mine/two.yml").unlink()
    assert files.look() and list(files.found) == ["ours/dns/one.yml"]
    assert not files.loaded.broken and files.loaded.problems == ()
    files.put("theirs/mine/two.yml", broken)
    assert files.look() and list(files.found) == ["ours/dns/one.yml"], "what is deleted does not come back"
    assert files.loaded.broken and "(it is left out)" in files.said


def test_a_hunt_that_is_broken_from_the_start_is_left_out_and_named(tmp_path):
    files = Files(tmp_path)
    files.put("ours/dns/one.yml", "id: [")
    files.start()
    assert list(files.found) == ["theirs/mine/two.yml"] and files.loaded.broken
    assert "one.yml:1: not valid YAML" in files.said and "(it is left out)" in files.said
    files.hunt("ours/dns/one.yml")
    assert files.look() and files.found == BOTH


def test_a_file_that_is_emptied_and_then_written_is_waited_for(files):
    files.put("theirs/mine/two.yml", "")
    files.put("hunts.yml", "")
    files.during += [
        lambda: files.hunt("theirs/mine/two.yml", "high"),
        lambda: files.put("hunts.yml", "queries: theirs\nservice: {every: 5s}\n"),
    ]
    assert files.look() and files.found["theirs/mine/two.yml"] == "high" and files.loaded.problems == ()
    assert files.loaded.settings.service.every == timedelta(seconds=5)


def test_files_that_never_rest_are_read_as_they_are(files):
    sizes = iter(range(1, 100))

    def more():
        files.put("theirs/mine/four.yml", "#" * next(sizes))
        files.during.append(more)

    files._pause = lambda _: more()
    files.watched._pause = files._pause
    files.hunt("ours/dns/one.yml", "high")
    assert files.look() and files.found["ours/dns/one.yml"] == "high"
    assert next(sizes) < 50


@pytest.mark.parametrize("name", [".#one.yml", "._one.yml", ".one.yml.swp", "one.yml~", "one.yml.bak"])
def test_what_editors_leave_beside_a_hunt_is_no_hunt(files, name, monkeypatch):
    (files.folder / "ours/dns" / name).symlink_to("nobody@nowhere.1:1")
    (files.folder / "theirs/.github").mkdir()
    files.put("theirs/.github/dependabot.yml", "version: 2\n")
    with monkeypatch.context() as reading:
        reading.setattr(reload, "read_settings", None)
        assert not files.look(), "and is not worth reading everything again"
    files.hunt("ours/dns/one.yml", "high")
    assert files.look() and files.loaded.problems == ()


# ---- ids and names that stand twice


def test_a_copy_with_the_same_id_does_not_displace_the_hunt(files):
    """The copy comes first in the order of files, and is another hunt already: only its id is forgotten."""
    files.hunt("theirs/mine/another.yml", "critical", id=id_of("two"))
    assert files.look() and files.found == BOTH
    assert "another.yml:2: id" in files.said and f"is that of {files.theirs}/mine/two.yml too" in files.said
    assert "(it is left out)" in files.said
    files.hunt("theirs/mine/another.yml", "critical")
    assert files.look() and files.found == BOTH | {"theirs/mine/another.yml": "critical"}


def test_a_hunt_that_takes_the_id_of_another_stays_as_it_was(files):
    files.hunt("theirs/mine/three.yml")
    files.look()
    for name, other in (("three", "two"), ("two", "three")):
        files.hunt(f"theirs/mine/{name}.yml", "high", id=id_of(other))
        assert files.look() and files.found == BOTH | {"theirs/mine/three.yml": "low"}
        assert f"{name}.yml:2: id" in files.said and STAYS in files.said
        files.hunt(f"theirs/mine/{name}.yml")
        assert files.look() and files.loaded.problems == ()


def test_a_new_hunt_with_the_name_of_another_is_left_out(files):
    for severity in ("low", "high"):
        files.hunt("ours/aaa/two.yml", severity, id=id_of("other"))
        files.look()
        assert files.found == BOTH
    assert f"aaa/two.yml:3: name two is that of {files.theirs}/mine/two.yml too" in files.said


def test_a_hunt_that_is_moved_keeps_its_id_and_stays(files):
    (files.folder / "theirs/mine/two.yml").rename(files.folder / "theirs/two.yml")
    (files.folder / "theirs/dns").mkdir()
    (files.folder / "theirs/two.yml").rename(files.folder / "theirs/dns/two.yml")
    assert files.look() and [h.id for h in files.loaded.hunts if h.name == "two"] == [id_of("two")]
    assert files.loaded.problems == ()


def test_a_broken_override_stays_in_place_of_ours_until_it_is_deleted(files):
    files.hunt("theirs/mine/one.yml", "critical")
    assert files.look() and files.found == {"theirs/mine/one.yml": "critical", "theirs/mine/two.yml": "low"}
    override = files.put("theirs/mine/one.yml", "")
    files.hunt("ours/dns/one.yml", "high")
    assert files.look() and files.found == {"theirs/mine/one.yml": "critical", "theirs/mine/two.yml": "low"}
    override.unlink()
    assert files.look() and files.found == BOTH | {"ours/dns/one.yml": "high"}


# ---- lists


def values(files: Files, name: str) -> list[str]:
    """Return the written-out values of the hunt's list."""
    (hunt,) = (hunt for hunt in files.loaded.hunts if hunt.name == name)
    return re.findall(r"[a-z]+\.example\b", repr(hunt.match))


@pytest.fixture
def listed(files):
    files.put("ours/lists/names.txt", f"{HEAD}ours.example\n")
    files.hunt("ours/dns/one.yml", **{"hunt.name.parents": "{in_list: names}"})
    assert files.look() and values(files, "one") == ["ours.example"] and files.loaded.problems == ()
    return files


def test_a_broken_list_stays_as_it_was_and_its_hunts_can_be_edited(listed):
    listed.put("ours/lists/names.txt", HEAD)
    listed.hunt("ours/dns/one.yml", "high", **{"hunt.name.parents": "{in_list: names}"})
    assert listed.look() and values(listed, "one") == ["ours.example"]
    assert listed.found["ours/dns/one.yml"] == "high" and listed.loaded.broken
    assert listed.said == f"{listed.ours}/lists/names.txt:1: the list is empty: add values, one a line {STAYS}"
    listed.put("ours/lists/names.txt", f"{HEAD}new.example\n")
    assert listed.look() and values(listed, "one") == ["new.example"] and listed.loaded.problems == ()


def test_a_broken_list_of_the_operator_does_not_make_way_for_ours(listed):
    listed.put("theirs/lists/names.txt", f"{HEAD}theirs.example\n")
    assert listed.look() and values(listed, "one") == ["theirs.example"]
    listed.put("theirs/lists/names.txt", "")
    assert listed.look() and values(listed, "one") == ["theirs.example"] and STAYS in listed.said
    (listed.theirs / "lists/names.txt").unlink()
    assert listed.look() and values(listed, "one") == ["ours.example"] and listed.loaded.problems == ()


def test_a_list_that_is_deleted_leaves_its_hunts_as_they_were(listed):
    (listed.ours / "lists/names.txt").unlink()
    assert listed.look() and values(listed, "one") == ["ours.example"]
    assert "names the list 'names', which is not there" in listed.said and STAYS in listed.said


# ---- folders


@pytest.mark.parametrize("away", ["theirs", "ours"])
def test_a_folder_that_is_away_for_a_moment_keeps_its_hunts_and_lists(listed, away):
    for folder in ("ours", "theirs"):
        listed.put(f"{folder}/lists/names.txt", f"{HEAD}{folder}.example\n")
    listed.look()
    (listed.folder / away).rename(listed.folder / "elsewhere")
    assert listed.look() and listed.found == BOTH and values(listed, "one") == ["theirs.example"]
    assert f"{away}" in listed.said and "stay" in listed.said
    (listed.folder / "elsewhere").rename(listed.folder / away)
    listed.hunt(f"{away}/mine/three.yml")
    assert listed.look() and listed.found == BOTH | {f"{away}/mine/three.yml": "low"}
    assert listed.loaded.problems == ()


@contextmanager
def as_nobody():
    """Take the rights of the superuser away, who can read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("closed", ["theirs", "theirs/mine", "theirs/lists", "theirs/mine/two.yml"])
def test_what_may_not_be_read_stays_and_is_taken_over_when_it_may(closed):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        files = Files(Path(name))
        files.put("theirs/lists/names.txt", f"{HEAD}theirs.example\n")
        files.hunt("ours/dns/one.yml", **{"hunt.name.parents": "{in_list: names}"})
        files.start()
        (files.folder / closed).chmod(0)
        with as_nobody():
            assert files.look() and files.found == BOTH and values(files, "one") == ["theirs.example"]
            assert str(files.folder / closed) in files.said and "stay" in files.said and files.loaded.broken
        files.hunt("theirs/mine/two.yml", "high")
        (files.folder / closed).chmod(0o755)
        with as_nobody():
            assert files.look() and files.found["theirs/mine/two.yml"] == "high" and files.loaded.problems == ()


def test_a_new_folder_that_may_not_be_read_is_told():
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        files = Files(Path(name)).start()
        (files.theirs / "closed").mkdir(0)
        with as_nobody():
            assert files.look() and "theirs/closed:1: cannot be read: Permission denied (it is left out)" in files.said
        (files.theirs / "closed").chmod(0o755)


def test_hunts_go_with_the_folder_that_the_settings_no_longer_name(files):
    files.put("hunts.yml", "prefix: hunts-\n")
    assert files.look() and list(files.found) == ["ours/dns/one.yml"]
    files.hunt("other/mine/two.yml", "high")
    files.put("hunts.yml", "queries: other\n")
    assert files.look() and files.found == {"ours/dns/one.yml": "low", "other/mine/two.yml": "high"}
    files.hunt("other/mine/two.yml", "medium")
    assert files.look() and files.found["other/mine/two.yml"] == "medium"


# ---- settings


def test_settings_that_are_wrong_at_the_start_are_refused(tmp_path):
    files = Files(tmp_path)
    files.put("hunts.yml", "prefix: -x\n")
    with pytest.raises(ContentError, match=r"hunts\.yml:1: prefix "):
        files.start()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("hunts.yml", "queries: nowhere\n", "hunts.yml:1: queries names no folder"),
        ("hunts.yml", "queries: theirs\nservice: {every: 7}\n", "hunts.yml:2: service.every must be text"),
        ("hunts.yml", "", "hunts.yml:1: has become empty"),
        ("hunts.yml", None, "hunts.yml:1: cannot be read: No such file"),
        ("networks.yml", "organisation: {cidr: x}\n", "networks.yml:1: organisation"),
        ("networks.yml", "", "networks.yml:1: "),
    ],
)
def test_broken_settings_stay_as_they_were_and_hunts_are_taken_over_all_the_same(files, name, text, words):
    before = files.loaded.settings
    if text is None:
        (files.folder / name).unlink()
    else:
        files.put(name, text)
    for severity in ("high", "medium"):
        files.hunt("ours/dns/one.yml", severity)
        assert files.look() and files.loaded.settings == before
        assert files.found == BOTH | {"ours/dns/one.yml": severity}
        assert words in files.said and "(all settings stay as they were)" in files.said and not files.loaded.broken
    files.put("networks.yml", ORGANISATION)
    files.put("hunts.yml", "queries: theirs\nservice: {every: 7s}\n")
    assert files.look() and files.loaded.settings.service.every == timedelta(seconds=7)
    assert files.loaded.problems == ()


def test_a_file_that_the_settings_name_later_is_watched_as_well(files):
    files.put("resolvers.yml", "approved: [{name: a, address: 10.0.0.53}]\n")
    template = files.put("body.j2", "{}\n")
    receiver = "receivers: [{name: a, url: 'https://a.example/', template: body.j2}]\n"
    files.put("hunts.yml", f"queries: theirs\n{receiver}")
    assert files.look() and files.loaded.settings.receivers[0].template == template
    template.unlink()
    assert files.look() and "receivers[0].template names no file that is there" in files.said
    files.put("body.j2", "{}\n")
    assert files.look() and files.loaded.problems == ()
    files.put("resolvers.yml", "")
    assert files.look() and "resolvers.yml:1: has become empty" in files.said
    assert files.loaded.settings.approved


def test_a_file_that_is_to_say_nothing_says_so_with_a_comment(files):
    files.put("hunts.yml", "# all defaults\n")
    assert files.look() and files.loaded.problems == () and files.loaded.settings.queries is None


def test_what_needs_a_restart_keeps_its_value_and_is_named(files):
    before = files.loaded.settings
    files.put(
        "hunts.yml",
        """
queries: theirs
siem: {url: "https://siem.example:9200"}
prefix: other-
service: {lease: 10s, listen: off, searches_at_once: 1, requests_per_second: 1, every: 9s, lag: 0s, newest_first: true}
""",
    )
    assert files.look()
    now = files.loaded.settings
    assert (now.siem, now.embedded, now.prefix) == (before.siem, before.embedded, before.prefix)
    for name in ("lease", "listen", "searches_at_once", "requests_per_second"):
        assert getattr(now.service, name) == getattr(before.service, name)
    assert (now.service.every, now.service.lag, now.service.newest_first) == (timedelta(seconds=9), timedelta(), True)
    said = ("siem", "prefix", "service.lease", "service.listen")
    assert files.loaded.restart == (*said, "service.searches_at_once", "service.requests_per_second")
    files.put("hunts.yml", "queries: [")
    assert files.look() and files.loaded.restart[:4] == said
    files.put("hunts.yml", "queries: theirs\n")
    assert files.look() and files.loaded.restart == () and files.loaded.settings == before


def test_what_others_must_know_of_is_told_once(files):
    files.put("networks.yml", ORGANISATION.replace("Acme", "Bolt"))
    assert files.look() and files.loaded.settings.organisation == "Bolt"
    assert files.loaded.notes == ("networks.yml changed: `hunts install` puts it into the ingest pipeline",)
    files.put("networks.yml", f"# {ORGANISATION}{ORGANISATION.replace('Acme', 'Bolt')}")
    assert not files.look() and files.loaded.notes == ()
    files.put("resolvers.yml", "approved: [{name: a, address: 10.0.0.53}]\n")
    files.put("hunts.yml", "queries: theirs\nsources: [{pattern: 'eve-*'}]\n")
    assert files.look() and [note.split()[0] for note in files.loaded.notes] == ["resolvers.yml", "sources"]
    assert [source.pattern for source in files.loaded.settings.sources] == ["eve-*"] and files.loaded.restart == ()


def test_a_policy_that_changes_changes_the_hunts_that_ask_for_it(files):
    files.put("resolvers.yml", "approved: [{name: a, address: 10.0.0.53}]\n")
    files.hunt(
        "ours/dns/one.yml", **{"hunt.resolver.verdict": "public\n    - dest_ip: {in_network: approved-resolvers}"}
    )
    assert files.look() and files.loaded.problems == () and "10.0.0.53" in repr(files.loaded.hunts[0].match)
    files.put("resolvers.yml", "approved: [{name: a, address: 10.0.0.54}]\n")
    assert files.look() and "10.0.0.54" in repr(files.loaded.hunts[0].match)


def test_a_secret_that_changes_is_named_and_in_no_message(tmp_path):
    files = Files(tmp_path)
    secret = files.put("password", "not-for-eyes\n")
    files.put("hunts.yml", "siem: {url: 'https://siem.example:9200', username: me, password_file: password}\n")
    files.start()
    secret.write_text("nor-this-one\n")
    assert files.look() and files.loaded.restart == ("siem",) and files.loaded.settings.siem.password == "not-for-eyes"
    secret.unlink()
    assert files.look() and "siem.password_file names no file that is there" in files.said
    secret.write_text("not-for-eyes\n")
    assert files.look() and files.loaded.restart == () and files.loaded.problems == ()
    assert "not-for-eyes" not in repr(files.loaded)


def test_a_settings_file_that_comes_later_is_found_and_missed_when_it_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "queries"
    folder.mkdir()
    watched = Watched(None, {}, folder, lambda _: None)
    assert watched.loaded.settings.organisation == "Example Instruments" and not watched.look()
    Path("hunts.yml").write_text("service: {every: 5s}\n")
    assert watched.look() and watched.loaded.settings.service.every == timedelta(seconds=5)
    Path("hunts.yml").unlink()
    assert watched.look() and watched.loaded.settings.service.every == timedelta(seconds=5)
    assert "hunts.yml:1: cannot be read" in watched.loaded.problems[0]


# ---- whatever happens


def test_wherever_a_write_is_cut_off_every_hunt_stays(files):
    """Cut off in the last case's event the hunt can be whole: it is the same hunt then, but for its cases."""
    path, whole = files.folder / "theirs/mine/two.yml", text_of("two")
    broken = 0
    for cut in range(0, len(whole) - 1, 29):
        path.write_text(whole[:cut])
        files.look()
        assert files.found == BOTH
        broken += files.loaded.broken
    assert broken > cut / 29 * 0.9


@pytest.mark.parametrize("seed", range(4))
def test_after_any_edits_each_file_that_is_there_is_in_force_as_it_was_last_right(tmp_path, seed):
    rng = random.Random(seed)
    files = Files(tmp_path)
    files.put("ours/lists/names.txt", f"{HEAD}a.example\n")
    files.start()
    model = Model()
    model.take(files)
    for step in range(60):
        for _ in range(rng.choice((1, 1, 2, 3))):
            edit(files, model, rng)
        files.look()
        model.take(files)
        found = {path: (severity, *values(files, Path(path).stem)) for path, severity in files.found.items()}
        assert found == model.in_force(), f"step {step}"
        assert files.loaded.broken == model.is_broken, f"step {step}: {files.said}"
    assert model.kept > 10, "enough of it was about what is broken"


NAMES = ("ours/dns/one", "ours/tls/ten", "theirs/mine/two", "theirs/mine/three", "theirs/mine/one", "theirs/dns/four")
LIST = "ours/lists/names.txt"
IN_LIST = {"hunt.name.parents": "{in_list: names}"}


class Model:
    """What is to be in force, by the rules alone: of each file its state now, and its last right version."""

    def __init__(self) -> None:
        self.now: dict[str, tuple] = {"ours/dns/one.yml": ("low", False), "theirs/mine/two.yml": ("low", False)}
        self.now[LIST] = ("a.example",)
        self.right: dict[str, tuple[str, ...]] = {}
        self.queries = True
        self.is_broken = False
        self.kept = 0

    def take(self, files: Files) -> None:
        """Take over what the service sees when it looks."""
        self.is_broken = False
        for path in [path for path in self.right if not self.is_seen(path)]:
            del self.right[path]
        self._take(LIST, self.now.get(LIST))
        names = self.right.get(LIST)
        for path, state in self.now.items():
            if path != LIST and self.is_seen(path):
                version = state and ((state[0], *names) if state[1] and names else None if state[1] else state[:1])
                self._take(path, version)

    def is_seen(self, path: str) -> bool:
        return path in self.now and (self.queries or path.startswith("ours"))

    def _take(self, path: str, version: tuple | None) -> None:
        if version:
            self.right[path] = version
        elif path in self.now:
            self.is_broken = True
            self.kept += path in self.right

    def in_force(self) -> dict[str, tuple[str, ...]]:
        """Return the version of each file of a hunt; the operator's takes the place of ours with the same id."""
        by_id: dict[str, str] = {}
        for path in sorted(path for path in self.right if path != LIST):
            by_id[Path(path).stem] = path
        return {path: self.right[path] for path in by_id.values()}


def edit(files: Files, model: Model, rng: random.Random) -> None:
    """Do something to a file, and note in the model what that makes of it."""
    path = rng.choice((*(f"{name}.yml" for name in NAMES), LIST, "hunts.yml"))
    what = rng.choice(("right", "right", "broken", "deleted"))
    if path == "hunts.yml":
        edit_settings(files, model, what)
    elif what == "deleted":
        (files.folder / path).unlink(missing_ok=True)
        model.now.pop(path, None)
    elif path == LIST:
        name = rng.choice("abcde")
        write(files, rng, path, f"{HEAD}{name}.example\n" if what == "right" else rng.choice(("", HEAD, HEAD[:30])))
        model.now[path] = (f"{name}.example",) if what == "right" else ()
    else:
        severity, with_list = rng.choice(("low", "medium", "high", "critical")), rng.random() < 0.4
        text = text_of(Path(path).stem, severity, **(IN_LIST if with_list else {}))
        write(files, rng, path, text if what == "right" else text[: rng.randrange(len(text) // 2)])
        model.now[path] = (severity, with_list) if what == "right" else ()


def edit_settings(files: Files, model: Model, what: str) -> None:
    """Name the operator's folder, do not name it, or break the settings, which changes nothing."""
    if what == "broken":
        files.put("hunts.yml", "queries: {")
    else:
        model.queries = what == "right"
        files.put("hunts.yml", "queries: theirs\n" if model.queries else "# no queries\n")


def write(files: Files, rng: random.Random, path: str, text: str) -> None:
    """Write a file in one of the ways of editors: in place, or as a new one that takes its place."""
    if rng.random() < 0.5:
        files.put(path, text)
    else:
        files.put(f"{path}.new", text).rename(files.folder / path)
