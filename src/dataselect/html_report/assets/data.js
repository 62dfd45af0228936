"use strict";
// What the page holds: numbers as typed arrays, texts as blocks that are unpacked once.

const TYPES = {int32: Int32Array, float32: Float32Array, uint16: Uint16Array};
const ROW_END = "\x1e";
const PART_END = "\x1f";

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function unpack(element) {
  const packed = new Blob([fromBase64(element.textContent)]).stream();
  element.textContent = "";
  const stream = packed.pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function readColumns() {
  const columns = {};
  for (const element of document.querySelectorAll("script.column")) {
    columns[element.dataset.name] = new TYPES[element.dataset.type](await unpack(element));
  }
  return columns;
}

function readJson(id) {
  const element = document.getElementById(id);
  return element ? JSON.parse(element.textContent) : null;
}

class Texts {
  constructor(rowsPerBlock) {
    this.elements = [...document.querySelectorAll("script.texts")];
    this.rowsPerBlock = rowsPerBlock;
    this.blocks = [];
  }

  async read(progress) {
    const decoder = new TextDecoder();
    for (let first = 0; first < this.elements.length; first += 8) {
      for (const buffer of await Promise.all(this.elements.slice(first, first + 8).map(unpack))) {
        const text = decoder.decode(buffer);
        this.blocks.push({text, starts: Texts.starts(text)});
      }
      progress(this.blocks.length / this.elements.length);
      await new Promise((go) => setTimeout(go));
    }
  }

  static starts(text) {
    const starts = [0];
    for (let at = text.indexOf(ROW_END); at >= 0; at = text.indexOf(ROW_END, at + 1)) {
      starts.push(at + 1);
    }
    return Uint32Array.from(starts);
  }

  // Id, prompt and response of a row; null while its block is still packed.
  row(index) {
    const number = Math.floor(index / this.rowsPerBlock);
    const block = this.blocks[number];
    if (!block) return null;
    const place = index % this.rowsPerBlock;
    const end = place + 1 < block.starts.length ? block.starts[place + 1] - 1 : block.text.length;
    return block.text.slice(block.starts[place], end).split(PART_END);
  }

  // Which rows hold a text, whatever its case: a byte for each row.
  search(wanted, count) {
    const found = new Uint8Array(count);
    const pattern = new RegExp(wanted.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"), "giu");
    this.blocks.forEach((block, number) => {
      let place = 0;
      pattern.lastIndex = 0;
      for (let hit = pattern.exec(block.text); hit; hit = pattern.exec(block.text)) {
        while (place + 1 < block.starts.length && block.starts[place + 1] <= hit.index) place++;
        found[number * this.rowsPerBlock + place] = 1;
        if (place + 1 >= block.starts.length) break;
        pattern.lastIndex = block.starts[place + 1];
      }
    });
    return found;
  }
}
