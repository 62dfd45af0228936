"""What plan says of the memory of training, and what it refuses."""

from types import SimpleNamespace

import pytest

from dataselect import machine
from dataselect.compute import memory as gpus
from dataselect.plan import memory
from dataselect.plan.memory import scoring_memory, training_memory
from dataselect.train.fit import Recipe
from tests.helpers import change, mistake, planned, user_folder


@pytest.fixture
def home(in_scratch, monkeypatch):
    """A user's folder, on a machine without a GPU and with 1 GB."""
    monkeypatch.setattr(memory, "gpu_memories", list)
    monkeypatch.setattr(memory, "machine_memory", lambda: 1e9)
    return user_folder(in_scratch)


def test_a_line_for_training(home):
    change({"train": {"micro_batch_size": 2, "batch_size": 4}})
    (line,) = training_memory(planned())
    assert line.startswith("memory of train: at most ")
    assert line.endswith(" of 1.0 GB on the machine, with 2 × 2,048 tokens at a time")


def test_one_for_a_scorer_that_holds_the_pool(home, monkeypatch):
    assert scoring_memory(planned()) is None  # it scores each row by itself
    change({"method": "facility_location"})
    monkeypatch.setattr(memory, "row_bytes", lambda _: 8_192)
    assert scoring_memory(planned()) is None  # its rows are not counted yet
    monkeypatch.setattr(memory, "row_count", lambda _: 500_000)
    line = scoring_memory(planned()) or ""
    assert line.startswith("memory of score: at most 8.5 GB of 1.0 GB, as `coverage` holds what")
    assert line.endswith("refuses what does not fit, after the features are computed")


def test_and_one_for_a_reference_with_settings_of_its_own(home):
    change({"method": "s2l", "train": {"gradient_checkpointing": True}})
    sections = planned()
    assert [line.split(":")[0] for line in training_memory(sections)] == [
        "memory of train", "memory of reference",
    ]  # fmt: skip
    assert sections.reference.reference.settings["gradient_checkpointing"]


def test_what_cannot_fit_is_refused_with_what_would(home, monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 1.5e6)
    message = mistake(training_memory, planned())
    assert message.startswith("params.yaml: train: expected a run that fits into 1.5 MB; found")
    assert "optimiser" in message
    # Rows may be far shorter than `max_tokens`: activations alone are no reason.
    monkeypatch.setattr(memory, "machine_memory", lambda: 1e8)
    change({"train": {"micro_batch_size": 128}})
    (line,) = training_memory(planned())
    assert "That is no failure: where rows are that long, fewer pass at a time. So that all" in line
    assert line.endswith("So that all fit: set `micro_batch_size: 1` (91.3 MB)")
    monkeypatch.setattr(memory, "machine_memory", lambda: 8e7)  # not even one row, without it
    (line,) = training_memory(planned())
    assert "set `micro_batch_size: 1`, `gradient_checkpointing: true` (" in line
    monkeypatch.setattr(memory, "machine_memory", lambda: 1.05e10)
    (line,) = training_memory(planned())
    assert "set `micro_batch_size: 64` (" in line
    assert "; or `gradient_checkpointing: true` (" in line


def test_training_elsewhere_is_measured_by_its_own_memory(home, monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 1.5e6)
    (line,) = training_memory(planned(), "80GB")
    assert "of 80.0 GB on each GPU" in line
    assert "expected a run that fits into 2.0 MB" in mistake(training_memory, planned(), "2MB")
    message = mistake(training_memory, planned(), "much")
    assert message.startswith("params.yaml: train.memory: expected a size")
    before = planned().train
    change({"train": {"memory": "80GB"}})
    assert planned().train == before  # nothing is trained again


def test_gpus_share_the_steps(home, monkeypatch):
    monkeypatch.setattr(memory, "gpu_memories", lambda: [8e10, 4e10])
    (line,) = training_memory(planned())
    assert "of 40.0 GB on each GPU" in line
    monkeypatch.setattr(memory, "gpu_memories", lambda: None)
    (line,) = training_memory(planned())
    assert " on each GPU, with" in line
    assert "of 40.0 GB" not in line


