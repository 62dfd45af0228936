"""What lies in the scratch folder and was damaged is made again; the result is the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from dataselect.data import checksums, fingerprint, shards, tables
from dataselect.data.checkpoints import Checkpoint, Fitted
from dataselect.data.files import scratch_folder
from dataselect.eval import judged, judgements
from dataselect.eval.judge import JudgeSettings
from dataselect.eval.judge_client import Reply
from dataselect.eval.run import EvalOptions
from dataselect.fetch.parts import Parts
from dataselect.models.tokens import Encoded
from dataselect.plan import code
from dataselect.reference import Reference
from dataselect.reference import run as reference
from dataselect.settings import Part
from dataselect.train.fit import Recipe
from dataselect.train.token_files import stored_rows
from dataselect.train.trainer import last_complete_checkpoint
from tests import small_run
from tests.helpers import MODEL, table


class Store(NamedTuple):
    """One kind of stored work.

    Attributes:
        use: (key) → what comes of it, and whether it was made, not found. Called in an empty
            working directory.
        folder: where it lies, a pattern in the scratch folder.
    """

    use: Callable[[str], tuple[Any, bool]]
    folder: str


def use_shards(key):
    made = []

    def compute(rows, side, progress):
        made.append(len(rows))
        return {"vectors": np.full((len(rows), 4), len(key), dtype=np.float32)}

    rows = [(i, f"r{i}", "s", small_run.turns("q", "a")) for i in range(5)]
    tables.write("pool", table("pool", rows), "pool.parquet")
    shards.write("pool", Path("pool.parquet"), Path("out"), lambda: compute, [key])
    return shards.read_all(Path("out/pool"))["vectors"].tolist(), bool(made)


def use_tokens(key):
    made = []

    def encode():
        made.append(key)
        yield [Encoded(np.arange(len(key), 9, dtype=np.int32), np.ones(9 - len(key), bool))]

    rows = stored_rows(scratch_folder() / "train" / key / "tokens", encode)
    return [row.ids.tolist() for row in rows], bool(made)


def use_reference(key):
    made = []

    def fit(model, pool, home):
        made.append(key)
        folder = home / "checkpoints/00"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights").write_text(key * 9)
        checksums.seal(folder, folder)
        return Fitted([Checkpoint(folder, 0.5)], rows=2, tokens=3, steps=4, flops=5.0)

    with pytest.MonkeyPatch.context() as patch:
        fake = Reference(fit, "models", 1, float, Recipe())
        patch.setattr(reference, "load_part", lambda folder, part: fake)
        section = reference.ReferenceSection(Part("proxy", {}), MODEL, None, 1, code=key)
        tables.write("pool", table("pool", [(0, "r", "s", small_run.turns("q", "a"))]), "p.parquet")
        tables.write("dropped", tables.empty("dropped"), "d.parquet")
        done = reference.fit_reference(section, Path("p.parquet"), Path("d.parquet"), Path("out"))
    assert [path.name for path in Path("out/00").iterdir()] == ["weights"]
    return (Path("out/00/weights").read_text(), done.fitted), bool(made)


def use_checkpoint(key):
    """Training that goes on from the checkpoint after its second step, or starts anew."""
    home = scratch_folder() / "train" / key
    found = last_complete_checkpoint(home)
    if not found:
        folder = home / "checkpoint-2"
        folder.mkdir(parents=True)
        save_file({"w": np.full(9, len(key), dtype=np.float32)}, folder / "model.safetensors")
        (folder / "trainer_state.json").write_text(f'{{"global_step": 2, "key": "{key}"}}')
        checksums.seal(folder, folder)
    state = (home / "checkpoint-2/trainer_state.json").read_text()
    return (state, (home / "checkpoint-2/model.safetensors").read_bytes()), not found


def use_evaluation(key):
    made = []

    def evaluate(*_):
        made.append(key)
        return table("evaluation", [("sum", key, "acc", 1.0, 0.5, key, False, None)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judged, "evaluate", evaluate)
        patch.setattr(judged.fingerprint, "folder_hash", lambda path: "kinds")
        options = EvalOptions(8, 0, 1, "cut", None, None)
        frame = judged._evaluation(MODEL, pl.DataFrame({"id": ["t"]}), options, key)
    return frame.to_dicts(), bool(made)


def use_reply(key):
    settings = JudgeSettings(url="http://localhost", model="judge")
    body = {"question": key}
    found = judgements._load(settings, body)
    if found is None:
        reply = Reply(f"answer to {key}", "judge", 7)
        checksums.write_checked(judgements._path(settings, body), vars(reply))
    return judgements._load(settings, body), found is None


def use_part(key):
    parts = Parts(scratch_folder() / "fetch" / "set" / "commit")
    rows, _ = parts.progress()
    if not rows:
        parts.add(pa.table({"a": list(range(50))}), {"at": key})
    return Parts(scratch_folder() / "fetch" / "set" / "commit").progress(), not rows


def use_hashes(key):
    Path(key).write_text(key)
    known = checksums.read_checked(scratch_folder() / "plan/hashes.json", quietly=True)
    return fingerprint.file_hashes([key]), known is None


def use_code(key):
    known = checksums.read_checked(scratch_folder() / "plan/code.json", quietly=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "_Cache", code._Cache.__mro__[-2])  # not conftest's, which remembers
        return code.code_hash(Path(), "settings"), known is None


STORES = {
    "features": Store(use_shards, "embed/*"),
    "token files": Store(use_tokens, "train/*/tokens"),
    "reference": Store(use_reference, "reference/*"),
    "checkpoint": Store(use_checkpoint, "train/*/checkpoint-2"),
    "evaluation": Store(use_evaluation, "eval/*"),
    "reply": Store(use_reply, "judge/*"),
    "fetched part": Store(use_part, "fetch/*/*"),
    "hashes of files": Store(use_hashes, "plan"),
    "hashes of code": Store(use_code, "plan"),
}


def flipped(content):
    """The content with one bit changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES = {
    "cut in half": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-2],
    "longer": lambda content: content + b"\0",
    "empty": lambda content: b"",
    "zeroed": lambda content: bytes(len(content)),
    "a flipped bit": flipped,
}


