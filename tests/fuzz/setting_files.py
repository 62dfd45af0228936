"""Files of settings: params.yaml and methods.yaml, with things wrong in some places."""

import io

import yaml
from hypothesis import strategies as st

from dataselect.plan.method import PARTS
from dataselect.plan.params import TOP_LEVEL_KEYS
from dataselect.settings import part_function, settings_of
from tests.fuzz.values import changed, damaged, deep, numbers, scalars, texts, values
from tests.helpers import GOLDEN, ROOT

#: A method of each kind of part; the file has more, which take the same settings.
METHODS = yaml.safe_load((ROOT / "methods.yaml").read_text())

#: Values as YAML has them, beside those of JSON.
TAGS = ["!!python/object/apply:os.system ['touch ../escaped']", "!!python/name:os.system",
        "!!python/object/new:subprocess.Popen [['touch', '../escaped']]", "!!binary aGk=",
        "!!set {a, b}", "!!omap [a: 1]", "!!timestamp 2020-01-01", "2020-01-01", "!!float 1",
        "!!int 'x'", "!!null x", "!!str 3", "!own {a: 1}", "&a [*a]", "&a {b: *a}", "*missing",
        "{<<: {a: 1}}", "{<<: [1]}", "{<<: *missing}", "? [a]\n: b", "{[1]: 2}", "{1: 2}",
        "{null: 1}", "{true: 1}", "{2020-01-01: 1}", "yes", "0o17", "010", "1_000", ".inf", "-.inf",
        ".nan", "1e400", "9" * 500, "'\\ud800'", '"\\ud800"', '"\\x1b[31m"', "|\n  a\n", ">-\n  a",
        "- - - a", "@a", "`a", "%a", "\t", "{a: b", "[a", "a: b: c", "'", '"', "#", "---", "...",
        "--- a\n--- b", "<<: 1", "!!map [1]", "!!seq {a: 1}", "~", "! a", "{? : 1}"]  # fmt: skip

#: Nine lists of nine of each other: half a billion values in 200 characters.
BOMB = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]\n" for n in range(9))
RECURSIVE = ["a: &a [*a]\n", "a: &a {b: *a}\n", "&a\nx: *a\n", "[" * 2_000, "{a: " * 2_000]
RECURSIVE += ["- " * 2_000, "? " * 500, "x: " + "[" * 900 + "]" * 900]

settings = st.sampled_from(TAGS)


def base_params(method="random"):
    """A complete params.yaml."""
    return {
        "pool": {"path": "pool.jsonl", "on_bad_row": "drop", "keep": [], "sources": {}},
        "queries": {"path": "queries.jsonl", "tasks": "same"},
        "tests": {"path": ["tests.jsonl"]},
        "near_duplicates": {"similarity": 0.8, "action": "report"},
        "decontaminate": {"ngram": 8, "share": 0.5, "action": "report"},
        "mix": {},
        "method": method,
        "budget": 3,
        "seed": 0,
        "tasks": "all",
        "groups": "auto",
        "model": {"name": str(GOLDEN / "tiny-llama"), "dtype": "auto", "max_tokens": 64},
        "selector_model": {"max_tokens": 32},
        "engine": {"local": {}},
        "train": {"epochs": 1, "batch_size": 2, "micro_batch_size": 1, "method": "lora"},
        "eval": {"max_new_tokens": 4, "batch_size": 2, "kinds": {"sums": "exact_match"}},
    }


def block_settings():
    """Every setting of every block, by name."""
    from dataselect.data.mix import MixSettings
    from dataselect.dedup.settings import DecontaminateSettings, NearDuplicateSettings, PoolSettings
    from dataselect.eval.judge import JudgeSettings
    from dataselect.eval.run import EvalSettings
    from dataselect.models.settings import ModelSettings
    from dataselect.train.fit import Recipe

    schemas = {"pool": PoolSettings, "mix": MixSettings, "near_duplicates": NearDuplicateSettings}
    schemas |= {"decontaminate": DecontaminateSettings, "model": ModelSettings, "train": Recipe}
    schemas |= {"selector_model": ModelSettings, "eval": EvalSettings}
    found = [(name, key) for name, schema in schemas.items() for key in settings_of(schema)]
    found += [("eval", "judge", key) for key in settings_of(JudgeSettings)]
    return [*found, *((name,) for name in TOP_LEVEL_KEYS), ("queries", "from"), ("tests", "from")]


