"""Values that break programs: of JSON, of YAML, as texts."""

import math

from hypothesis import strategies as st

#: Texts: empty, blank, no Unicode, no printable, markup, code, paths, numbers, long ones.
TEXTS = ["", " ", "\n", "\t", "\x00", "a\x00b", "\x1b[31mred", "\x7f", "\x85", "\u2028", "\ufeff",
         "\ud800", "a\udfffb", "\U0001f469\u200d\U0001f469", "e\u0301", "\u202eltr", "ﬁ", "İ", "ß",
         "nan", "NaN", "null", "None", "true", "-0", "1e999", "0x10", "1_000", "٣", "5%", "∞",
         "'", '"', "`", "';DROP TABLE read;--", "<script>alert(1)</script>", "[bold]x[/]",
         "{{ 1/0 }}", "{% for %}", "%s%n", "${HOME}", "../../x", "/etc/passwd", "~", "*", "[", "]",
         "{", "[]", "{}", "[1, 2]", '{"a": 1}', "<|user|>", "<|assistant|>\n", "</s>", "<s></s>",
         "user", "assistant", "system", "tool", "\r\n", "a,b\n", "hf_", "=1+1", "1.5.2020",
         "2020-01-01", "[/]"]  # fmt: skip

NUMBERS = [0, 1, -1, 2, 3, 7, 255, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**64), 10**30, 10**400,
           0.0, -0.0, 0.5, 1e-320, 1e308, 1.5, 3.0, math.nan, math.inf, -math.inf]  # fmt: skip

LONG = [("a", 5_000), ("é", 3_000), ("[", 3_000), ("word ", 2_000), ("\x00", 500), ("<|user|>", 99)]

texts = st.one_of(
    st.sampled_from(TEXTS),
    st.text(max_size=20),
    st.sampled_from(LONG).map(lambda part: part[0] * part[1]),
)
numbers = st.sampled_from(NUMBERS) | st.integers(-5, 5)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)

#: Values of JSON.
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


def nested(levels, leaf=1):
    """Lists in each other."""
    for _ in range(levels):
        leaf = [leaf]
    return leaf


#: Some deep in each other, which Python can write and read.
deep = st.sampled_from([10, 70, 200]).map(nested) | st.just({"a": {"b": {"c": nested(90)}}})


@st.composite
def changed(draw, value, odd=values, times=1):
    """A value of JSON in which something is replaced, removed, repeated or added."""
    for _ in range(times):
        value = _change(draw, value, odd)
    return value


def _change(draw, value, odd):
    """One change, somewhere inside."""
    inside = isinstance(value, dict | list) and len(value) > 0 and draw(st.integers(0, 3)) > 0
    if not inside:
        return draw(odd)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = draw(st.sampled_from(keys))
    copy = value.copy()
    match draw(st.sampled_from(["inside", "inside", "inside", "remove", "add", "repeat"])):
        case "inside":
            copy[key] = _change(draw, copy[key], odd)
        case "remove":
            del copy[key]
        case "add" if isinstance(copy, dict):
            copy[draw(texts)] = draw(odd)
        case "add":
            copy.insert(key, draw(odd))
        case "repeat" if isinstance(copy, list):
            copy.append(copy[key])
        case _:
            copy[key] = draw(odd)
    return copy


@st.composite
def damaged(draw, data):
    """Bytes that are cut, changed, doubled, or have others put into them."""
    kind = draw(st.sampled_from(["cut", "byte", "insert", "double", "bom", "empty", "tail"]))
    place = draw(st.integers(0, max(len(data) - 1, 0)))
    match kind:
        case "cut":
            return data[:place]
        case "byte":
            return data[:place] + bytes([draw(st.integers(0, 255))]) + data[place + 1 :]
        case "insert":
            return data[:place] + draw(st.binary(max_size=8)) + data[place:]
        case "double":
            return data + data
        case "bom":
            return draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])) + data
        case "empty":
            return draw(st.sampled_from([b"", b"\n", b" ", b"\x00", b"\xef\xbb\xbf"]))
        case _:
            return data + draw(st.binary(max_size=20))
