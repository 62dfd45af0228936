"""The layout of DESIGN.md: who imports whom, how long things are, and which words are used."""

import ast
import re
import subprocess
import sys
from functools import cache

import pytest

from dataselect.plan.method import PARTS
from dataselect.plan.params import read_yaml
from dataselect.settings import part_names
from tests.helpers import ROOT

SOURCE = ROOT / "src" / "dataselect"
MODULES = sorted(SOURCE.rglob("*.py"))
SCRIPTS = sorted((ROOT / "stages").glob("*.py"))

#: Folder or file → what of ours it may import, besides errors and report.
MAY_IMPORT = {
    "errors": set(),
    "report": set(),
    "machine": set(),
    "numerics": set(),
    "settings": set(),
    "compute": {"settings"},
    "data": {"compute", "settings"},
    "models": {"data", "compute"},
    "stage": {"data.files", "data.locks", "data.crash_points", "settings", "compute"},
    "score": {"data", "compute", "numerics", "settings"},
    "aggregate": {"data", "models", "compute", "numerics", "settings"},
    "embed": {"data", "models", "compute", "numerics", "settings"},
    "train": {"data", "models", "compute", "numerics", "settings"},
    "eval": {"data", "models", "compute", "numerics", "settings"},
    "dedup": {
        *("data", "models", "compute", "numerics", "settings"),
        *("eval.task_kinds", "eval.prompts"),
    },
    "reference": {"embed", "train", "data", "models", "compute", "numerics", "settings"},
    "compare": {"data", "eval", "settings"},
    "figures": {"compare", "data", "settings"},
    "sweep": {"compare", "plan", "data", "compute", "settings"},
    "fetch": {"data", "settings"},
    "tasks": {"data", "dedup", "fetch"},
    "export": {"data", "models", "plan", "settings", "train"},
    "project": {"plan", "data", "dedup", "eval", "models", "train", "settings"},
    "ask": {"data", "aggregate", "compare", "score", "settings"},
    "html_report": {"compare", "figures", "ask", "data", "numerics"},
}
EVERYTHING = {"plan", "cli", "cli_runs", "api", "__init__"}

#: A scorer's or aggregator's own file.
PART_MAY_IMPORT = {"data.scores", "data.topk", "data.budget", "data.quotas", "numerics"}
PART_MAY_IMPORT |= {"settings", "compute.threads"}

#: Libraries that a file may not import at its top: they cost seconds, or few runs need them.
HEAVY = {"torch", "transformers", "peft", "accelerate", "sklearn", "duckdb", "pyarrow", "lm_eval"}
HEAVY |= {"altair", "vl_convert", "bokeh", "umap", "httpx2", "bert_score", "math_verify"}
HEAVY |= {"sacrebleu"}
HEAVY |= {"datasets", "sentence_transformers", "ray", "dvclive", "rouge_score", "pydantic"}

#: Words that say nothing to a stranger: DESIGN.md, "Language".
PRIVATE_WORDS = {
    *("said", "told", "asked", "looker", "looks_with", "looked_with", "let_go", "nobody", "refer"),
    *("room", "rooms", "ran_out", "shared_out", "earlier", "mend", "mends", "mended", "mine"),
    *("_rests_on", "_here", "_looks_with", "_settled", "_feeding", "_opened", "_alone", "_say"),
    *("learnable", "losses_of", "gives", "bytes_a_row", "LOOKS_WITH", "APART", "FITS", "_within"),
    *("forget_half_written", "sweep", "replacing", "kinds_of", "priorities", "md5s", "_tell"),
    *("sized", "_Seen", "_take", "_understood", "_tally", "_place", "one", "of", "answer", "there"),
    *("Advance", "COUNTS", "CutOff", "LEAVES", "Ranked", "Refused", "STORED", "TOP", "Taken"),
    *(
        "WHOLE",
        "_Best",
        "_begin",
        "_both",
        "_check_fit",
        "_do",
        "_enough",
        "_forget_steps",
        "_known",
    ),
    *("_guess", "_is_text", "_kind", "_looker", "_named", "_own", "_pick", "_ran_out", "_rooms"),
    *("_said", "_smaller", "_split", "ahead", "alone", "beside_others", "bind", "chance", "cut"),
    *("clustering", "committed", "end_with_parent", "floor", "in_order", "keywords", "needs"),
    *("last_response", "link", "most", "sharing", "shuffled", "some", "speedup", "take", "waiting"),
    *("whole", "writing"),
}


def name_of(path):
    """A module's name without the package: `embed.run`; a package's: `embed`."""
    relative = path.relative_to(SOURCE).with_suffix("")
    parts = (
        relative.parts[:-1]
        if relative.name == "__init__" and relative.parts[1:]
        else relative.parts
    )
    return ".".join(parts)


@cache
def parsed(path):
    """A file's syntax tree, made once."""
    return ast.parse(path.read_text())


@cache
def imports(path, at_top=False):
    """Every module that a file imports, also inside functions, but not only for type checks."""
    tree = parsed(path)
    typing_only = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    found = set()
    for node in tree.body if at_top else ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            files = {name for name in inner if is_module(name)}
            found |= files or {node.module}
    return found


def is_module(name):
    path = SOURCE.joinpath(*name.split(".")[1:])
    ours = name.split(".")[0] == "dataselect"
    return ours and (path.with_suffix(".py").is_file() or (path / "__init__.py").is_file())


def allows(permitted, module):
    """Whether `data` or `data.files` among the permitted names covers `data.files`."""
    return any(module == name or module.startswith(name + ".") for name in permitted)


# Each test goes through all files and says which are wrong: one test for each of some hundred
# files would take longer to collect, in every process, than to run.


