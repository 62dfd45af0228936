"""The hash of the code that decides a stage's result."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from dataselect.data import files
from dataselect.data.checksums import read_checked, write_checked

PACKAGE = Path(__file__).parents[1]

#: Modules that change what people see, never what is computed; and the package's own list of names.
EXCLUDED = {PACKAGE / f"{name}.py" for name in ("errors", "report", "stage", "cli", "__init__")}


def code_hash(script: Path, *modules: str) -> str:
    """One hash of a stage's script, of some modules, and of all of ours that they import.

    Imports inside functions count; those that only type checkers follow do not. What is hashed is
    the syntax tree without docstrings: comments and layout change nothing. Modules in `EXCLUDED`
    are left out.

    Args:
        script: the stage's script; one that is not there is left out.
        modules: names in this package, such as `embed.run` or `embed.hidden_states`.
    """
    cache = _Cache()
    pending = [script] if script.is_file() else []
    pending += [path for name in modules for path in _files_of(f"dataselect.{name}")]
    seen: dict[Path, str] = {}
    while pending:
        path = pending.pop()
        if path in seen or path in EXCLUDED:
            continue
        seen[path], imported = cache.look_up(path)
        pending += [file for name in imported for file in _files_of(name)]
    cache.save()
    named = {_name(path, script): digest for path, digest in seen.items()}
    return files.content_key(sorted(named.items()))


def _name(path: Path, script: Path) -> str:
    return "script" if path == script else str(path.relative_to(PACKAGE))


class _Cache:
    """Digest and imports of a file, computed again only when its size or time of change differ."""

    def __init__(self) -> None:
        self.path = files.scratch_folder() / "plan" / "code.json"
        self.known: dict[str, list] = read_checked(self.path) or {}
        self.changed = False

    def look_up(self, path: Path) -> tuple[str, list[str]]:
        stat = path.stat()
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ino, _algorithm()]
        name = str(path.resolve())
        if self.known.get(name, [None])[0] != state:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            self.known[name] = [state, tree_hash(tree), sorted(set(_imported(tree)))]
            self.changed = True
        return self.known[name][1], self.known[name][2]

    def save(self) -> None:
        if self.changed:
            write_checked(self.path, self.known)


@cache
def _algorithm() -> str:
    """What digests depend on besides the file: how they are made, and Python's syntax trees."""
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return f"{own[:24]} {sys.version_info.major}.{sys.version_info.minor}"


def tree_hash(tree: ast.AST) -> str:
    """A hash of a syntax tree's node types and fields, without docstrings and empty fields.

    Python versions differ in the text of `ast.dump` and in fields that are empty when unused.
    """
    return hashlib.sha256(repr(_plain(tree)).encode()).hexdigest()[:24]


def _plain(value: object) -> object:
    """A tree as nested tuples of names, fields and constants."""
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    if not isinstance(value, ast.AST):
        return value
    fields = dict(ast.iter_fields(value))
    if isinstance(value, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields["body"] = [node for node in value.body if not _is_docstring(node)]
    kept = (
        (name, _plain(content)) for name, content in fields.items() if content not in (None, [])
    )
    # A constant keeps its None: `return None` and `return` are two things.
    constant = (("value", repr(value.value)),) if isinstance(value, ast.Constant) else ()
    return (type(value).__name__, *constant, *kept)


def _is_docstring(node: ast.stmt) -> bool:
    """Whether a statement is a text alone: a docstring, also one behind an attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imported(tree: ast.AST) -> Iterator[str]:
    """The modules of this package that a file imports at run time, and what may be modules."""
    for node in _at_run_time(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "dataselect")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dataselect":
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`."""
    yield node
    for child in ast.iter_child_nodes(node):
        is_guard = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if is_guard and isinstance(child, ast.If):
            for other in child.orelse:
                yield from _at_run_time(other)
        else:
            yield from _at_run_time(child)


def _files_of(module: str) -> list[Path]:
    """The files that importing a module runs: its own, and those of the packages around it."""
    found = []
    path = PACKAGE
    for part in module.split(".")[1:]:
        path = path / part
        if (path / "__init__.py").is_file():
            found.append(path / "__init__.py")
        elif path.with_suffix(".py").is_file():
            found.append(path.with_suffix(".py"))
        else:
            break
    return found
