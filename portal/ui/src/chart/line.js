// Line charts over time. Only this file uses uPlot.
import uPlot from 'uplot';
import { css, series } from './palette.js';

const PAD = 8;
const LONG = 240; // s from which the time axis shows no seconds
const SECONDS = [1, 2, 5, 10, 15, 30, 60];
const MINUTES = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 432_000];
const DOT = 6; // px that a reading needs to be drawn as a dot
const DAY = 86_400; // s from which it shows dates
const isLong = (u) => u.scales.x.max - u.scales.x.min >= LONG;
let marked = false;

/**
 * createLine draws into el. Options: lines [{label}], height in px (none: that of el), sync (a
 * name: charts with the same one share their cursor), limits() → [{value, color, label}],
 * marks() → [{time, color}], band: draw min–max around each line, onZoom(from, to),
 * onReset(), onCursor(index|null), range: [min, max] where it is fixed, axes: false for a small one without labels.
 *
 * setData takes {time: [ms], lines: [[value|null]], min, max, singles}: min and max have a list for
 * each line, singles the time in ms from which its points are readings, which are drawn as dots. Nothing
 * is animated.
 */
export function createLine(el, options) {
  let plot = null;
  let last = null;
  let range = null;
  const minutes = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hour12: false });
  const dates = new Intl.DateTimeFormat(undefined, { day: '2-digit', month: '2-digit' });
  const seconds = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });

  /** height is the requested height, or that of the element. */
  const height = () => options.height ?? Math.max(el.clientHeight - PAD, 64);

  function build() {
    plot?.destroy();
    plot = new uPlot(settings(), last ? data() : [[], ...options.lines.map(() => [])], el);
    if (range) plot.setScale('x', range);
  }

  /** times labels the time axis. */
  function times(u, ticks) {
    const clock = isLong(u) ? minutes : seconds;
    return ticks.map((s) => {
      const d = new Date(s * 1000);
      if (u.scales.x.max - u.scales.x.min > DAY && d.getHours() + d.getMinutes() === 0) return dates.format(d);
      return clock.format(d);
    });
  }

  function settings() {
    const text = css('--muted');
    const grid = { stroke: css('--line'), width: 1, dash: [] };
    const small = options.axes === false;
    const axis = { stroke: text, grid, ticks: { ...grid, size: 4 }, font: '12px system-ui, sans-serif' };
    const lines = options.lines.map((line, i) => ({
      label: line.label,
      stroke: series(line.look ?? i).color,
      dash: series(line.look ?? i).dash,
      width: 1.5,
      spanGaps: false,
      points: { show: false, size: 5, width: 0, fill: series(line.look ?? i).color, filter: (u, k) => dots(u, k, last?.singles?.[k - 1] ?? Infinity) },
    }));
    const n = lines.length;
    const band = { stroke: 'transparent', points: { show: false }, spanGaps: false };
    return {
      width: Math.max(el.clientWidth, 40),
      height: height(),
      padding: small ? [2, 0, 2, 0] : [PAD, PAD, 0, 0],
      legend: { show: false },
      cursor: {
        sync: options.sync ? { key: options.sync, setSeries: false } : undefined,
        drag: { x: Boolean(options.onZoom), y: false, setScale: false },
        points: { size: 6 },
        y: false,
      },
      scales: {
        x: { time: true, range: (_, from, to) => (range ? [range.min, range.max] : [from, to]) },
        y: { range: options.range ?? ((_, min, max) => padded(min, max, options.limits?.() ?? [])) },
      },
      axes: [
        { ...axis, show: !small, size: 24, space: (u) => (isLong(u) ? 40 : 70), incrs: (u) => (isLong(u) ? MINUTES : SECONDS), values: times },
        { ...axis, show: !small, space: 44, size: (_, labels) => Math.max(52, 14 + 7 * Math.max(0, ...(labels ?? []).map((l) => l.length))), values: (_, ticks) => ticks.map((v) => String(+v.toPrecision(6))) },
      ],
      series: [{}, ...lines, ...(options.band ? lines.flatMap(() => [band, band]) : [])],
      bands: options.band ? options.lines.map((line, i) => ({ series: [n + 2 * i + 2, n + 2 * i + 1], fill: `${series(line.look ?? i).color}${n > 1 ? '18' : '22'}` })) : [],
      hooks: {
        draw: [drawMarks],
        setSelect: [
          (u) => {
            if (u.select.width < 4) return;
            options.onZoom?.(u.posToVal(u.select.left, 'x') * 1000, u.posToVal(u.select.left + u.select.width, 'x') * 1000);
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
        setCursor: [(u) => options.onCursor?.(u.cursor.idx ?? null)],
        ready: [(u) => u.over.addEventListener('dblclick', () => options.onReset?.())],
      },
    };
  }

  /** drawMarks draws limits across and alarms along the time axis. */
  function drawMarks(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    for (const limit of options.limits?.() ?? []) {
      const y = Math.round(u.valToPos(limit.value, 'y', true));
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.strokeStyle = limit.color;
      ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    for (const mark of options.marks?.() ?? []) {
      const x = Math.round(u.valToPos(mark.time / 1000, 'x', true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.fillStyle = mark.color;
      ctx.fillRect(x - devicePixelRatio, bbox.top, 2 * devicePixelRatio, bbox.height);
    }
    ctx.restore();
  }

  function data() {
    const out = [last.time.map((ms) => ms / 1000), ...last.lines];
    if (options.band) last.lines.forEach((line, i) => out.push(last.min?.[i] ?? line, last.max?.[i] ?? line));
    return out;
  }

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
    destroy() {
      watch.disconnect();
      plot?.destroy();
      plot = null;
    },
  };
}

/**
 * dots returns the points of a line to draw as dots: those that stand alone, as no line shows them,
 * and readings (from the time single on) if there is room.
 */
function dots(u, k, single) {
  const time = u.data[0];
  const line = u.data[k];
  const [first, last] = u.series[0].idxs ?? [0, -1];
  const alone = [];
  const readings = [];
  let before = null;
  for (let i = first; i <= last; i++) {
    const v = line[i];
    if (v === undefined) continue;
    if (v !== null) {
      if (before === null && (next(line, i) ?? null) === null) alone.push(i);
      if (time[i] * 1000 > single) readings.push(i);
    }
    before = v;
  }
  const room = u.bbox.width / devicePixelRatio / DOT;
  return readings.length > room ? alone : [...new Set([...alone, ...readings])].sort((a, b) => a - b);
}

/** next returns the value after index i that is the line's own. */
function next(line, i) {
  do i++;
  while (i < line.length && line[i] === undefined);
  return line[i];
}

/** padded leaves a tenth free above and below, and keeps a flat line in the middle. */
function padded(min, max, limits) {
  if (min === null || max === null || !Number.isFinite(min)) return [0, 1];
  const span = max - min;
  for (const { value } of limits) {
    // Only a near limit is in view: a far one would flatten the line.
    if (value > max && value - max < Math.max(span, Math.abs(max) * 0.1)) max = value;
    if (value < min && min - value < Math.max(span, Math.abs(min) * 0.1)) min = value;
  }
  const room = (max - min) * 0.1 || Math.max(Math.abs(max) * 0.02, 0.5);
  return [min - room, max + room];
}
