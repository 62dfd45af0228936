"""Messages between processes."""

import io
from pathlib import Path

import pytest

from dataselect.embed import _sentence_worker
from dataselect.embed._sentence_worker import Worker, read_message, write_message
from dataselect.plan import code
from tests.helpers import ROOT


def written(*messages):
    stream = io.BytesIO()
    for header, payload in messages:
        write_message(stream, header, payload)
    return stream.getvalue()


def test_messages_come_as_they_were_written_until_the_stream_ends():
    headers = [{"texts": ["ä \n \ud800"], "limit": None}, {}]
    stream = io.BytesIO(written((headers[0], b""), (headers[1], b"\x00" * 8)))
    assert read_message(stream) == ({**headers[0], "bytes": 0}, b"")
    assert read_message(stream) == ({"bytes": 8}, b"\x00" * 8)
    assert read_message(stream) is None


@pytest.mark.parametrize("missing", [1, 8, 20, 30])
def test_a_message_that_breaks_off_is_none(missing):
    assert read_message(io.BytesIO(written(({"a": 1}, b"12345678"))[:-missing])) is None


def test_what_is_no_message_is_an_error():
    with pytest.raises(ValueError, match="expected a message, found b'Welcome '"):
        read_message(io.BytesIO(b"Welcome to this machine"))


def test_a_call_before_the_model_is_loaded_fails():
    with pytest.raises(AttributeError):
        Worker().do("encode", {"texts": [], "prompt": ""})


def test_the_code_of_the_worker_decides_the_features(monkeypatch):
    parts = (ROOT / "stages" / "embed.py", "embed.run", "embed.sentence_embeddings")
    before = code.code_hash(*parts)
    for name in ("_sentence_worker", "_sentence_model"):
        path = str(Path(_sentence_worker.__file__).with_name(f"{name}.py"))
        monkeypatch.setattr(code, "EXCLUDED", {*code.EXCLUDED, path})
        assert code.code_hash(*parts) != before
