"""Settings are values that JSON has too, and not too many."""

import pytest

from dataselect.plan.params import read_yaml
from tests.helpers import mistake

BOMB = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]\n" for n in range(9))

MISTAKES = {
    "more values than there are": (BOMB, "p.yaml: expected at most 100,000 values; found more"),
    "a list in itself": ("a: &a [*a]", "p.yaml: a: expected at most 40 blocks and lists"),
    "a block in itself": ("a: &a {b: *a}", "p.yaml: a.b.b."),
    "the whole in itself": ("&a\nx: *a", "p.yaml: x.x."),
    "names in names": ("? " * 500, "p.yaml: expected settings; found hundreds of blocks"),
    "an endless list": ("&a [*a]", "p.yaml: expected at most 40 blocks and lists in each other"),
    "a date": ("a: 2020-01-01", "p.yaml: a: expected a text, a number, a list or a block; found "
               "date: datetime.date(2020, 1, 1). Set quotes around a text."),
    "bytes": ("a: !!binary aGk=", "p.yaml: a: expected a text"),
    "a number too large": ("a: 1" + "0" * 30, "p.yaml: a: expected a whole number of at most 64 "
                           "bits; found 1000000"),
    "a set": ("a: !!set {b, c}", "p.yaml: a: expected a text"),
    "a number as a name": ("a: {1: b}", "p.yaml: a: expected names that are texts; found 1"),
    "null as a name": ("{null: 1}", "p.yaml: expected names that are texts; found None"),
    "half a pair": (r'a: "\ud800"', "p.yaml: "),
    "a null character": (r'a: "b\0c"', "p.yaml: a: expected text; found a null character in 'b"),
    "code": ("a: !!python/object/apply:os.system [ls]", "p.yaml: not YAML: could not determine"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_what_no_setting_is_made_of_is_refused(name, in_scratch):
    content, message = MISTAKES[name]
    (in_scratch / "p.yaml").write_text(content)
    found = mistake(read_yaml, "p.yaml")
    assert found.startswith(message)
    assert len(found) < 400


def test_plain_values_and_aliases_are_taken(in_scratch):
    (in_scratch / "p.yaml").write_text("a: &a {b: [1, 2.5, true, null, é]}\nc: *a\nd: {<<: *a}\n")
    values = {"b": [1, 2.5, True, None, "é"]}
    assert read_yaml("p.yaml") == {"a": values, "c": values, "d": values}
