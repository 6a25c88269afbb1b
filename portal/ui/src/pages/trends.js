// Several devices side by side: one chart for each sensor, one cursor through all of them.
import { css } from '../chart/palette.js';
import { createLine } from '../chart/line.js';
import { h, setText } from '../core/dom.js';
import { align, begins, createCourse, RANGES, reloadEvery, whyNot } from '../model/series.js';
import { series } from '../chart/palette.js';

const MOST = 8;
const FIRST = 2; // sensors shown when none was chosen
const RELOAD = 15_000;
const DOTS = 150; // as many single readings are shown as dots

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
  let loaded = 0; // when the past was asked for
  let trouble = ''; // why there is none

  const chips = h('div', { class: 'trend-chips' });
  const names = h('datalist', { id: 'trend-devices' });
  const add = h('input', { class: 'control is-small', list: 'trend-devices', placeholder: t('trends.add'), 'aria-label': t('trends.add'), oninput: () => suggest(), onchange: () => addDevice(add.value.trim()) });
  const note = h('p', { class: 'panel-note', role: 'status' });
  const stack = h('div', { class: 'trend-stack' });
  const ranges = h('span', { class: 'group', role: 'group', 'aria-label': t('range') }, Object.keys(RANGES).map((r) => h('button', { class: 'button is-small', 'data-range': r, onclick: () => setRange(r) }, r)));
  const moment = (name) => h('input', { class: 'control is-small', type: 'datetime-local', step: '1', 'aria-label': t(`trends.${name}`), title: t(`trends.${name}`), 'data-moment': name, onchange: setMoments });
  const first = moment('from');
  const last = moment('to');
  const sensors = h('span', { class: 'group', role: 'group', 'aria-label': t('sensor') });
  const pause = h('button', { class: 'button is-small', onclick: ctx.togglePause });
  const csv = h('button', { class: 'button is-small', onclick: saveCSV }, t('export.csv'));
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

  function setRange(r) {
    Object.assign(state, { range: r, from: 0, to: 0 });
    changed();
  }

  /** setMoments takes over the two times once both are there, the first before the last. */
  function setMoments() {
    const from = new Date(first.value).getTime();
    const to = new Date(last.value).getTime();
    if (from < to) zoom(from, to);
  }

  function showMoments() {
    const local = (ms) => (ms ? new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19) : '');
    if (document.activeElement !== first) first.value = local(state.from);
    if (document.activeElement !== last) last.value = local(state.to);
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
    const key = names.join();
    if (sensors.dataset.key !== key) {
      sensors.dataset.key = key;
      sensors.replaceChildren(...names.map((s) => h('button', { class: 'button is-small', 'data-sensor': s, onclick: () => toggleSensor(s) }, ctx.sensorName(s))));
    }
    for (const b of sensors.children) b.setAttribute('aria-pressed', String(state.sensors.includes(b.dataset.sensor)));
  }

  function zoom(from, to) {
    Object.assign(state, { from: Math.round(from), to: Math.round(to) });
    changed();
  }

  function changed() {
    ctx.setParams({ devices: state.devices.join(), sensors: state.sensors.join(), range: state.range, from: state.from || '', to: state.to || '' });
    build();
    load();
  }

  const window = () => {
    if (state.from && state.to) return [state.from, state.to];
    const to = ctx.view.paused || ctx.plant.serverNow();
    return [to - RANGES[state.range], to];
  };

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
    for (const b of ranges.children) b.setAttribute('aria-pressed', String(!state.from && b.dataset.range === state.range));
    showMoments();
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
      if (d?.reading && !d.backfill) course.add(d);
    });
    courses.set(id, { course, end });
  }

  function chartOf(sensor) {
    const legend = h('div', { class: 'trend-legend num', 'data-legend': sensor });
    const box = h('div', { class: 'chart' });
    const name = ctx.sensorName(sensor);
    const el = h('section', { class: 'panel trend', 'aria-label': name }, h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, name), h('span', { class: 'panel-note' }, ctx.sensors.get(sensor).unit), legend), box);
    queueMicrotask(() => {
      if (scope.isOver() || !el.isConnected) return;
      const single = state.devices.length === 1;
      const chart = createLine(box, {
        lines: state.devices.map((label) => ({ label })),
        sync: 'trends',
        band: single,
        dots: () => single && courses.get(state.devices[0])?.course.single() && charts.get(sensor)?.data?.time.length <= DOTS,
        limits: () => limitsOf(ctx, sensor, state.devices),
        marks: () => marksOf(ctx, sensor, state.devices),
        onZoom: zoom,
        onReset: () => setRange(state.range),
        onCursor: (i) => {
          cursor = i;
          for (const [name, c] of charts) showLegend(name, c);
        },
      });
      charts.set(sensor, { chart, legend, data: null });
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
      return h('span', { class: 'legend-item', 'data-device': id, 'data-value': v === null ? '' : String(v) }, mark, ctx.quantity(sensor, v));
    });
    c.legend.replaceChildren(h('span', { class: 'panel-note' }, at ? ctx.fmt.clock(at, ctx.plant.serverNow()) : ''), ...items);
  }

  function draw() {
    setText(pause, t(ctx.view.paused ? 'trends.live' : 'trends.pause'));
    offer();
    const [from, to] = window();
    for (const [sensor, c] of charts) {
      const columns = state.devices.map((id) => courses.get(id).course.columns(sensor, from, to));
      c.data = align(columns);
      if (columns.length === 1) Object.assign(c.data, { min: columns[0].min, max: columns[0].max });
      c.chart.setRange(from, to);
      c.chart.setData(c.data);
      showLegend(sensor, c);
    }
    if (state.devices.length > 0) setText(note, trouble || begins(ctx, Math.max(0, ...[...courses.values()].map((c) => c.course.begins())), from, to));
  }

  async function load() {
    const [from, to] = window();
    const results = await Promise.allSettled([...courses.values()].map((c) => c.course.load(Math.round(from), Math.round(to), state.sensors)));
    if (scope.isOver()) return;
    loaded = Date.now();
    const failed = results.find((r) => r.status === 'rejected');
    trouble = failed ? whyNot(t, failed.reason) : '';
    draw();
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
  scope.draw(draw, ['view']);
  ctx.debug.trends = charts;
  build();
  load();
  scope.every(RELOAD, async () => {
    if (!ctx.view.paused && !state.from && Date.now() - loaded >= Math.max(RELOAD, reloadEvery(RANGES[state.range])) - 1000) await load();
  });
  scope.onEnd(() => {
    for (const c of charts.values()) c.chart.destroy();
  });
  return h('div', { class: 'trends-page' }, h('section', { class: 'panel trend-tools' },
    h('header', { class: 'panel-head' }, h('h1', { class: 'panel-title' }, t('trends.title')), chips, add, names, h('span', { class: 'panel-space' }), sensors, ranges, first, last, pause, csv, png), note), stack);
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
