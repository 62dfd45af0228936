"""A hub that grants no access: a server here answers as the hub does, the libraries are real."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby

import pytest
from huggingface_hub import errors

from dataselect.models.access import access_refused
from tests.helpers import ROOT

TOKEN = "hf_" + "AbCdEf0123456789" * 2

#: What the hub answers: status, headers; and what the message says.
ANSWERS = {
    "gated/model": (403, {"X-Error-Code": "GatedRepo"}, "it is gated"),
    "private/model": (401, {"X-Error-Code": "RepoNotFound"}, "private or gated"),
    "closed/model": (403, {"X-Error-Message": "not for you"}, "refuses it (403)"),
}

LOAD = """
import json, os, sys
from dataselect.embed.sentence_embeddings import _load_sentence_model
from dataselect.errors import InputError
from dataselect.models.load import load_causal, load_tokenizer, parameter_count
from dataselect.models.settings import ModelSettings
options = dict(append_eos=False, right_padding=False, own_limit=True)
def load_sentences(model):
    _load_sentence_model(model, None, options)
def refusals(names):
    for name in names:
        for load in (load_tokenizer, load_causal, parameter_count, load_sentences):
            try:
                load(ModelSettings(name=name, revision="v1"))
            except InputError as error:
                yield f"{name} {load.__name__}", str(error)
with_token = dict(refusals(sys.argv[1:]))
del os.environ["HF_TOKEN"]
print(json.dumps([with_token, dict(refusals(sys.argv[1:]))]))
"""


@pytest.fixture
def hub():
    """The address of a server that refuses models, and what it was asked, with which header."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            answers = [answer for name, answer in ANSWERS.items() if name in self.path]
            status, headers, _ = answers[0] if answers else (404, {}, "")
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_no_access_is_one_message_that_names_page_variable_and_login(hub, tmp_path):
    """First with a token, then, in the same process, without one."""
    address, asked = hub
    environment = {**os.environ, "HF_TOKEN": TOKEN, "PYTHONPATH": str(ROOT / "src")}
    environment |= {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-c", LOAD, *ANSWERS]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    with_token, without = json.loads(done.stdout.splitlines()[-1])
    check_messages(with_token, "the token in use has none")
    check_messages(without, "there is no token")
    sent = [header for path, header in asked if any(name in path for name in ANSWERS)]
    assert [header for header, _ in groupby(sent)] == [f"Bearer {TOKEN}", None], asked
    assert TOKEN not in done.stdout + done.stderr


def check_messages(messages, reason):
    """There is one of every call, and it says what to do."""
    assert len(messages) == 4 * len(ANSWERS)
    for call, message in messages.items():
        name = call.split()[0]
        assert message.startswith(f"the model `{name}` (revision v1) cannot be loaded: "), call
        assert ANSWERS[name][2] in message, (call, message)
        assert f"https://huggingface.co/{name}" in message
        assert "HF_TOKEN" in message
        assert "hf auth login" in message
        assert reason in message
        assert "\n" not in message


def test_another_error_is_none_of_access():
    assert access_refused(OSError("no such file"), "a/b") is None
    inner = errors.LocalEntryNotFoundError("not in the cache")
    outer = OSError("cannot be loaded")
    outer.__cause__ = inner
    inner.__context__ = outer  # a loop ends
    assert access_refused(outer, "a/b") is None


def test_the_text_of_a_gated_model_from_another_process_is_known():
    error = RuntimeError("You are trying to access a gated repo. Make sure to have access to it")
    assert "it is gated" in (access_refused(error, "a/b") or "")
