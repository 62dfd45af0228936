// Categories of rows, by which the map is coloured: the most frequent have a colour each.

const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8c564b", "#9467bd",
  "#bcbd22", "#17becf", "#e377c2", "#3b4cc0", "#7f3b08"];
const SEQUENCE = ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#c2df23", "#e8e419",
  "#f1e9a0"];
const OTHERS = "#8a8a8a";
const CONTEXT = "#e6e6e6";

function abgr(colour, light) {
  const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const [r, g, b] = parts.map((part) => Math.round(part + (255 - part) * light));
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

// The category of every row for a way to colour, and their names.
function categories(by, columns, meta) {
  const count = columns.row.length;
  const codes = new Int32Array(count);
  let names;
  if (by === "source") {
    return {codes: columns.source, names: meta.sources};
  }
  if (by === "rank") {
    const labels = meta.decades;
    for (let i = 0; i < count; i++) {
      const rank = columns.rank[i];
      codes[i] = rank ? Math.min(labels.length - 1, Math.floor(Math.log10(rank) + 1e-9)) : -1;
    }
    return {codes, names: labels, sequence: true};
  }
  if (by === "group") {
    return {codes: columns.group, names: meta.groups.map((group) => group.name)};
  }
  names = [...new Set(meta.groups.map((group) => group.task).filter((task) => task !== null))];
  const ofGroup = meta.groups.map((group) => names.indexOf(group.task));
  for (let i = 0; i < count; i++) codes[i] = columns.group[i] < 0 ? -1 : ofGroup[columns.group[i]];
  return {codes, names};
}

// Colours of categories, strong for chosen rows and light for others, and the legend's lines.
function paint({codes, names, sequence}) {
  const counts = new Int32Array(names.length);
  for (let i = 0; i < codes.length; i++) if (codes[i] >= 0) counts[codes[i]]++;
  const order = [...counts.keys()].filter((code) => counts[code]);
  if (!sequence) order.sort((a, b) => counts[b] - counts[a] || a - b);
  const coloured = new Map(order.slice(0, PALETTE.length).map((code, place) =>
    [code, sequence ? SEQUENCE[Math.min(code, SEQUENCE.length - 1)] : PALETTE[place]]));
  const legend = [...coloured].map(([code, colour]) =>
    ({name: names[code], colour, count: counts[code]}));
  const listed = legend.reduce((sum, line) => sum + line.count, 0);
  if (listed < codes.length) {
    const name = order.length > coloured.size ? "others" : "none";
    legend.push({name, colour: OTHERS, count: codes.length - listed});
  }
  const colourOf = (code) => coloured.get(code) ?? OTHERS;
  const strong = Uint32Array.from(names, (_, code) => abgr(colourOf(code), 0));
  const light = Uint32Array.from(names, (_, code) => abgr(colourOf(code), 0.45));
  return {codes, strong, light, legend};
}
