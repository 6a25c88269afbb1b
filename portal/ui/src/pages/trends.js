// Several devices side by side: one chart for each sensor, one cursor through all of them.
import { css, series } from '../chart/palette.js';
import { createLine } from '../chart/line.js';
import { query } from '../core/api.js';
import { h, setAttr, setText } from '../core/dom.js';
import { align, createCourse, RANGES } from '../model/series.js';
import { createRange, historyNote } from '../parts/range.js';

const MOST = 8;
const FIRST = 2; // sensors shown when none was chosen
const RELOAD = 15_000;

export function createTrends(ctx, scope, route) {
  const { t } = ctx;
  const p = route.params;
  const state = {
    devices: (p.devices ?? '').split(',').filter(Boolean).slice(0, MOST),
    sensors: (p.sensors ?? '').split(',').filter(Boolean),
    range: RANGES[p.range] ? p.range : '5m',
    from: Number(p.from) || 0,
    to: Number(p.to) || 0,
  };
  const courses = new Map(); // id → {course, end}
  const charts = new Map(); // sensor → {chart, legend, at}
  let cursor = null;

  const chips = h('div', { class: 'trend-chips' });
  const names = h('datalist', { id: 'trend-devices' });
  const add = h('input', { class: 'control is-small', list: 'trend-devices', placeholder: t('trends.add'), 'aria-label': t('trends.add'), oninput: () => suggest(), onchange: () => addDevice(add.value.trim()) });
  const note = h('p', { class: 'panel-note', role: 'status' });
  const stack = h('div', { class: 'trend-stack' });
  const range = createRange(ctx, state, () => changed());
  const sensors = h('span', { class: 'group', role: 'group', 'aria-label': t('sensor') });
  const pause = h('button', { class: 'button is-small', onclick: ctx.togglePause });
  const csv = h('button', { class: 'button is-small', onclick: saveCSV }, t('export.csv'));
  const raw = h('button', { class: 'button is-small', 'data-raw': true, onclick: saveReadings }, t('export.raw'));
  const png = h('button', { class: 'button is-small', onclick: savePNG }, t('export.png'));

  function suggest() {
    const q = add.value.toLowerCase();
    names.replaceChildren(...ctx.fleet.sorted().filter((d) => d.id.toLowerCase().includes(q) || d.name.toLowerCase().includes(q)).slice(0, 20).map((d) => h('option', { value: d.id, label: d.name || null })));
  }

  function addDevice(id) {
    add.value = '';
    if (!id || state.devices.includes(id)) return;
    if (ctx.fleet.size() > 0 && !ctx.fleet.byID.has(id)) {
      setText(note, t('trends.unknown', { id }));
      return;
    }
    if (state.devices.length >= MOST) {
      setText(note, t('trends.most', { n: MOST }));
      return;
    }
    state.devices.push(id);
    changed();
  }

  function toggleSensor(s) {
    state.sensors = state.sensors.includes(s) ? state.sensors.filter((x) => x !== s) : ctx.sensors.order([...state.sensors, s]);
    if (state.sensors.length === 0) state.sensors = [s];
    changed();
  }

  /** offer shows a button for each sensor that the devices have. */
  function offer() {
    const names = ctx.sensors.order(new Set([...state.sensors, ...[...courses.values()].flatMap((c) => c.course.sensors())]));
    if (state.sensors.length === 0 && names.length > 0) {
      state.sensors = names.slice(0, FIRST);
      build();
      return;
    }
    const key = names.map(ctx.sensorName).join();
    if (sensors.dataset.key !== key) {
      sensors.dataset.key = key;
      sensors.replaceChildren(...names.map((s) => h('button', { class: 'button is-small', 'data-sensor': s, onclick: () => toggleSensor(s) }, ctx.sensorName(s))));
    }
    for (const b of sensors.children) b.setAttribute('aria-pressed', String(state.sensors.includes(b.dataset.sensor)));
  }

  function changed() {
    ctx.setParams({ devices: state.devices.join(), sensors: state.sensors.join(), range: state.range, from: state.from || '', to: state.to || '' });
    build();
    load();
  }

  function build() {
    setText(note, state.devices.length === 0 ? t('trends.none') : '');
    chips.replaceChildren(...state.devices.map((id, i) => {
      const mark = h('span', { class: 'swatch', 'aria-hidden': 'true' });
      mark.style.background = series(i).color;
      return h('span', { class: 'trend-chip' }, mark, h('a', { href: ctx.deviceHref(id), title: id }, ctx.deviceName(id)), h('button', { class: 'link', 'aria-label': t('trends.remove', { id }), onclick: () => {
        state.devices = state.devices.filter((d) => d !== id);
        changed();
      } }, '✕'));
    }));
    offer();
    for (const [id, c] of courses) {
      if (state.devices.includes(id)) continue;
      c.end();
      courses.delete(id);
    }
    for (const id of state.devices) if (!courses.has(id)) follow(id);
    for (const c of charts.values()) c.chart.destroy();
    charts.clear();
    stack.replaceChildren(...(state.devices.length > 0 ? state.sensors.map(chartOf) : []));
    draw();
  }

  function follow(id) {
    const course = createCourse(id);
    const end = scope.subscribe(`device/${id}`, ({ kind, data }) => {
      const d = kind === 'snapshot' ? data[0] : data;
      if (d?.backfill) course.missed();
      else if (d?.reading) course.add(d);
    });
    courses.set(id, { course, end });
  }

  function chartOf(sensor) {
    const legend = h('div', { class: 'trend-legend num', 'data-legend': sensor });
    const box = h('div', { class: 'chart' });
    const title = h('h2', { class: 'panel-title' });
    const unit = h('span', { class: 'panel-note' });
    const el = h('section', { class: 'panel trend' }, h('header', { class: 'panel-head' }, title, unit, legend), box);
    const name = () => { // the catalogue may come later than the chart
      setText(title, ctx.sensorName(sensor));
      setText(unit, ctx.sensors.get(sensor).unit);
      setAttr(el, 'aria-label', ctx.sensorName(sensor));
    };
    name();
    queueMicrotask(() => {
      if (scope.isOver() || !el.isConnected) return;
      const chart = createLine(box, {
        lines: state.devices.map((label) => ({ label })),
        sync: 'trends',
        band: true,
        limits: () => limitsOf(ctx, sensor, state.devices),
        marks: () => marksOf(ctx, sensor, state.devices),
        onZoom: range.zoom,
        onReset: range.reset,
        onCursor: (i) => {
          cursor = i;
          for (const [name, c] of charts) showLegend(name, c);
        },
      });
      charts.set(sensor, { chart, legend, name, data: null });
      draw();
    });
    return el;
  }

  function showLegend(sensor, c) {
    if (!c.data) return;
    const i = cursor ?? c.data.time.length - 1;
    const at = c.data.time[i];
    const items = state.devices.map((id, k) => {
      const v = valueAt(c.data.lines[k], i);
      const mark = h('span', { class: 'swatch', 'aria-hidden': 'true' });
      mark.style.background = series(k).color;
      return h('span', { class: 'legend-item', 'data-device': id, 'data-value': v === null ? '' : String(v) }, mark, ctx.quantity(sensor, v), span(sensor, c.data, k, i));
    });
    c.legend.replaceChildren(h('span', { class: 'panel-note' }, at ? ctx.fmt.clock(at, ctx.plant.serverNow()) : ''), ...items);
  }

  /** span shows between what the readings of a step lie. */
  function span(sensor, data, k, i) {
    const [low, high] = [valueAt(data.min[k], i), valueAt(data.max[k], i)];
    const text = (v) => ctx.fmt.value({ value: v }, ctx.sensors.get(sensor).decimals);
    return low !== high ? h('span', { class: 'panel-note' }, `(${text(low)}–${text(high)})`) : null;
  }

  function draw() {
    setText(pause, t(ctx.view.paused ? 'trends.live' : 'trends.pause'));
    offer();
    const [from, to] = range.window();
    for (const [sensor, c] of charts) {
      const columns = state.devices.map((id) => courses.get(id).course.columns(sensor, from, to));
      c.data = align(columns);
      c.name();
      c.chart.setRange(from, to);
      c.chart.setData(c.data);
      showLegend(sensor, c);
    }
    if (state.devices.length === 0) return;
    const { text, limit } = historyNote(ctx, [...courses.values()].map((c) => c.course), from);
    setText(note, text);
    range.limit(limit);
    raw.disabled = limit !== '';
  }

  async function load() {
    const [from, to] = range.window();
    await Promise.allSettled([...courses.values()].map((c) => c.course.load(Math.round(from), Math.round(to), state.sensors)));
    if (!scope.isOver()) draw();
  }

  function table() {
    return state.sensors.flatMap((sensor) => {
      const d = charts.get(sensor)?.data;
      return d ? d.time.flatMap((ms, i) => state.devices.map((id, k) => ({ time: new Date(ms).toISOString(), device_id: id, parameter: sensor, value: d.lines[k][i] })).filter((r) => r.value !== undefined && r.value !== null)) : [];
    });
  }

  function saveCSV() {
    ctx.saveCSV('trends', ['time', 'device_id', 'parameter', 'value'].map((k) => [k, (r) => r[k]]), table());
  }

  /** saveReadings downloads all readings of the range, a file for each device. */
  function saveReadings() {
    const [from, to] = range.window().map(Math.round);
    for (const id of state.devices) {
      const path = `/api/v1/devices/${encodeURIComponent(id)}/readings.csv${query({ parameters: state.sensors.join(), from, to })}`;
      h('a', { href: path, download: `${id}.csv` }).click();
    }
  }

  function savePNG() {
    const canvases = [...stack.querySelectorAll('canvas')];
    if (canvases.length === 0) return;
    const out = document.createElement('canvas');
    out.width = Math.max(...canvases.map((c) => c.width));
    out.height = canvases.reduce((n, c) => n + c.height, 0);
    const g = out.getContext('2d');
    g.fillStyle = css('--panel');
    g.fillRect(0, 0, out.width, out.height);
    let y = 0;
    for (const c of canvases) {
      g.drawImage(c, 0, y);
      y += c.height;
    }
    out.toBlob((blob) => ctx.save('trends.png', blob));
  }

  scope.draw(() => {
    if (!ctx.view.paused && !state.from) draw();
  }, ['second']);
  scope.draw(draw, ['view', 'sensors']);
  ctx.debug.trends = charts;
  build();
  load();
  scope.every(RELOAD, async () => {
    if (!ctx.view.paused && [...courses.values()].some((c) => c.course.isDue())) await load();
  });
  scope.onEnd(() => {
    for (const c of charts.values()) c.chart.destroy();
  });
  return h('div', { class: 'trends-page' }, h('section', { class: 'panel trend-tools' },
    h('header', { class: 'panel-head' }, h('h1', { class: 'panel-title' }, t('trends.title')), chips, add, names, h('span', { class: 'panel-space' }), sensors, range.el, pause, csv, raw, png), note), stack);
}

/** valueAt returns the value at an index or the last one before it, unless there is a gap. */
function valueAt(line, i) {
  for (let k = i; k >= 0; k--) {
    if (line[k] === undefined) continue;
    return line[k];
  }
  return null;
}

/** limitsOf returns a sensor's thresholds, of the rules and from the alarms of these devices. */
export function limitsOf(ctx, sensor, devices) {
  const seen = new Map(ctx.sensors.get(sensor).limits.map((l) => [l.value, { value: l.value, color: css(`--${l.severity}-text`) }]));
  for (const a of ctx.alarms.all.values()) {
    if (a.threshold?.parameter === sensor && devices.includes(a.device_id)) seen.set(a.threshold.value, { value: a.threshold.value, color: css(`--${a.severity}-text`) });
  }
  return [...seen.values()];
}

/** marksOf returns when alarms of these devices were raised. */
export function marksOf(ctx, sensor, devices) {
  return ctx.alarms
    .list((a) => a.threshold?.parameter === sensor && devices.includes(a.device_id))
    .map((a) => ({ time: a.raised_at || a.timestamp, color: css(`--${a.severity}-text`) }));
}
