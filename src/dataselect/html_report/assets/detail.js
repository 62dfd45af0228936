// One row, or one query, in full. All texts are set as text: nothing of them is read as HTML.

function part(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}

function fact(list, name, value) {
  list.append(part("dt", name), part("dd", value));
}

function thousands(value) {
  return value.toLocaleString("en-US");
}

function score(value) {
  return Number.isNaN(value) ? "–" : value.toFixed(4);
}

class Detail {
  constructor(element, page) {
    this.element = element;
    this.page = page;
    this.body = element.querySelector(".body");
    element.querySelector(".close").addEventListener("click", () => page.close());
  }

  showRow(index) {
    const {columns, meta, texts} = this.page;
    const [id, prompt, response] = texts.row(index) ?? ["", "(the texts are still being read)", ""];
    const facts = part("dl");
    fact(facts, "row", `${thousands(columns.row[index])} (${id})`);
    fact(facts, "source", meta.sources[columns.source[index]]);
    const number = columns.number[index];
    const all = thousands(meta.chosen);
    fact(facts, "chosen", number ? `as number ${thousands(number)} of ${all}` : "no");
    const group = columns.group[index] < 0 ? null : meta.groups[columns.group[index]];
    if (group) {
      fact(facts, number ? "chosen by" : "ranks best in", this.groupName(group));
      fact(facts, "score there", score(columns.score[index]));
      const rank = columns.rank[index];
      fact(facts, "rank there", rank ? thousands(rank) : "–");
    }
    this.body.replaceChildren(facts, ...this.texts(index, prompt, response));
    this.query(index, number);
    if (group) this.near(group, meta.near[columns.group[index]]);
    this.open(`Row ${thousands(columns.row[index])}`);
  }

  groupName(group) {
    return group.task !== null && group.task !== group.name
      ? `${group.name} (task ${group.task})` : group.name;
  }

  texts(index, prompt, response) {
    const {characters} = this.page.columns;
    const shown = [...prompt].length + [...response].length;
    const cut = prompt.endsWith("…") || response.endsWith("…");
    const note = `The texts are cut: about ${thousands(shown)} of ` +
      `${thousands(characters[index])} characters are in this file.`;
    return [part("h4", "Prompt"), part("pre", prompt), part("h4", "Response"),
      part("pre", response), ...(cut ? [part("p", note, "note")] : [])];
  }

  query(index, number) {
    const {columns, meta} = this.page;
    const query = meta.queries[columns.query[index]];
    if (!query) return;
    const chose = number && Math.abs(columns.query_score[index] - columns.score[index]) < 1e-4;
    this.body.append(part("h4", chose ? "The query that chose it" : "The query it is nearest to"));
    const value = score(columns.query_score[index]);
    this.body.append(part("pre", query.text),
      part("p", `${query.id} (task ${query.task}), score ${value}`, "note"));
  }

  near(group, misses) {
    this.body.append(part("h4", `Near misses of ${group.name}`));
    if (!misses.length) this.body.append(part("p", "none: every candidate was chosen", "note"));
    const list = part("ol");
    for (const [index, value, rank] of misses) {
      const texts = this.page.texts.row(index);
      const label = `rank ${thousands(rank)}, score ${score(value)}: ${texts ? texts[1] : ""}`;
      const button = part("button", label.slice(0, 140));
      button.type = "button";
      button.addEventListener("click", () => this.page.openRow(index));
      const item = part("li");
      item.append(button);
      list.append(item);
    }
    this.body.append(list);
  }

  showQuery(index) {
    const query = this.page.meta.queries[index];
    const facts = part("dl");
    fact(facts, "query", query.id);
    fact(facts, "task", query.task);
    const button = part("button", "Show only rows that are nearest to it");
    button.type = "button";
    button.addEventListener("click", () => this.page.onlyQuery(index));
    this.body.replaceChildren(facts, part("h4", "Text"), part("pre", query.text), button);
    this.open(`Query ${query.id}`);
  }

  open(title) {
    const heading = this.element.querySelector("h3");
    heading.textContent = title;
    this.element.hidden = false;
    heading.focus({preventScroll: true});
    this.element.scrollIntoView({block: "nearest"});
  }
}
