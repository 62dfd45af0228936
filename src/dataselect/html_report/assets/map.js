// The map: Bokeh draws axes, tools and queries; the rows are an image made of the typed arrays.

const NOWHERE = 65535;
const NEAR_PIXELS = 9;

class RowMap {
  constructor(columns, meta, onView, onTap) {
    Object.assign(this, {columns, meta, onView, onTap});
    this.matches = null;
    this.paint = null;
    this.waiting = false;
  }

  async open(item) {
    await Bokeh.embed.embed_item(item);
    const model = Bokeh.documents[0];
    this.plot = model.get_model_by_name("map");
    this.points = model.get_model_by_name("points");
    this.ring = model.get_model_by_name("ring");
    const changed = () => { this.schedule(); this.onView(); };
    this.plot.x_range.change.connect(changed);
    this.plot.y_range.change.connect(changed);
    this.plot.properties.inner_width.change.connect(() => this.schedule());
    this.plot.properties.inner_height.change.connect(() => this.schedule());
    this.plot.on_event("tap", (event) => this.tapped(event.x, event.y));
  }

  // The part of the map in view, in steps of the stored coordinates; null where all is in view.
  view() {
    const {low, high} = this.meta.map;
    const edges = [this.plot.x_range, this.plot.y_range].map((range, axis) =>
      [range.start, range.end].map((value) =>
        (value - low[axis]) / (high[axis] - low[axis]) * (NOWHERE - 1)));
    const [[x0, x1], [y0, y1]] = edges;
    const all = x0 <= 0.5 && y0 <= 0.5 && x1 >= NOWHERE - 1.5 && y1 >= NOWHERE - 1.5;
    return {x0, x1, y0, y1, all};
  }

  schedule() {
    if (this.waiting || !this.paint) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  draw() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.max(1, Math.round(this.plot.inner_width * ratio));
    const height = Math.max(1, Math.round(this.plot.inner_height * ratio));
    const view = this.view();
    const pixels = this.raster(width, height, view, ratio);
    const {x_range, y_range} = this.plot;
    const {ndarray} = Bokeh.require("core/util/ndarray");
    this.points.data = {
      image: [ndarray(pixels, {dtype: "uint32", shape: [height, width]})],
      x: [x_range.start], y: [y_range.start],
      dw: [x_range.end - x_range.start], dh: [y_range.end - y_range.start],
    };
  }

  // Rows that match are coloured, chosen ones strong, larger and on top; others are grey.
  raster(width, height, view, ratio) {
    const {x, y, number} = this.columns;
    const {codes, strong, light} = this.paint;
    const pixels = new Uint32Array(width * height);
    const xScale = width / (view.x1 - view.x0);
    const yScale = height / (view.y1 - view.y0);
    const count = this.countInView(view);
    const size = Math.round((count > 40000 ? 1 : count > 4000 ? 2 : 4) * ratio);
    const others = abgr(OTHERS, 0.45);
    const othersStrong = abgr(OTHERS, 0);
    const context = abgr(CONTEXT, 0);
    const put = (index, colour, side) => {
      const left = Math.floor((x[index] - view.x0) * xScale - side / 2);
      const low = Math.floor((y[index] - view.y0) * yScale - side / 2);
      for (let row = Math.max(0, low); row < Math.min(height, low + side); row++) {
        const end = Math.min(width, left + side);
        for (let column = Math.max(0, left); column < end; column++) {
          pixels[row * width + column] = colour;
        }
      }
    };
    for (let pass = 0; pass < 3; pass++) {
      for (let i = 0; i < x.length; i++) {
        const kind = !this.matches[i] ? 0 : number[i] ? 2 : 1;
        if (kind !== pass || x[i] === NOWHERE) continue;
        if (x[i] < view.x0 || x[i] > view.x1 || y[i] < view.y0 || y[i] > view.y1) continue;
        const code = codes[i];
        if (pass === 0) put(i, context, size);
        else if (pass === 1) put(i, code < 0 ? others : light[code], size);
        else put(i, code < 0 ? othersStrong : strong[code], size + Math.round(2 * ratio));
      }
    }
    return pixels;
  }

  countInView(view) {
    const {x, y} = this.columns;
    let count = 0;
    for (let i = 0; i < x.length; i++) {
      if (x[i] >= view.x0 && x[i] <= view.x1 && y[i] >= view.y0 && y[i] <= view.y1) count++;
    }
    return count;
  }

  // Opens the nearest query, or matching row, within some pixels of a click.
  tapped(xValue, yValue) {
    const {low, high, queries} = this.meta.map;
    const {x_range, y_range} = this.plot;
    const xPixel = this.plot.inner_width / (x_range.end - x_range.start);
    const yPixel = this.plot.inner_height / (y_range.end - y_range.start);
    let best = NEAR_PIXELS ** 2;
    let found = null;
    const consider = (px, py, kind, index) => {
      const distance = ((px - xValue) * xPixel) ** 2 + ((py - yValue) * yPixel) ** 2;
      if (distance < best) { best = distance; found = {kind, index}; }
    };
    queries.forEach((place, index) => { if (place) consider(...place, "query", index); });
    if (!found) {
      const {x, y} = this.columns;
      const xStep = (high[0] - low[0]) / (NOWHERE - 1);
      const yStep = (high[1] - low[1]) / (NOWHERE - 1);
      for (let i = 0; i < x.length; i++) {
        if (this.matches[i] && x[i] !== NOWHERE) {
          consider(low[0] + x[i] * xStep, low[1] + y[i] * yStep, "row", i);
        }
      }
    }
    if (found) this.onTap(found);
  }

  mark(index) {
    const {low, high} = this.meta.map;
    const placed = index !== null && this.columns.x[index] !== NOWHERE;
    const at = (axis, steps) => low[axis] + steps / (NOWHERE - 1) * (high[axis] - low[axis]);
    this.ring.data = placed
      ? {x: [at(0, this.columns.x[index])], y: [at(1, this.columns.y[index])]}
      : {x: [], y: []};
  }
}
