"""The body of a delivery: whatever an event holds, it is JSON with that text in it, and nothing runs."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import DeliveryError
from connector.respond.deliveries.body import built_in, read_template, render

EVIL = '", "evil": true, "x": "\\ \n {{ 7*7 }} {% raw %} \ue000"a"\ue001 \u2028 </script>'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def clean(value):
    """Return what is left of a value: the two marks are replaced."""
    if isinstance(value, str):
        return value.replace("\ue000", "\ufffd").replace("\ue001", "\ufffd")
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(st.text())
def test_text_cannot_leave_its_place_with_or_without_quotes_and_tojson(text):
    for template in ('{"a": "{{ v }}"}', '{"a": {{ v }}}', '{"a": {{ v | tojson }}}', '{"a": "{{ v | tojson }}"}'):
        assert json.loads(render(template, {"v": text}, "t.j2")) == clean({"a": text})


@settings(deadline=None)
@given(JSON)
def test_any_value_stands_whole_outside_of_quotes(value):
    assert json.loads(render('[1, {{ v }}, "\\"{{ "x" }}"]', {"v": value}, "t.j2")) == [1, clean(value), '"x']


@settings(deadline=None)
@given(JSON)
def test_any_value_within_quotes_is_text(value):
    assert isinstance(json.loads(render('{"a": "is \\" {{ v }}!"}', {"v": value}, "t.j2"))["a"], str)


def test_text_of_an_event_is_never_a_template():
    body = json.loads(
        render(
            '{"a": "{{ v }}", "b": [{% for x in l %}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}]}',
            {"v": EVIL, "l": [EVIL, EVIL]},
            "t.j2",
        )
    )
    assert body["a"].startswith('", "evil": true, "x": "\\ \n {{ 7*7 }} {% raw %}')
    assert list(body) == ["a", "b"]
    assert body["b"] == [body["a"]] * 2


def test_filters_work_and_what_they_make_is_escaped_too():
    body = render(
        '{"a": "{{ l | join(", ") | upper }}", "n": {{ n + 1 }}, "none": "{{ none }}"}',
        {"l": ['a"', "b"], "n": 4},
        "t.j2",
    )
    assert json.loads(body) == {"a": 'A", B', "n": 5, "none": ""}


def test_the_built_in_template_is_the_recommended_payload():
    message = {"type": "declaration.new", "timestamp": "2026-11-02T10:00:00Z", "data": {"threat": EVIL}}
    body = json.loads(render(read_template(built_in("generic")), message, "generic"))
    assert list(body) == ["type", "timestamp", "data"]
    assert body["data"]["threat"] == EVIL.replace("\ue000", "\ufffd").replace("\ue001", "\ufffd")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ('{"a":\n {{ nothing }}}', "t.j2:2: 'nothing' is undefined"),
        ('{"a":\n\n {{ v }', "t.j2:3: "),
        ('{"a": {{ v.__class__ }}}', "t.j2:1: the template asks for what it must not have"),
        ('{"a": {{ v }}', "t.j2: the body it makes is no JSON"),
        ('{"a": {{ "" + 1 }}}', "t.j2:1: the template fails: TypeError"),
        ('{% macro m(x) %}{{ x }}{% endmacro %}{"a": {{ m(v) }}}', "macros, call blocks"),
        ('{"a": {{ v | nope }}}', "t.j2:1: No filter named 'nope'"),
        ('{% include "/etc/passwd" %}', "t.j2:1: "),
        ("{% for n in range(9) %}{% endfor %}", "'range' is undefined"),
    ],
)
def test_a_wrong_template_is_named_with_its_line(template, words):
    with pytest.raises(DeliveryError) as caught:
        render(template, {"v": "x"}, "t.j2")
    assert words in str(caught.value)


def test_a_template_file_that_is_gone_is_said_so(tmp_path):
    with pytest.raises(DeliveryError, match=r"gone\.j2: the template cannot be read: No such file"):
        read_template(tmp_path / "gone.j2")
    (tmp_path / "own.j2").write_text('{"text": "{{ declaration.threat }}"}')
    assert (
        render(read_template(tmp_path / "own.j2"), {"declaration": {"threat": "a\nb"}}, "own.j2")
        == b'{"text": "a\\nb"}'
    )
