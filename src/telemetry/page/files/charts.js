// The four charts: what each one draws is a list of series, one `read` each.
import { perSecond } from "./history.js";
import { axisBytes, bytes, cleanupReason, cleanupReturned, cleanupTook, clock, clockShort, count, number, percent, rate } from "./words.js";

const { uPlot } = globalThis;
const SYNC = "memory";
const NEAR_PX = 8;
const FONT = "12px system-ui, sans-serif";

const of = (field) => (frame) => frame[field];
const minus = (a, b) => (a === null || b === null ? null : Math.max(0, a - b));
const line = (name) => (frame, _, page) => {
  const share = number(page.lines?.[name]);
  return share === null || frame.limit === null ? null : (frame.limit * share) / 100;
};
const otherRss = (f) => (f.active === null ? null : minus(f.rss, f.active + (f.dirty ?? 0) + (f.metadata ?? 0)));

const SPECS = [
  {
    id: "used",
    title: "Used versus limit",
    note: "What counts against the limit. Marks at the top are cleanups.",
    // The three lines carry the bands; they are drawn first and stand in no table.
    series: [
      { label: "Limit", color: "limit", read: of("limit"), dash: [6, 4], band: "critical" },
      { label: "Critical", color: "critical", read: line("critical"), silent: true, band: "high" },
      { label: "High", color: "high", read: line("high"), silent: true, band: "elevated" },
      { label: "Elevated", color: "elevated", read: line("elevated"), silent: true },
      { label: "Used", color: "used", read: of("used"), width: 2, fill: "used-fill" },
    ],
    axis: "bytes",
    marks: true,
  },
  {
    id: "heap",
    title: "What it consists of",
    note: "Heap pages by state, and resident memory that is not the heap's.",
    stacked: 5,
    series: [
      { label: "Other resident", color: "other", read: otherRss },
      { label: "Metadata", color: "metadata", read: of("metadata") },
      { label: "Dirty (freed, not returned)", color: "dirty", read: of("dirty") },
      { label: "Active, not allocated", color: "active", read: (f) => minus(f.active, f.allocated) },
      { label: "Allocated", color: "allocated", read: of("allocated") },
      { label: "Resident (RSS)", color: "rss", read: of("rss"), dash: [2, 3] },
      // Often many times what is resident: drawn, it would flatten all else.
      { label: "Retained (addresses only)", color: "muted", read: of("retained"), hidden: true },
    ],
    axis: "bytes",
  },
  {
    id: "stalls",
    title: "Stalls",
    note: "Time lost waiting for memory (PSI), and pauses of allocating threads (brake).",
    series: [
      { label: "Some threads stalled", color: "some", read: of("psi_some"), width: 2 },
      { label: "All threads stalled", color: "full", read: of("psi_full"), width: 2 },
      { label: "Brake pauses", color: "brake", read: (f, before) => perSecond(f, before, "brake_pauses"), right: true, dash: [6, 3] },
    ],
    axis: "percent",
    right: "rate",
  },
  {
    id: "reserved",
    title: "Reservations",
    note: "Memory promised ahead of its use.",
    series: [
      { label: "Reserved", color: "reserved", read: of("reserved"), width: 2 },
      { label: "Of it not yet filled", color: "unfilled", read: of("reserved_unfilled"), fill: "unfilled-fill" },
      { label: "Waiting", color: "waiting", read: of("waiting"), right: true, dash: [6, 3] },
    ],
    axis: "bytes",
    right: "count",
  },
];

// The least that a scale spans, so that noise near zero does not fill the chart.
const SCALES = {
  bytes: { words: bytes, ticks: axisBytes, least: 2 ** 20, incrs: Array.from({ length: 50 }, (_, i) => 2 ** i) },
  percent: { words: percent, ticks: (v) => `${v} %`, least: 10 },
  rate: { words: rate, ticks: (v) => `${v}/s`, least: 10 },
  count: { words: count, ticks: String, least: 4, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000, 100000, 1000000] },
};

const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

