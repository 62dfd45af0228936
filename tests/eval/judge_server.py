"""A judge on loopback, in the form of OpenAI's chat completions, that does as a test says."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST = "[{'model': 'model_1', 'rank': 1}, {'model': 'model_2', 'rank': 2}]"
SECOND = "[{'model': 'model_1', 'rank': 2}, {'model': 'model_2', 'rank': 1}]"


def completion(text, tokens=10):
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text}
    return {
        "model": "judge-0314",
        "choices": [{"index": 0, "message": message}],
        "usage": {"total_tokens": tokens},
    }


class Server(ThreadingHTTPServer):
    """Calls `respond` with each request's body, in the order in which they come.

    Attributes:
        respond: body → the answer's text, or (status, body, headers).
        bodies: all requests so far.
        keys: their headers `Authorization`.
    """

    def __init__(self, respond):
        super().__init__(("127.0.0.1", 0), Handler)
        self.respond, self.bodies, self.keys, self.lock = respond, [], [], threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append({"path": self.path, **body})
            self.server.keys.append(self.headers["Authorization"])
        given = self.server.respond(body)
        status, content, headers = given if isinstance(given, tuple) else (200, given, {})
        content = completion(content) if isinstance(content, str) else content
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(data), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextmanager
def judge_server(respond):
    """A server that runs in a thread until the test ends."""
    server = Server(respond)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
