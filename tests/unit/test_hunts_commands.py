"""`hunts list`, `hunts show` and `hunts check`, as queries/README.md has them."""

import json
from pathlib import Path

import pytest

from connector.cli import run

BAD = Path(__file__).parents[1] / "bad" / "hunts"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in an empty folder with no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HUNTS_CONFIG", raising=False)
    return tmp_path


def told(capsys, *arguments: str) -> tuple[int, str, str]:
    status = run(arguments)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_list_finds_by_words(capsys):
    status, out, err = told(capsys, "list", "public dns queries")
    assert (status, err) == (0, "")
    assert "public-dns-queries" in out and "Policy: Public DNS queries" in out and "1 of " in out
    status, out, _ = told(capsys, "list", "nothing", "of the sort")
    assert status == 0 and out.startswith("0 of ")


def test_list_as_json(capsys):
    _, out, _ = told(capsys, "list", "dns tunnel", "over txt", "--json")
    found = json.loads(out)
    assert [hunt["name"] for hunt in found["hunts"]] == ["dns-tunnel-txt"] and found["problems"] == []
    assert found["hunts"][0]["event_types"] == ["dns"] and found["of"] >= 12


def test_show_says_why_what_and_what_next(capsys):
    status, out, _ = told(capsys, "show", "public-dns-queries")
    assert status == 0
    for words in (
        "Policy: Public DNS queries",
        "A client that asks a public resolver escapes",
        "one finding for each: hunt.client.ip, hunt.resolver.ip",
        "a finding needs: 1 event",
        "      hunt.resolver.verdict is public",
        "Step 2: Which other hosts use the same resolver?",
        "each step looks from its window before the finding's first event until its window after the last one.",
        "  look 7d around the finding in dns events, count by hunt.client.ip, hunt.client.department:",
        "hunt.resolver.ip is $hunt.resolver.ip",
        "Harmless causes",
        "What it misses",
    ):
        assert words in out, words


def test_show_as_json_is_the_file(capsys):
    _, out, _ = told(capsys, "show", "Policy: Public DNS queries", "--json")
    found = json.loads(out)
    assert found["family"] == "policy" and found["match"]["none"] == [{"hunt.client.role": "resolver"}]
    assert found["file"].endswith("queries/policy/public-dns-queries.yml") and len(found["cases"]) == 4


def test_show_of_a_name_that_is_not_there_says_what_was_meant(capsys):
    status, out, err = told(capsys, "show", "public-dns-querys")
    assert (status, out) == (6, "") and "did you mean public-dns-queries" in err


def test_check_of_all_hunts(capsys):
    status, out, _ = told(capsys, "check")
    assert status == 0 and "hunts and their" in out and "cases are right" in out


def test_check_of_hunts_by_name_and_by_file(capsys):
    status, out, _ = told(capsys, "check", "dnscrypt", "dns-over-tls")
    assert status == 0 and out.startswith("2 hunts")
    status, out, err = told(capsys, "check", "dnscrypt", str(BAD / "two-steps.yml"))
    assert (status, out) == (3, "")
    assert f"{BAD / 'two-steps.yml'}:" in err and "[two-steps]" in err and "error: 1 problem in the files" in err
    status, _, err = told(capsys, "check", "no-such-hunt")
    assert status == 6 and "there is no hunt named 'no-such-hunt'" in err


def test_check_as_json_has_every_problem_and_the_same_exit_code(capsys):
    status, out, err = told(capsys, "check", str(BAD / "attack-tags.yml"), "--json")
    problems = json.loads(out)["problems"]
    assert (status, err) == (3, "") and len(problems) == 2
    assert {problem["line"] for problem in problems} == {8} and problems[0]["file"].endswith("attack-tags.yml")


def test_a_users_broken_file_is_left_out_with_a_note(capsys, folder):
    mine = folder / "mine" / "policy"
    mine.mkdir(parents=True)
    (folder / "hunts.yml").write_text("queries: mine\n")
    (mine / "broken.yml").write_text("id: x\n")
    (mine / "two-steps.yml").write_bytes((BAD / "two-steps.yml").read_bytes())
    status, out, err = told(capsys, "list", "partner")
    assert status == 0 and "two-steps" in out
    assert err == "1 file left out, as something is wrong: `hunts check` says what\n"
    status, _, err = told(capsys, "check")
    assert status == 3 and "broken.yml:1: " in err and "[two-steps]" in err
