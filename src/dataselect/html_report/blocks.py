"""Numbers and texts as blocks of a page: compressed, in base64, which no browser reads as HTML."""

from __future__ import annotations

import base64
import gzip
import json
from html import escape
from typing import Any

import numpy as np

from dataselect.html_report.texts import Excerpt

#: Rows of a block of texts: the page unpacks block by block.
ROWS_PER_BLOCK = 4_096
#: What stands between rows, and between the parts of a row; `texts.inert` leaves none in them.
ROW_END, PART_END = "\x1e", "\x1f"


def number_block(name: str, numbers: np.ndarray) -> str:
    """A column of numbers, of the types int32, uint16 or float32."""
    little = numbers.astype(numbers.dtype.newbyteorder("<"))
    kind = f' data-type="{numbers.dtype.name}"'
    return _block("column", f' data-name="{escape(name)}"{kind}', little.tobytes())


def text_block(rows: list[Excerpt]) -> str:
    """Ids, prompts and responses of some rows."""
    parts = (PART_END.join((row.id, row.prompt, row.response)) for row in rows)
    return _block("texts", "", ROW_END.join(parts).encode())


def _block(kind: str, attributes: str, content: bytes) -> str:
    packed = base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()
    return f'<script type="text/plain" class="{kind}"{attributes}>{packed}</script>\n'


def json_block(name: str, value: Any) -> str:
    """A value as JSON that no HTML parser takes for anything else."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{escape(name)}">{text}</script>\n'
