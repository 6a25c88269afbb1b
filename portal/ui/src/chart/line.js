// Line charts over time. Only this file uses uPlot.
import uPlot from 'uplot';
import { drawBand } from './band.js';
import { dots } from './dots.js';
import { dragged, listen } from './gestures.js';
import { drawLimits, drawMarks, included } from './limits.js';
import { css, series } from './palette.js';
import { extent } from './runs.js';

const PAD = 8;
const LONG = 240; // s from which the time axis shows no seconds
const SECONDS = [1, 2, 5, 10, 15, 30, 60];
const MINUTES = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000];
const DAY = 86_400; // s from which it shows dates
const ALONE = 30; // s around a single reading
const isLong = (u) => u.scales.x.max - u.scales.x.min >= LONG;
const clock = (parts) => new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...parts });
const minutes = clock({});
const seconds = clock({ second: '2-digit' });
let marked = false;

/** date is a day as numbers, which are the same in both languages. */
const date = (d) => `${String(d.getMonth() + 1).padStart(2, '0')}-${String(d.getDate()).padStart(2, '0')}`;

/**
 * createLine draws into el. Options: lines [{label, look, thin, band}], height in px (none: that of el), sync (a
 * name: charts with the same one share their cursor), limits() → [{value, color, label}],
 * marks() → [{time, color, severity, over}], band: draw min–max around each line but thin ones and those with band: false, onZoom(from, to),
 * onReset(), onCursor(index|null), onHover(ms|null), onDraw(), range: [min, max] where it is fixed, or a function that returns them, axes: false for
 * a small one without labels,
 * gestures: {onZoom(at, factor), onPan(by)}, for wheel, fingers and a drag with Shift.
 *
 * setData takes {time: [ms], lines: [[value|null]], min, max, singles, expected}: min and max have a list for
 * each line, singles the time in ms from which its points are readings, which are drawn as dots, and expected has
 * {low, high} or null. Nothing is animated.
 */