#: Values that settings might have.
likely = st.sampled_from(
    ["all", "same", "full", "lora", "local", "ray", "5%", "1e-9%", "100%", "80GB", "1e9TB", "auto",
     "float16", "nf4", "tokens", "source", "task", "gsm8k", "mmlu", "pool.jsonl", "*.jsonl", "**",
     "", "x" * 300, "a\x00b", ".", "..", "~", "org/name", "a/b/c", "1=1", "select 1", "id; drop",
     {"tokens": 10}, {"tokens": 2**70}, {"a": 1}, {"*": 0.5}, ["a"], ["*.jsonl", "x"], {}, [],
     {"local": {"memory": "1GB"}}, {"ray": {}}, {"sources": {"a": 1}, "epochs": 2}]
)  # fmt: skip
odd = st.one_of(*[likely] * 6, *[scalars] * 6, values, deep)


@st.composite
def with_setting(draw, params):
    """Settings with one of them set to something."""
    place = draw(st.sampled_from(block_settings()))
    inner = params = dict(params)
    for name in place[:-1]:
        inner[name] = dict(inner[name]) if isinstance(inner.get(name), dict) else {}
        inner = inner[name]
    inner[place[-1]] = draw(odd)
    return params


@st.composite
def as_yaml(draw, content, files=("pool", "train")):
    """Settings as the text of a file, with YAML's own traps in some places."""
    text = io.StringIO()
    yaml.safe_dump(content, text, allow_unicode=draw(st.booleans()), sort_keys=False)
    text = text.getvalue()
    match draw(st.integers(0, 11)):
        case 0:
            text += f"{draw(st.sampled_from(files))}: {draw(settings)}\n"
        case 1:
            lines = text.splitlines(keepends=True)
            place = draw(st.integers(0, max(len(lines) - 1, 0)))
            name = lines[place].partition(":")[0] if lines else "x"
            lines[place : place + 1] = [f"{name}: {draw(settings)}\n"]
            text = "".join(lines)
        case 2:
            trap = draw(st.sampled_from([BOMB, *RECURSIVE]))
            text = trap if draw(st.booleans()) else text + trap
        case 3:
            return draw(damaged(text.encode("utf-8", "surrogatepass")))
    return text.encode("utf-8", "surrogatepass")


def dump(content, text):
    yaml.safe_dump(content, text, allow_unicode=True, sort_keys=False)


@st.composite
def params_files(draw):
    """The bytes of a params.yaml."""
    method = draw(st.sampled_from(["random", "random", "rds", "less", "s2l", "ifd", "longest"]))
    params = base_params(method)
    for name in draw(st.lists(st.sampled_from(sorted(params)), max_size=4)):
        if name not in ("pool", "method", "budget", "model"):
            params.pop(name, None)
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2]))):
        params = draw(with_setting(params))
    if draw(st.integers(0, 3)) == 0:
        params = draw(changed(params, odd))
    return draw(as_yaml(params))


@st.composite
def methods_files(draw):
    """The bytes of a methods.yaml, and the method that is chosen."""
    name = draw(st.sampled_from([*METHODS, "random"]))
    method = METHODS[name]
    for _ in range(draw(st.integers(0, 2))):
        method = draw(with_part_setting(method))
    if draw(st.integers(0, 3)) == 0:
        method = method | {draw(st.sampled_from(WORDS)): draw(odd | parts())}
    if draw(st.integers(0, 3)) == 0:
        method = draw(changed(method, odd | parts()))
    methods = {"random": METHODS["random"], name: method}
    if draw(st.integers(0, 9)) == 0:
        methods = draw(changed(methods, odd))
    return draw(as_yaml(methods, [name, "random"])), name


@st.composite
def with_part_setting(draw, method):
    """A method with a setting of one of its parts set to something."""
    word = draw(st.sampled_from([word for word in PARTS if method.get(word) not in (None, "none")]))
    given = method[word]
    ((part, settings),) = ({given: {}} if isinstance(given, str) else given).items()
    names = list(settings_of(part_function(PARTS[word], part, "methods.yaml")))
    if not names:
        return method
    value = draw(st.one_of(numbers, numbers, odd))
    return method | {word: {part: {**(settings or {}), draw(st.sampled_from(names)): value}}}


WORDS = ["features", "scorer", "aggregator", "reference", "model", "checkpoints"]


def parts():
    """Words of methods, and words with settings."""
    words = ["none", "hidden_states", "gradients", "losses", "trajectories", "cosine", "random",
             "influence", "top", "round_robin", "clusters", "warmup", "proxy", "experienced",
             "run", "_summary", "__init__", "column", "measure", "os", "../x"]  # fmt: skip
    name = st.sampled_from(words)
    return name | st.dictionaries(name, st.dictionaries(texts, odd, max_size=2), max_size=2)
