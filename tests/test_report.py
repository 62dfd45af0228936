"""What people see where nobody watches: a line now and then, not a bar."""

from types import SimpleNamespace

from dataselect import report
from dataselect.errors import UNSAFE


def test_progress_in_a_log_is_a_line_now_and_then(monkeypatch, capsys):
    at = iter([0.0, 1.0, 61.0, 62.0, 3_661.0])
    monkeypatch.setattr(report, "time", SimpleNamespace(monotonic=lambda: next(at)))
    monkeypatch.setattr(report, "_bars", report.Console(stderr=True, force_terminal=False))
    with report.progress("embed", 5_000) as advance:
        advance(1_000)
        advance(1_000, 17, 4.0)
        advance(500)
        advance(2_500)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "embed: 2,000 of 5,000 after 61 s, 92 s left",
        "embed: 5,000 of 5,000 after 61:01 min",
    ]


def test_the_time_left_is_as_the_last_minutes_went(monkeypatch, capsys):
    minutes = range(8)
    at = iter([60.0 * minute for minute in minutes])
    monkeypatch.setattr(report, "time", SimpleNamespace(monotonic=lambda: next(at)))
    monkeypatch.setattr(report, "_bars", report.Console(stderr=True, force_terminal=False))
    with report.progress("embed", 10_000) as advance:
        advance(8_000)  # most was found finished
        for _ in minutes[2:]:
            advance(100 / 3)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "embed: 8,200 of 10,000 after 7:00 min, 54:00 min left"


def test_a_bar_where_somebody_watches(monkeypatch, capsys):
    monkeypatch.setattr(report, "_bars", report.Console(stderr=True, force_terminal=True, width=80))
    with report.progress("embed", 2) as advance:
        advance(2)
    assert "2/2" in capsys.readouterr().err


def test_nothing_that_data_holds_does_anything_on_a_console(capsys):
    name = "\x1b[31mred\x1b]0;title\x07 [bold]b[/bold] [/] :smile: \u202e\x9b31m"
    shown = "␛[31mred␛]0;title␇ [bold]b[/bold] [/] :smile: ��31m"
    report.console.print(name, highlight=False)
    report.table(name, [(name, 1)], (name, "rows"))
    printed = capsys.readouterr().out
    assert printed.count(shown) == 4
    assert not UNSAFE.search(printed)