def stored_files(store):
    """The files of a store, but for locks and what the key itself names."""
    home = scratch_folder()
    paths = [p for folder in home.glob(store.folder) for p in (folder, *folder.rglob("*"))]
    return sorted({path for path in paths if path.is_file() and path.suffix != ".lock"})


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_a_damaged_file_is_made_again(store, damage, in_scratch, capsys):
    expected, made = store.use("k")
    assert made
    assert store.use("k") == (expected, False)
    paths = stored_files(store)
    assert paths
    for path in paths:
        before = path.read_bytes()
        path.write_bytes(damage(before))
        capsys.readouterr()
        found, _ = store.use("k")
        assert found == expected, path
        if path.name != shards.KEY_FILE:  # which is written again, and nothing else
            printed = " ".join(capsys.readouterr().out.split())
            assert printed.count("is not as it was written") == 1, path
        assert store.use("k") == (expected, False), path


FOREIGN = ["features", "token files", "reference", "checkpoint", "evaluation", "reply"]


@pytest.mark.parametrize("name", FOREIGN)
def test_the_files_of_another_key_are_not_taken(name, tmp_path, monkeypatch):
    store = STORES[name]
    for key in ("k", "other"):
        (tmp_path / key).mkdir()
        monkeypatch.chdir(tmp_path / key)
        (tmp_path / key / ".dvc").mkdir()
        expected, _ = store.use(key)
        if key == "k":
            wanted, own = expected, [path.absolute() for path in stored_files(store)]
        else:
            foreign = [path.absolute() for path in stored_files(store)]
    assert [path.suffix for path in own] == [path.suffix for path in foreign]
    for path, other in zip(own, foreign, strict=True):
        path.write_bytes(other.read_bytes())
    monkeypatch.chdir(tmp_path / "k")
    assert store.use("k") == (wanted, True)