def not_permitted(path):
    """What of ours a module imports, and may not."""
    name = name_of(path)
    folder = name.split(".")[0]
    if folder in EVERYTHING:
        return set()
    assert folder in MAY_IMPORT, f"{folder}: add it to the table of DESIGN.md and here"
    ours = {m.removeprefix("dataselect.") for m in imports(path) if m.startswith("dataselect.")}
    rules = [MAY_IMPORT[folder]]
    is_part = name.count(".") and not name.endswith(".run") and "._" not in name
    if folder in ("score", "aggregate") and is_part:
        rules.append(PART_MAY_IMPORT)
    always = {"errors", "machine", "report", folder}
    return {m for m in ours if not all(allows(permitted | always, m) for permitted in rules)}


def test_a_module_imports_only_what_its_folder_may():
    assert {name_of(path): wrong for path in MODULES if (wrong := not_permitted(path))} == {}


def test_no_part_imports_another():
    for folder in PARTS.values():
        names = set(part_names(folder))
        for name in names:
            ours = imports(SOURCE / folder / f"{name}.py")
            others = {f"dataselect.{folder}.{other}" for other in names - {name}}
            assert not others & ours, (folder, name)


def test_heavy_libraries_are_imported_inside_functions():
    found = {}
    for path in [*MODULES, *SCRIPTS]:
        exempt = {"settings": {"pydantic"}}.get(path.stem, set())
        top = {module.split(".")[0] for module in imports(path, at_top=True)}
        found[str(path)] = top & (HEAVY - exempt)
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("name", ["plan", "dedup", "aggregate"])
def test_light_stages_load_no_heavy_library(name):
    """What the stages that need no model import at their start."""
    probe = (
        f"import runpy, sys; runpy.run_path('stages/{name}.py', run_name='probe'); "
        "print([m for m in ('torch', 'transformers', 'peft', 'lm_eval') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_imports_have_no_circle():
    graph = {}
    for path in MODULES:
        ours = {m for m in imports(path, at_top=True) if m.startswith("dataselect.")}
        graph[name_of(path)] = {m.removeprefix("dataselect.") for m in ours}
    done, path_here = set(), []

    def visit(name):
        assert name not in path_here, " → ".join([*path_here, name])
        if name in done:
            return
        path_here.append(name)
        for other in graph.get(name, ()):
            visit(other)
        path_here.pop()
        done.add(name)

    for name in graph:
        visit(name)


def too_long(path):
    """What is too long in a file."""
    lines = len(path.read_text().splitlines())
    if lines > (40 if path in SCRIPTS else 250):
        yield f"{path}: {lines} lines"
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - node.lineno + 1
            if length > 50:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines"


def test_modules_and_functions_are_short():
    assert [found for path in [*MODULES, *SCRIPTS] for found in too_long(path)] == []


def identifiers(tree):
    """Every name that a file gives: functions, classes, parameters, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


OTHERS = [path for name in ("benchmarks", "demo", "remote") for path in (ROOT / name).glob("*.py")]


def private_words(path):
    """The names and texts of a file that are not plain words."""
    tree = parsed(path)
    public = {"of"} if path.parent.name == "score" else set()  # a setting of methods.yaml
    if path.parent.name == "demo":
        public = {"answer"}  # of a question
    for line, name in identifiers(tree):
        if name in PRIVATE_WORDS - public:
            yield f"{path}:{line}: {name}"
    texts = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    yield from (f"{path}:{n.lineno}" for n in texts if re.search(r"\bmend", n.value, re.I))


def test_names_are_plain_words():
    files = [*MODULES, *SCRIPTS, *OTHERS]
    assert [found for path in files for found in private_words(path)] == []


def test_stage_scripts_have_a_guarded_main():
    for path in SCRIPTS:
        tree = ast.parse(path.read_text())
        assert any(isinstance(n, ast.FunctionDef) and n.name == "main" for n in tree.body), path
        guard = tree.body[-1]
        assert isinstance(guard, ast.If), path
        assert "__main__" in ast.dump(guard.test), path


def test_dvc_lists_no_source_files():
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    assert set(stages) == {path.stem for path in SCRIPTS}
    for name, stage in stages.items():
        assert not [dep for dep in stage.get("deps", []) if dep.startswith(("src/", "stages/"))]
        if name != "plan":
            assert stage["params"] == [{"plan.json": [name]}]


def test_every_method_names_parts_that_are_there():
    for name, method in read_yaml(ROOT / "methods.yaml").items():
        for word, folder in PARTS.items():
            given = method.get(word)
            if given in (None, "none"):
                continue
            stem = given if isinstance(given, str) else next(iter(given))
            path = SOURCE / folder / f"{stem}.py"
            assert path.is_file(), (name, word)
            assert f"def {stem}(" in path.read_text(), f"{path} does not define {stem}"


def test_nothing_names_a_pickle_or_runs_remote_code():
    for path in [*MODULES, *SCRIPTS]:
        text = path.read_text()
        assert "import pickle" not in text, path
        assert "trust_remote_code=True" not in text, path


def test_the_path_of_a_table_is_no_pattern():
    """Polars takes brackets in a path for a pattern, unless it is given `glob=False`."""
    calls = re.compile(r"\bpl\.(?:read|scan)_parquet\w*\((?:[^()]|\([^()]*\))*\)")
    found = [call for path in MODULES for call in calls.findall(path.read_text())]
    assert found and not [call for call in found if "glob=False" not in call]


def test_committed_files_name_no_path_of_a_machine():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    words = ["/" + "work/", "/" + "opt/pypi", "/" + "root/"]
    for name in listed.splitlines():
        path = ROOT / name
        if not path.is_file() or path.suffix in {".parquet", ".safetensors", ".npz"}:
            continue
        text = path.read_text(errors="replace")
        assert not [word for word in words if word in text], name
