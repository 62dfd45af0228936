// The browser of rows: filters, search, the table and the map, kept in step.

const byId = (id) => document.getElementById(id);

class Page {
  constructor(columns, meta) {
    Object.assign(this, {columns, meta});
    this.texts = new Texts(meta.rowsPerBlock);
    this.matches = new Uint8Array(columns.row.length).fill(1);
    this.orders = {};
    this.sort = {name: meta.chosen ? "number" : "row", down: false};
    this.query = -1;
    this.found = null;
    this.map = null;
    this.detail = new Detail(byId("detail"), this);
    this.table = new RowTable(byId("table"), (index) => this.cells(index),
      (index) => this.openRow(index));
  }

  async start() {
    this.offerFilters();
    this.listen();
    if (this.meta.map) await this.openMap();
    this.apply();
    document.body.dataset.state = "shown";
    const busy = byId("busy");
    await this.texts.read((share) => {
      busy.textContent = `Reading texts: ${Math.round(share * 100)} %`;
      this.table.schedule();
    });
    busy.textContent = "";
    this.find();
    document.body.dataset.state = "ready";
  }

  async openMap() {
    const follow = () => {
      clearTimeout(this.following);
      this.following = setTimeout(() => this.list(), 80);
    };
    this.map = new RowMap(this.columns, this.meta, follow, ({kind, index}) =>
      kind === "row" ? this.openRow(index) : this.openQuery(index));
    await this.map.open(readJson("map-item"));
    this.colour();
  }

  colour() {
    this.map.paint = paint(categories(byId("colour").value, this.columns, this.meta));
    const lines = this.map.paint.legend.map(({name, colour, count}) => {
      const line = part("li", ` ${name} (${thousands(count)})`);
      const swatch = part("span", "", "swatch");
      swatch.style.background = colour;
      line.prepend(swatch);
      return line;
    });
    byId("legend").replaceChildren(...lines);
    this.map.schedule();
  }

  offerFilters() {
    const tasks = [...new Set(this.meta.groups.map((group) => group.task))]
      .filter((task) => task !== null);
    const offers = {source: this.meta.sources, task: tasks,
      group: this.meta.groups.map((group) => group.name)};
    for (const [id, names] of Object.entries(offers)) {
      names.forEach((name, code) => byId(id).append(new Option(name, code)));
      byId(id).closest("label").hidden = names.length < 2;
    }
    const ofTask = tasks.map((task) => this.meta.groups.map((group) => group.task === task));
    this.inTask = (task, group) => group >= 0 && ofTask[task][group];
  }

  listen() {
    for (const id of ["source", "task", "group", "chosen"]) {
      byId(id).addEventListener("change", () => this.apply());
    }
    byId("search").addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.find(), 150);
    });
    byId("clear").addEventListener("click", () => this.clear());
    byId("follow")?.addEventListener("change", () => this.list());
    byId("colour")?.addEventListener("change", () => this.colour());
    for (const button of document.querySelectorAll("#table [data-sort]")) {
      button.addEventListener("click", () => this.sortBy(button.dataset.sort));
    }
    document.addEventListener("keydown", (event) => this.escape(event));
  }

  // Escape closes what is open; in the search field it empties the field.
  escape(event) {
    if (event.key !== "Escape") return;
    if (!this.detail.element.hidden) this.close();
    else if (document.activeElement === byId("search")) {
      byId("search").value = "";
      this.find();
    }
  }

  find() {
    const wanted = byId("search").value.trim();
    this.found = wanted ? this.texts.search(wanted, this.columns.row.length) : null;
    this.apply();
  }

  clear() {
    byId("search").value = "";
    for (const id of ["source", "task", "group"]) byId(id).value = "-1";
    byId("chosen").value = "all";
    this.query = -1;
    this.find();
  }

  onlyQuery(index) {
    this.query = index;
    this.apply();
  }

  apply() {
    const {source, group, number, query} = this.columns;
    const [onlySource, onlyTask, onlyGroup] =
      ["source", "task", "group"].map((id) => Number(byId(id).value));
    const chosen = byId("chosen").value;
    for (let i = 0; i < source.length; i++) {
      this.matches[i] =
        (onlySource < 0 || source[i] === onlySource) &&
        (onlyGroup < 0 || group[i] === onlyGroup) &&
        (onlyTask < 0 || this.inTask(onlyTask, group[i])) &&
        (this.query < 0 || query[i] === this.query) &&
        (chosen === "all" || (number[i] > 0) === (chosen === "yes")) &&
        (!this.found || this.found[i]);
    }
    if (this.map) {
      this.map.matches = this.matches;
      this.map.schedule();
    }
    this.list();
  }

  // The matching rows in view of the map, in the table's order.
  list() {
    const order = this.order();
    const {x, y} = this.columns;
    const view = this.map && byId("follow").checked ? this.map.view() : {all: true};
    const rows = new Uint32Array(order.length);
    let count = 0;
    let chosen = 0;
    for (let place = 0; place < order.length; place++) {
      const i = order[this.sort.down ? order.length - 1 - place : place];
      if (!this.matches[i]) continue;
      if (!view.all && (x[i] === NOWHERE || x[i] < view.x0 || x[i] > view.x1 ||
          y[i] < view.y0 || y[i] > view.y1)) continue;
      rows[count++] = i;
      if (this.columns.number[i]) chosen++;
    }
    this.table.show(rows.slice(0, count));
    const query = this.query < 0 ? "" : `, nearest to ${this.meta.queries[this.query].id}`;
    byId("status").textContent = `${thousands(count)} of ${thousands(x ? x.length : order.length)} ` +
      `rows${view.all ? "" : " in view"}${query}; ${thousands(chosen)} chosen`;
  }

  // All rows by a column; rows without a value last. Sorted once for each column.
  order() {
    const {name} = this.sort;
    if (!this.orders[name]) {
      const missing = {number: 0, rank: 0, group: -1}[name];
      const values = this.columns[name];
      const keys = Float64Array.from(values, (value) =>
        value === missing || Number.isNaN(value) ? Infinity : name === "score" ? -value : value);
      const order = Uint32Array.from(keys, (_, index) => index);
      this.orders[name] = order.sort((a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b));
    }
    return this.orders[name];
  }

  sortBy(name) {
    this.sort = {name, down: this.sort.name === name && !this.sort.down};
    for (const button of document.querySelectorAll("#table [data-sort]")) {
      const state = button.dataset.sort !== name ? "none" : this.sort.down ? "descending" : "ascending";
      button.parentElement.setAttribute("aria-sort", state);
    }
    this.list();
  }

  cells(index) {
    const {columns, meta} = this;
    const texts = this.texts.row(index);
    const group = columns.group[index];
    return [
      ["row", thousands(columns.row[index])],
      ["number", columns.number[index] ? thousands(columns.number[index]) : ""],
      ["text", texts ? texts[1] || texts[2] : "…"],
      ["score", score(columns.score[index])],
      ["rank", columns.rank[index] ? thousands(columns.rank[index]) : "–"],
      ["group", group < 0 ? "–" : meta.groups[group].name],
      ["source", meta.sources[columns.source[index]]],
    ];
  }

  openRow(index) {
    this.detail.showRow(index);
    this.map?.mark(index);
  }

  openQuery(index) {
    this.detail.showQuery(index);
  }

  close() {
    this.detail.element.hidden = true;
    this.map?.mark(null);
    byId("table").focus();
  }
}

(async () => {
  const meta = readJson("meta");
  if (meta) await new Page(await readColumns(), meta).start();
})();
