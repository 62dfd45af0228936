"""Plots as DVC draws them: their rows stand in a script of its page."""

import json

from dataselect.data.inert import write_plot


def test_no_name_in_a_plot_ends_the_script_that_it_stands_in(tmp_path):
    source = "</script><img src=x onerror=alert(1)>\x1b[31m"
    write_plot(tmp_path / "sources.json", [{"source": source, "share": 0.5}])
    (row,) = json.loads((tmp_path / "sources.json").read_text())
    assert row == {"source": "＜/script>＜img src=x onerror=alert(1)>␛[31m", "share": 0.5}
