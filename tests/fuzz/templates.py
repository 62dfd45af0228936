"""Chat templates: mostly such as models have, with things wrong in some places."""

from hypothesis import strategies as st

from tests.fuzz.row_files import CALL, TOOL, pairs, turns
from tests.fuzz.values import texts

BODIES = [
    "{{ m.role }}: {{ m.content }}\n",
    "<|{{ m['role'] }}|>\n{{ m['content'] | trim }}{{ eos_token }}\n",
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}"
    "{{ m.content }}{% endif %}",
    "{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ m.content }}",
    "{% if loop.index0 % 2 == 0 and m.role != 'user' %}{{ raise_exception('order') }}{% endif %}"
    "[INST] {{ m.content }} [/INST]",
    "{{ m.content }}{% if not loop.last %}, {% endif %}",
    "{{ m.content if loop.last else '…' }}",
    "{{ m | tojson }}{{ m.tool_calls | tojson if m.tool_calls }}",
    "",
]

#: What breaks: names and types, loops and recursion, what the sandbox forbids, syntax.
TRAPS = [
    "{{ x }}",
    "{{ x.y }}",
    "{{ x() }}",
    "{{ m.content.y.z }}",
    "{{ messages[99] }}",
    "{{ messages['a'] }}",
    "{{ 1/0 }}",
    "{{ 1 % 0 }}",
    "{{ 'a' + 1 }}",
    "{{ none + 1 }}",
    "{{ 'a' | int + 'b' }}",
    "{{ messages | sum }}",
    "{{ messages | first | last }}",
    "{{ messages.append(1) }}",
    "{{ messages.__class__ }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ self.__init__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__ }}",
    "{% include 'x' %}",
    "{% extends 'x' %}",
    "{% import 'x' as y %}",
    "{{ open('/etc/passwd') }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(x) %}{{ caller(x) }}{% endmacro %}{% call(y) f(1) %}{{ y }}{% endcall %}",
    "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% for a in range(10**9) %}{% endfor %}",
    "{{ range(999999) | list }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
    "{% endfor %}{% endfor %}{% endfor %}",
    "{% set n = namespace(x=1) %}{% for a in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    "{{ 'a' * 10000000000000 }}",
    "{{ [0] * 1000000000000000000000 }}",
    "{{ 'a'.center(-5) }}",
    "{{ strftime_now('%Y') }}",
    "{{ strftime_now('%') }}",
    "{{ strftime_now('\ud800') }}",
    "{{ strftime_now(1) }}",
    "{{ strftime_now('%-d %Q %\x00') }}",
    "{{ raise_exception() }}",
    "{{ raise_exception(messages) }}",
    "{{ raise_exception('\ud800') }}",
    "{{ dict(a=1, **1) }}",
    "{{ namespace(_a=1) }}",
    "{{ '%d' % 'a' }}",
    "{{ '%(a)s' | format }}",
    "{{ '{a}'.format() }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ [1, 'a'] | sort }}",
    "{{ messages | sort }}",
    "{{ messages | map(attribute='a.b') | join }}",
    "{{ messages | selectattr('x') | list }}",
    "{{ messages | batch(0) | list }}",
    "{{ 'a' | nosuchfilter }}",
    "{{ 1 is nosuchtest }}",
    "{{ 'a' | truncate(-1) }}",
    "{{ 'a' | wordwrap(0) }}",
    "{{ 'a' | indent('b') }}",
    "{{ 5 | round('x') }}",
    "{{ 'a' | replace(1) }}",
    "{{ '\ud800' }}",
    "{{ '\x00' }}",
    "{{ messages | tojson(indent='x') }}",
    "{{ x | tojson }}",
    "{{ raise_exception | tojson }}",
    "{% break %}",
    "{% continue %}",
    "{% for m in messages %}{% break %}{% endfor %}",
    "{% generation %}",
    "{% generation %}a{% endgeneration %}",
    "{% endgeneration %}",
    "{% generation %}{% generation %}b{% endgeneration %}{% endgeneration %}",
    "{% if %}",
    "{% for %}",
    "{{",
    "}}",
    "{%",
    "{#",
    "{{ 'a }}",
    "{% raw %}",
    "{{ a b }}",
    "{% set messages = 1 %}",
    "{% set add_generation_prompt = 0 %}",
    "{% do 1 %}",
    "{% x %}",
    "{{ messages[0].update(a=1) }}",
    "{{ messages[0].content.encode() }}",
    "{{ 1.__add__ }}",
    "{{ messages | xmlattr }}",
    "{{ messages | urlize }}",
    "{{ 'a' | attr('upper') }}",
    "{{ eos_token[0] }}",
    "{{ bos_token.x.y }}",
    "{{ tools[0].function.name }}",
    "{% if tools %}{{ tools | tojson(indent=4) }}{% endif %}",
    "{{ documents | length }}",
]
TRAPS += ["{% if a %}" * 300 + "{% endif %}" * 300, "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
          "{{ " + "[" * 300 + "]" * 300 + " }}", "{{ 1" + " + 1" * 3_000 + " }}",
          "{% for a in [1] %}" * 25 + "{% endfor %}" * 25]  # fmt: skip

ENDS = ["", "{% if add_generation_prompt %}assistant: {% endif %}", "{{ eos_token }}", "</s>"]


@st.composite
def sources(draw):
    """A template's text."""
    start = draw(st.sampled_from(["", "", "{{ bos_token }}", "{{ messages[0].content }}"]))
    body, end = draw(st.sampled_from(BODIES)), draw(st.sampled_from(ENDS))
    parts = [start, "{% for m in messages %}", body, "{% endfor %}", end]
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2]))):
        trap = draw(st.one_of(st.sampled_from(TRAPS), st.sampled_from(TRAPS), texts))
        parts.insert(draw(st.integers(0, len(parts))), trap)
    if draw(st.integers(0, 9)) == 0:
        parts.pop(draw(st.integers(0, len(parts) - 1)))
    return "".join(parts)


#: Conversations; one as with tools.
TOOL_TURNS = [{"role": "user", "content": "1+1?"},
              {"role": "assistant", "content": "", "tool_calls": [CALL]},
              {"role": "tool", "content": "2"},
              {"role": "assistant", "content": "two"}]  # fmt: skip
cases = st.tuples(sources(), st.lists(turns | pairs, min_size=1, max_size=3), st.booleans())
TOOLS = [TOOL]
