"""The list of field names knows what Suricata writes: names, the objects above them, free keys; and its shape."""

from connector.hunts.conditions.eve_names import eve_names, is_eve_name, nearest_eve_name


def test_a_name_an_object_above_it_and_free_keys_are_known() -> None:
    known = (
        "src_ip",
        "dns",
        "dns.answers",
        "dns.answers.rdata",
        "tls.ja3.hash",
        "alert.metadata.cve",
        "alert.metadata",
    )
    assert [name for name in known if not is_eve_name(name)] == []
    wrong = ("srcip", "dns.answer_s", "dns.answers.rdata.x", "tls.ja3.hush", "alert.metadatas.cve", "", "source.ip")
    assert [name for name in wrong if is_eve_name(name)] == []


def test_a_misspelt_name_has_a_nearest_one() -> None:
    assert nearest_eve_name("tls.fingerprnt") == "tls.fingerprint"
    assert nearest_eve_name("dns.rrtpye") == "dns.rrtype"
    assert nearest_eve_name("alert.meta_data") == "alert.metadata"
    assert nearest_eve_name("zzzz") is None


def test_the_objects_above_every_name_are_in_the_list() -> None:
    above = {name.rpartition(".")[0].removesuffix(".*") for name in eve_names() if "." in name}
    assert [name for name in sorted(above) if not is_eve_name(name) and name not in ("geoip", "")] == []