export function createLine(el, options) {
  let plot = null;
  let last = null;
  let range = null;
  let limits = []; // as they were drawn
  const look = (i) => series(options.lines[i].look ?? i);

  const hasBand = (i) => Boolean(options.band) && !options.lines[i].thin && options.lines[i].band !== false;

  /** height is the requested height, or that of the element. */
  const height = () => options.height ?? Math.max(el.clientHeight - PAD, 64);

  function build() {
    plot?.destroy();
    plot = new uPlot(settings(), last ? data() : [[], ...options.lines.map(() => [])], el);
    if (range) plot.setScale('x', range);
  }

  /** times labels the time axis. */
  function times(u, ticks) {
    const format = isLong(u) ? minutes : seconds;
    return ticks.map((s) => {
      const d = new Date(s * 1000);
      if (u.scales.x.max - u.scales.x.min > DAY && d.getHours() + d.getMinutes() === 0) return date(d);
      return format.format(d);
    });
  }

  function settings() {
    const text = css('--muted');
    const grid = { stroke: css('--line'), width: 1, dash: [] };
    const small = options.axes === false;
    const axis = { stroke: text, grid, ticks: { ...grid, size: 4 }, font: '12px system-ui, sans-serif' };
    return {
      width: Math.max(el.clientWidth, 40),
      height: height(),
      padding: small ? [2, 0, 2, 0] : [PAD, 20, 0, 0],
      legend: { show: false },
      cursor: {
        sync: options.sync ? { key: options.sync, setSeries: false } : undefined,
        drag: { x: Boolean(options.onZoom), y: false, setScale: false },
        bind: options.gestures ? { mousedown: dragged(options.gestures.onPan) } : undefined,
        points: { size: 6 },
        y: false,
      },
      scales: {
        x: { time: true, range: (_, from, to) => (range ? [range.min, range.max] : around(last?.time ?? [], [from, to])) },
        y: { range: options.range ?? (() => padded(included(seen(), options.limits?.() ?? []))) },
      },
      axes: [
        { ...axis, show: !small, size: 24, space: (u) => (isLong(u) ? 48 : 70), incrs: (u) => (isLong(u) ? MINUTES : SECONDS), values: times },
        { ...axis, show: !small, space: 40, size: (_, labels) => Math.max(52, 14 + 7 * Math.max(0, ...(labels ?? []).map((l) => l.length))), values: (_, ticks) => ticks.map((v) => String(+v.toPrecision(6))) },
      ],
      series: [{}, ...options.lines.map(lineOf)],
      hooks: {
        drawAxes: [drawBands],
        draw: [drawGuides],
        setSelect: [
          (u) => {
            if (u.select.width < 4) return;
            options.onZoom?.(u.posToVal(u.select.left, 'x') * 1000, u.posToVal(u.select.left + u.select.width, 'x') * 1000);
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
        setCursor: [(u) => {
          options.onCursor?.(u.cursor.idx ?? null);
          options.onHover?.(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, 'x') * 1000 : null);
        }],
        ready: [(u) => {
          u.over.addEventListener('dblclick', () => options.onReset?.());
          if (options.gestures) listen(u, options.gestures);
        }],
      },
    };
  }

  /** lineOf is a line as uPlot wants it; a thin one is what another one is compared with. */
  function lineOf({ label, thin }, i) {
    const { color, dash } = look(i);
    return {
      label,
      stroke: color,
      dash,
      width: thin ? 1 : 1.75,
      alpha: thin ? 0.9 : 1,
      spanGaps: false,
      points: { show: false, size: thin ? 3 : 5, width: 0, fill: color, filter: (u, k) => dots(u, k, last?.singles?.[k - 1] ?? Infinity) },
    };
  }

  /** seen is what the values lie between: those of the steps' bands, too, if they are drawn. */
  function seen() {
    const bands = [...(last?.min ?? []), ...(last?.max ?? [])].filter((_, i) => hasBand(i % options.lines.length));
    const expected = (last?.expected ?? []).flatMap((e) => (e ? [e.low, e.high] : []));
    return extent([...(last?.lines ?? []), ...bands, ...expected], 0, (last?.time.length ?? 0) - 1);
  }

  function drawBands(u) {
    if (!last) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const e of last.expected ?? []) if (e) drawBand(u, e.low, e.high, { fill: `${css('--muted')}22`, edge: `${css('--muted')}55` });
    options.lines.forEach((_, i) => {
      const { color } = look(i);
      if (hasBand(i) && last.min?.[i]) drawBand(u, last.min[i], last.max[i], { fill: `${color}${options.lines.length > 1 ? '1c' : '2a'}`, edge: `${color}4d` });
    });
    ctx.restore();
  }

  function drawGuides(u) {
    limits = drawLimits(u, options.limits?.() ?? [], css('--panel'));
    drawMarks(u, options.marks?.() ?? [], css('--panel'));
    if (plot) options.onDraw?.();
  }

  const data = () => [last.time.map((ms) => ms / 1000), ...last.lines];

  const watch = new ResizeObserver(() => {
    if (!plot) return;
    const width = Math.max(el.clientWidth, 40);
    if (width !== plot.width || height() !== plot.height) plot.setSize({ width, height: height() });
  });
  build();
  watch.observe(el);
  return {
    setData(next) {
      last = next;
      if (!marked && next.time.length > 0) {
        marked = true;
        performance.mark('chart'); // when a person first sees one
      }
      plot.setData(data());
    },
    /** setRange sets the time range, in ms; without arguments the chart follows the data. */
    setRange(from, to) {
      range = from === undefined ? null : { min: from / 1000, max: to / 1000 };
      if (range) plot.setScale('x', range);
    },
    /** restyle redraws after a change of theme. */
    restyle: build,
    /** points returns how many points of a line are drawn. */
    points: () => last?.time.length ?? 0,
    /** limits returns [{value, label, beyond}] as they were drawn. */
    limits: () => limits,
    /** shown returns the values between which the chart is, {min, max}, null before it is drawn. */
    shown: () => plot && { min: plot.scales.y.min, max: plot.scales.y.max },
    /** width of the area of the lines, in px. */
    width: () => plot.over.clientWidth,
    /** area is where in the element the lines are, in px. */
    area: () => ({ left: plot.over.offsetLeft, top: plot.over.offsetTop, width: plot.over.clientWidth, height: plot.over.clientHeight }),
    /** yOf is how far below the top of the area a value is, in px, and valueAt the inverse. */
    yOf: (value) => plot.valToPos(value, 'y'),
    valueAt: (y) => plot.posToVal(y, 'y'),
    canvas: () => plot.ctx.canvas,
    destroy() {
      watch.disconnect();
      plot?.destroy();
      plot = null;
    },
  };
}

/** around gives a single reading some time around it; uPlot would put it at the left edge of a day. */
function around(time, usual) {
  const only = time[0] === time.at(-1) ? time[0] / 1000 : NaN;
  return only > 0 ? [only - ALONE, only + ALONE] : usual;
}

/** padded leaves a tenth free above and below, and keeps a flat line in the middle. */
function padded([min, max]) {
  if (min === null || !Number.isFinite(min)) return [0, 1];
  const room = (max - min) * 0.1 || Math.max(Math.abs(max) * 0.02, 0.5);
  return [min - room, max + room];
}
