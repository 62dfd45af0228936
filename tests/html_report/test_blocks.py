"""Blocks: what is read back of them, and that HTML cannot end them."""

import base64
import gzip
import json
import re

import numpy as np

from dataselect.html_report.blocks import PART_END, ROW_END, json_block, number_block, text_block
from dataselect.html_report.texts import Excerpt
from tests.html_report.conftest import HARMFUL


def content(block):
    (packed,) = re.findall(r">([\w+/=]+)</script>\n$", block)
    return gzip.decompress(base64.b64decode(packed))


def test_numbers_are_little_endian_and_named():
    block = number_block("rank", np.asarray([1, 2], ">i4"))
    assert 'data-name="rank"' in block
    assert 'data-type="int32"' in block
    assert content(block) == b"\1\0\0\0\2\0\0\0"


def test_texts_have_parts_and_rows():
    rows = [Excerpt("a", "p </script>", "r", 9), Excerpt("b", "", "é", 1)]
    block = text_block(rows)
    assert block.count("<") == 2
    text = content(block).decode()
    assert [row.split(PART_END) for row in text.split(ROW_END)] == [list(row[:3]) for row in rows]
    assert block == text_block(rows)  # no time stands in it


def test_json_holds_no_tag_and_reads_as_it_was():
    block = json_block("meta", {"texts": HARMFUL})
    inside = block.removeprefix('<script type="application/json" id="meta">').removesuffix(
        "</script>\n"
    )
    assert not set("<>&\u2028\u2029") & set(inside)
    assert json.loads(inside) == {"texts": HARMFUL}
