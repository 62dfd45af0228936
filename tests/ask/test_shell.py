"""DuckDB's command line, opened with the views; a script that answers stands for it."""

import os
import subprocess
import sys

import pytest

from dataselect.ask.recipe import main
from tests.helpers import ROOT, mistake

#: Does with `-cmd`, and with what it reads, what DuckDB's command line does.
DUCKDB = f"""#!{sys.executable}
import sys, duckdb
assert sys.argv[1] == "-cmd" and len(sys.argv) == 3
db = duckdb.connect()
db.execute(sys.argv[2])
print(db.execute(sys.stdin.read()).fetchall())
"""


def test_without_it_the_message_says_how_to_get_it_and_what_works(out, monkeypatch):
    monkeypatch.setenv("PATH", "")
    message = mistake(main, None, [], None, [])
    assert "`pip install duckdb-cli`" in message
    assert 'dataselect sql -c "SELECT …"' in message
    assert message.endswith("sql/share_per_source.sql.")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the script that stands for it has a Unix head")
def test_it_opens_with_the_views(out, tmp_path):
    program = tmp_path / "bin" / "duckdb"
    program.parent.mkdir()
    program.write_text(DUCKDB)
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "dataselect.cli", "sql", "--run", f"mine={out}"]
    asked = "SELECT run, count(*) FROM selection GROUP BY run"
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, input=asked, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[('mine', 3)]\n", "")