/** Colors live in the style sheet; a canvas has to be told. */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
let palette = new Map();
export const forgetColors = () => (palette = new Map());
function paint(name) {
  if (!palette.has(name)) palette.set(name, color(name));
  return palette.get(name);
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

class Chart {
  constructor(spec, page) {
    this.spec = spec;
    this.page = page;
    this.raw = [];
    this.#build();
    this.plot = new uPlot(this.#options(), [[], ...spec.series.map(() => [])], this.host);
    this.tip = this.plot.over.appendChild(element("div", "tip"));
    this.tip.hidden = true;
    new ResizeObserver(() => this.plot.setSize(this.#size())).observe(this.host);
    this.host.addEventListener("keydown", (event) => this.#key(event));
    this.host.addEventListener("blur", () => this.#point(-10));
  }

  #build() {
    const { spec } = this;
    const figure = element("figure", "card waiting");
    this.figure = figure;
    figure.id = `chart-${spec.id}`;
    const caption = figure.appendChild(element("figcaption"));
    caption.append(element("h3", "", spec.title), element("p", "quiet", spec.note));
    this.host = figure.appendChild(element("div", "plot"));
    this.host.tabIndex = 0;
    this.host.setAttribute("role", "group");
    this.host.setAttribute("aria-roledescription", "chart; arrow keys move along it");
    figure.append(element("p", "empty quiet", "Nothing is known in this window."));
    this.#buildTable(figure.appendChild(element("table", "key")));
    document.getElementById("grid").append(figure);
  }

  /** The legend is the text of the chart: what each line says now, and between what it moved. */
  #buildTable(table) {
    table.append(element("caption", "unseen", `${this.spec.title}: values`));
    const head = table.appendChild(element("thead")).insertRow();
    for (const text of ["Series", "Now", "Lowest", "Highest"]) head.appendChild(element("th", "", text)).scope = "col";
    this.when = head.cells[1];
    const body = table.appendChild(element("tbody"));
    this.rows = this.spec.series.map((series) => {
      if (series.silent) return null;
      const row = body.insertRow();
      const name = row.appendChild(element("th", "", series.label));
      name.scope = "row";
      name.dataset.color = series.color;
      return [row.insertCell(), row.insertCell(), row.insertCell()];
    });
  }

  #size() {
    return { width: Math.max(200, this.host.clientWidth), height: Math.max(120, this.host.clientHeight) };
  }

  #options() {
    const { spec, page } = this;
    const band = (upper, name) => ({ series: [upper, upper + 1], fill: () => paint(name) });
    const bands = spec.series.flatMap((series, i) => (series.band ? [band(i + 1, `${series.band}-fill`)] : []));
    for (let i = 1; i < (spec.stacked ?? 0); i += 1) bands.push(band(i, spec.series[i - 1].color));
    const scale = (unit) => ({ range: (u, low, high) => [0, Math.max(SCALES[unit].least, (number(high) ?? 0) * 1.06)] });
    const end = () => page.history.last?.t ?? 1;
    const axis = (unit, key, extra) => ({
      scale: key, stroke: () => paint("muted"), grid: { stroke: () => paint("rule"), width: 1 }, ticks: { show: false },
      size: 62, gap: 6, font: FONT, space: 36, incrs: SCALES[unit].incrs,
      values: (u, splits) => splits.map((v) => SCALES[unit].ticks(v)), ...extra,
    });
    return {
      ...this.#size(),
      legend: { show: false },
      cursor: {
        sync: { key: SYNC, setSeries: false }, drag: { x: false, y: false }, y: false,
        points: { size: (u, i) => (spec.series[i - 1].silent ? 0 : 6) },
      },
      scales: {
        x: { time: true, range: () => [end() - page.seconds, end()] },
        y: scale(spec.axis),
        ...(spec.right ? { right: scale(spec.right) } : {}),
      },
      axes: [
        {
          stroke: () => paint("muted"), grid: { show: false }, ticks: { stroke: () => paint("rule"), size: 4 },
          size: 26, gap: 2, font: FONT, space: 74, incrs: TIMES,
          values: (u, splits) => splits.map(page.seconds > 600 ? clockShort : clock),
        },
        axis(spec.axis, "y"),
        ...(spec.right ? [axis(spec.right, "right", { side: 1, size: 48, grid: { show: false } })] : []),
      ],
      series: [{}, ...spec.series.map((series, i) => this.#series(series, i))],
      bands,
      hooks: {
        draw: spec.marks ? [(u) => this.#drawLabels(u), (u) => this.#drawMarks(u)] : [],
        setCursor: [() => this.#words()],
      },
    };
  }

  #series(series, i) {
    const fill = i < (this.spec.stacked ?? 0) ? (i === this.spec.stacked - 1 ? series.color : null) : series.fill;
    return {
      label: series.label, scale: series.right ? "right" : "y", show: series.hidden !== true,
      stroke: () => paint(series.color), width: series.width ?? 1, dash: series.dash,
      fill: fill ? () => paint(fill) : undefined, points: { show: false }, spanGaps: false,
    };
  }

  /** The names of the bands, at the right edge, so that color is not all there is. */
  #drawLabels(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.strokeStyle = paint("card");
    ctx.lineWidth = 3 * devicePixelRatio;
    let below = Infinity;
    this.spec.series.forEach((series, i) => {
      const value = series.silent ? u.data[i + 1].findLast((v) => v !== null) : null;
      if (number(value) === null) return;
      const y = u.valToPos(value, "y", true) - 3 * devicePixelRatio;
      if (Math.abs(below - y) < 11 * devicePixelRatio) return;
      below = y;
      ctx.fillStyle = paint(series.color);
      const at = [series.label.toLowerCase(), bbox.left + bbox.width - 4 * devicePixelRatio, y];
      ctx.strokeText(...at);
      ctx.fillText(...at);
    });
    ctx.restore();
  }

  #drawMarks(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = paint("mark");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    const half = 4 * devicePixelRatio;
    for (const cleanup of this.page.history.cleanups) {
      const x = u.valToPos(cleanup.t, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.beginPath();
      ctx.moveTo(x - half, bbox.top);
      ctx.lineTo(x + half, bbox.top);
      ctx.lineTo(x, bbox.top + 1.6 * half);
      ctx.fill();
    }
    ctx.restore();
  }

  #tooltip() {
    const { left } = this.plot.cursor;
    const near = this.page.history.cleanups
      .map((cleanup) => ({ cleanup, x: this.plot.valToPos(cleanup.t, "x") }))
      .filter(({ x }) => left >= 0 && Math.abs(x - left) <= NEAR_PX)
      .sort((a, b) => Math.abs(a.x - left) - Math.abs(b.x - left))[0];
    this.tip.hidden = near === undefined;
    if (near === undefined) return;
    const { cleanup, x } = near;
    this.tip.replaceChildren(
      element("strong", "", `Cleanup: ${cleanupReason(cleanup)}`),
      element("span", "", `returned ${cleanupReturned(cleanup)}`),
      element("span", "", `took ${cleanupTook(cleanup)}`),
      element("span", "", clock(cleanup.t)),
    );
    const flip = x > this.plot.over.clientWidth / 2;
    this.tip.style.transform = `translate(${Math.round(x) + (flip ? -10 : 10)}px, 14px)${flip ? " translateX(-100%)" : ""}`;
  }

  #point(left) {
    this.plot.setCursor({ left, top: left < 0 ? -10 : 10 }, true, true);
  }

  #key(event) {
    const times = this.plot.data[0];
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") this.#point(-10);
    if (step === undefined || times.length === 0) return;
    event.preventDefault();
    const from = this.plot.cursor.left >= 0 ? (this.plot.cursor.idx ?? times.length - 1) : times.length - 1;
    const at = Math.min(times.length - 1, Math.max(0, from + step));
    this.#point(Math.max(0, this.plot.valToPos(times[at], "x")));
    this.page.announce(`${clock(times[at])}: ${this.#spoken(at)}`);
  }

  /** What the table says of one moment, in one sentence. */
  #spoken(at) {
    const shown = this.spec.series.map((series, i) => {
      const { words } = SCALES[series.right ? this.spec.right : this.spec.axis];
      return series.silent ? null : `${series.label} ${words(this.raw[i]?.[at])}`;
    });
    return shown.filter((words) => words !== null).join(", ");
  }

  /** The table: under the cursor, else now. */
  #words() {
    const { idx, left } = this.plot.cursor;
    const times = this.plot.data[0];
    const pointed = left >= 0 && number(idx) !== null && idx < times.length;
    const at = pointed ? idx : times.length - 1;
    write(this.when, pointed ? clock(times[at]) : "Now");
    this.rows.forEach((cells, i) => {
      if (cells === null) return;
      const { right } = this.spec.series[i];
      const { words } = SCALES[right ? this.spec.right : this.spec.axis];
      const known = this.raw[i]?.filter((value) => value !== null) ?? [];
      write(cells[0], words(this.raw[i]?.[at]));
      write(cells[1], words(known.length ? known.reduce((a, b) => Math.min(a, b)) : null));
      write(cells[2], words(known.length ? known.reduce((a, b) => Math.max(a, b)) : null));
    });
    if (this.spec.marks) this.#tooltip();
  }

  draw(frames) {
    const { spec, page } = this;
    this.raw = spec.series.map(({ read }) => frames.map((frame, i) => read(frame, frames[i - 1], page)));
    let columns = this.raw;
    if (spec.stacked) {
      columns = [...this.raw];
      // From the bottom of the stack up. A part that is unknown makes the sums above it unknown.
      for (let i = spec.stacked - 2; i >= 0; i -= 1) {
        columns[i] = columns[i].map((value, n) => (value === null || columns[i + 1][n] === null ? null : value + columns[i + 1][n]));
      }
    }
    this.plot.setData([frames.map((frame) => frame.t), ...columns]);
    // No axes without a value: their numbers would be invented.
    this.figure.classList.toggle("waiting", frames.length === 0);
    this.figure.classList.toggle("none", frames.length > 0 && !this.raw.some((column) => column.some((value) => value !== null)));
    const label = `${spec.title}, chart of the last ${page.windowWords}. The values are in the table below; arrow keys move the cursor.`;
    if (this.host.getAttribute("aria-label") !== label) this.host.setAttribute("aria-label", label);
    this.#words();
  }
}

/** Only what changed, so that a selection or a screen reader's place stays. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** `page`: { history, seconds, windowWords, lines } */
export function makeCharts(page) {
  const charts = SPECS.map((spec) => new Chart(spec, page));
  return {
    draw() {
      const frames = page.history.since(page.seconds);
      for (const chart of charts) chart.draw(frames);
    },
  };
}
