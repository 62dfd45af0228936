// A table of many rows: only those in sight are elements of the page.

const ROW_HEIGHT = 28;

class RowTable {
  constructor(element, cells, onOpen) {
    Object.assign(this, {element, cells, onOpen});
    this.rows = new Uint32Array(0);
    this.active = 0;
    this.body = element.querySelector(".rows");
    this.waiting = false;
    element.addEventListener("scroll", () => this.schedule());
    element.addEventListener("keydown", (event) => this.pressed(event));
    element.addEventListener("click", (event) => {
      const line = event.target.closest("[role=row][data-place]");
      if (line) this.open(Number(line.dataset.place));
    });
    new ResizeObserver(() => this.schedule()).observe(element);
  }

  show(rows) {
    const kept = this.rows[this.active];
    this.rows = rows;
    const place = rows.indexOf(kept);
    this.active = Math.max(0, place);
    this.body.style.height = `${rows.length * ROW_HEIGHT}px`;
    this.element.setAttribute("aria-rowcount", rows.length + 1);
    this.element.scrollTop = 0;
    this.render();
  }

  schedule() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.render(); });
  }

  space() {
    return this.element.clientHeight - this.body.offsetTop;
  }

  render() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW_HEIGHT) - 5);
    const count = Math.ceil(this.element.clientHeight / ROW_HEIGHT) + 10;
    const lines = [];
    for (let place = first; place < Math.min(this.rows.length, first + count); place++) {
      lines.push(this.line(place));
    }
    this.body.replaceChildren(...lines);
    const active = this.rows.length ? `row-${this.active}` : "";
    this.element.setAttribute("aria-activedescendant", active);
  }

  line(place) {
    const line = document.createElement("div");
    line.id = `row-${place}`;
    line.dataset.place = place;
    line.setAttribute("role", "row");
    line.setAttribute("aria-rowindex", place + 2);
    line.setAttribute("aria-selected", place === this.active);
    line.style.top = `${place * ROW_HEIGHT}px`;
    for (const [name, text] of this.cells(this.rows[place])) {
      const cell = document.createElement("span");
      cell.className = name;
      cell.setAttribute("role", "gridcell");
      cell.textContent = text;
      line.append(cell);
    }
    return line;
  }

  move(place) {
    if (!this.rows.length) return;
    this.active = Math.min(this.rows.length - 1, Math.max(0, place));
    const top = this.active * ROW_HEIGHT;
    const space = this.space();
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    if (top + ROW_HEIGHT > this.element.scrollTop + space) {
      this.element.scrollTop = top + ROW_HEIGHT - space;
    }
    this.render();
  }

  open(place) {
    if (!this.rows.length) return;
    this.move(place);
    this.onOpen(this.rows[this.active]);
  }

  pressed(event) {
    const page = Math.max(1, Math.floor(this.space() / ROW_HEIGHT) - 1);
    const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
      Home: -this.rows.length, End: this.rows.length};
    if (event.target !== this.element) return;
    if (event.key in steps) this.move(this.active + steps[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.open(this.active);
    else return;
    event.preventDefault();
  }
}