def test_sharding_needs_several_gpus(home, monkeypatch):
    change({"train": {"sharding": "full"}})
    message = mistake(training_memory, planned())
    assert message.startswith(
        "params.yaml: train.sharding: full: expected several GPUs; found none"
    )
    assert "`train.memory: 80GB` and `train.processes: 8`" in message
    monkeypatch.setattr(memory, "gpu_memories", lambda: [8e10])
    message = mistake(training_memory, planned())
    assert message.startswith("params.yaml: train.sharding: full: expected several processes")
    monkeypatch.setattr(memory, "gpu_memories", lambda: [8e10, 8e10])
    assert training_memory(planned())
    change({"train": {"sharding": "full", "batch_size": 3}})  # which no two can share
    assert "found 1." in mistake(training_memory, planned())
    change({"method": "s2l", "train": {"sharding": "full"}})
    assert planned().reference.reference.settings["sharding"] == "full"


def test_shards_elsewhere_are_as_many_as_the_processes(home):
    change({"train": {"sharding": "full"}})
    message = mistake(training_memory, planned(), "80GB")
    assert message.startswith("params.yaml: train.processes: auto: the GPUs of another machine")
    change({"train": {"sharding": "full", "processes": 4}})
    assert training_memory(planned(), "80GB")
    change({"train": {"sharding": "full", "processes": 4, "batch_size": 1}})
    assert "found 1." in mistake(training_memory, planned(), "80GB")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"batch_size": 8}, 4),
        ({"batch_size": 6}, 3),
        ({"batch_size": 8, "processes": 2}, 2),
        ({"loss_per": "micro_batch"}, 1),
    ],
)
def test_the_processes_are_those_that_will_share_a_step(monkeypatch, settings, expected):
    monkeypatch.setattr(memory, "gpu_memories", lambda: [8e10] * 4)
    assert memory.machine(Recipe(**settings)).processes == expected


def test_a_model_that_is_not_at_hand_is_not_known(home):
    change({"model": {"name": "someone/model"}})
    (line,) = training_memory(planned())
    assert line == ("memory of train: not known before the configuration of someone/model is read")


def nvidia_smi(monkeypatch, text):
    monkeypatch.setattr(gpus, "version", lambda _: "2.13.0")
    monkeypatch.setattr(gpus.shutil, "which", lambda _: "nvidia-smi")
    done = SimpleNamespace(stdout=text)
    monkeypatch.setattr(gpus.subprocess, "run", lambda *_, **__: done)


def test_visible_gpus_are_counted_without_torch(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvidia_smi(monkeypatch, "81559\n40960\n")
    assert gpus.gpu_memories() == [81559 * 2**20, 40960 * 2**20]
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpus.gpu_memories() == [40960 * 2**20]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.gpu_memories() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8f2")
    assert gpus.gpu_memories() is None
    nvidia_smi(monkeypatch, "[N/A]\n")
    assert gpus.gpu_memories() is None


def test_a_torch_without_gpus_sees_none(monkeypatch):
    monkeypatch.setattr(gpus, "version", lambda _: "2.13.0+cpu")
    assert gpus.gpu_memories() == []


def test_a_limit_of_the_control_group_counts(tmp_path, monkeypatch):
    whole = machine.machine_memory()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "CGROUP_LIMITS", (limit,))
    limit.write_text("123456\n")
    assert machine.machine_memory() == 123456
    limit.write_text("max\n")
    assert machine.machine_memory() >= whole


def test_a_limit_of_a_group_inside_counts_too(tmp_path, monkeypatch):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/memory.max").write_text("123456")
    own = tmp_path / "cgroup"
    monkeypatch.setattr(machine, "CGROUP_LIMITS", (tmp_path / "memory.max",))
    monkeypatch.setattr(machine, "OWN_GROUPS", own)
    whole = machine.machine_memory()
    for line in ("0::/a/b", "9:cpu:/\n4:memory,hugetlb:/a"):
        own.write_text(f"{line}\n")
        assert machine.machine_memory() == 123456
    own.write_text("3:cpu:/a/b\n")
    assert machine.machine_memory() == whole


def test_a_limit_of_the_shell_counts(monkeypatch):
    limits = {machine.resource.RLIMIT_DATA: 5_000, machine.resource.RLIMIT_AS: 4_000}
    monkeypatch.setattr(machine.resource, "getrlimit", lambda kind: (limits[kind], 9_000))
    assert machine.machine_memory() == 4_000
