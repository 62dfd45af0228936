"""The files of a project; setup.py, which runs this file alone, puts them into the wheel.

They exist once, at the top of the repository. In a wheel they are in `files/`, beside this module.
"""

from __future__ import annotations

from pathlib import Path

#: Which files a project has, of those at the top of the repository.
PATTERNS = ("dvc.yaml", "methods.yaml", "params.yaml", ".gitignore", ".dvcignore", ".dvc/config")
PATTERNS += (".dvc/plots/*.json", ".dvc/plots/page.html", "stages/*.py", "sql/*.sql")
PATTERNS += ("eval_kinds/*.yaml", "eval_kinds/*.py", "remote/*.yaml", "remote/*.py")
PATTERNS += ("remote/pools/*.yaml", "remote/tasks/*.yaml", "profiles/*.yaml", "environments/*.txt")

#: The demo's pool, queries, tests and base model.
DEMO = ("demo/world/*.parquet", "demo/base_model/*.json", "demo/base_model/*.safetensors")

#: What differs from the repository, whose code lies beside its pipeline: file → text → what takes
#: its place.
REPLACEMENTS = {
    "dvc.yaml": {"PYTHONPATH=src ": ""},
    "remote/tasks/dvc.yaml": {"        - src/dataselect/tasks\n": ""},
}


def names(root: Path, patterns: tuple[str, ...] = PATTERNS) -> list[str]:
    """The files below a folder that match the patterns, relative to it, in alphabetical order."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(root).as_posix() for path in found)


def root() -> Path:
    """The folder that has the files: in this package, or the clone that it is run from.

    Raises:
        FileNotFoundError: the package is neither installed whole nor in a clone.
    """
    for folder in (Path(__file__).with_name("files"), Path(__file__).parents[3]):
        if (folder / "dvc.yaml").is_file() and (folder / "stages").is_dir():
            return folder
    raise FileNotFoundError("dataselect: the files of a project are missing. Install it again.")


def contents() -> dict[str, bytes]:
    """The files of a project without the demo: name → bytes, as a project has them."""
    return {name: _adapted(name, (root() / name).read_bytes()) for name in names(root())}


def _adapted(name: str, content: bytes) -> bytes:
    for text, replacement in REPLACEMENTS.get(name, {}).items():
        assert text.encode() in content, (name, text)
        content = content.replace(text.encode(), replacement.encode())
    return content
