"""Where a run's outputs lie."""

import json

from dataselect.compare.outputs import find_output, find_outputs, md5
from dataselect.compare.recorded import Run


def put(cache, content, ending=""):
    """Puts content into a cache; returns its sum."""
    digest = md5(content) + ending
    path = cache / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def test_files_and_folders_are_found_in_the_cache(tmp_path):
    parts = {f"pool/0000{n}.safetensors": put(tmp_path, b"%d" % n) for n in (1, 0)}
    listing = [{"relpath": name, "md5": digest} for name, digest in parts.items()]
    features = put(tmp_path, json.dumps(listing).encode(), ".dir")
    outs = {"out/pool.parquet": put(tmp_path, b"pool"), "out/features": features}
    run = Run("run", outputs=outs, cache=tmp_path)
    assert find_output(run, "pool.parquet").read_bytes() == b"pool"
    assert [p.read_bytes() for p in find_outputs(run, "features", "pool")] == [b"0", b"1"]
    assert find_output(run, "scores.parquet") is None
    (tmp_path / outs["out/features"][:2] / outs["out/features"][2:]).unlink()
    assert find_outputs(run, "features", "pool") == []


def test_a_file_beside_the_cache_counts_only_where_it_is_the_runs_own(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "pool.parquet").write_bytes(b"pool")
    recorded = {"outputs": {"out/pool.parquet": md5(b"pool")}, "cache": tmp_path / "cache"}
    assert find_output(Run("run", **recorded, out=out), "pool.parquet") == out / "pool.parquet"
    (out / "pool.parquet").write_bytes(b"another run's")
    assert find_output(Run("run", **recorded, out=out), "pool.parquet") is None


def test_a_folder_by_itself_has_what_lies_there(tmp_path):
    (tmp_path / "features/pool").mkdir(parents=True)
    (tmp_path / "features/pool/00000.safetensors").touch()
    run = Run("folder", out=tmp_path)
    assert find_output(run, "pool.parquet") is None
    assert len(find_outputs(run, "features", "pool")) == 1
