"""`dataselect sweep` that Ctrl-C ends: what it says, and its exit status."""

import threading
from types import SimpleNamespace

from typer.testing import CliRunner

from dataselect.cli import app
from dataselect.sweep import command
from dataselect.sweep.repository import Repository


def test_ctrl_c_says_how_many_are_done_and_ends_with_130(home, monkeypatch):
    """The second run sees Ctrl-C; the third does not begin."""
    began = []

    class Fake:
        def __init__(self, *_, **__):
            pass

        def make(self, log):
            assert log.parent.is_dir()

        def run(self, planned, log):
            began.append(planned.name)
            if len(began) == 2:
                assert first_ended.wait(60)
                raise KeyboardInterrupt

        def stop(self):
            began.append("stopped")

    monkeypatch.setattr(command, "open_repository", lambda: Repository(home, "", "head"))
    monkeypatch.setattr(
        command, "what_is_missing", lambda runs, _: SimpleNamespace(missing=runs[1:], notes=[])
    )
    monkeypatch.setattr(command, "show_cost", lambda runs: None)
    monkeypatch.setattr(command, "Workspace", Fake)
    printed, first_ended = [], threading.Event()

    def note(text="", **_):
        printed.append(text)
        if str(text).startswith("2 of 4: s-random-3-1: "):
            first_ended.set()

    monkeypatch.setattr(command.report.console, "print", note)
    (home / "s.yaml").write_text("{methods: [random], seeds: [0, 1, 2, 3]}")
    result = CliRunner().invoke(app, ["sweep", "s.yaml"])
    assert result.exit_code == 130
    assert began == ["s-random-3-1", "s-random-3-2", "stopped"]
    assert printed[-1] == "Stopped. 2 of 4 are done; the same command goes on."
