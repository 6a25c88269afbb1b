// One device: its data, current values, history and alarms.
import { createLine } from '../chart/line.js';
import { get } from '../core/api.js';
import { h, setClass, setText } from '../core/dom.js';
import { isOpen, sortAlarms } from '../model/alarms.js';
import { STATES } from '../model/fleet.js';
import { createCourse, PARAMETERS } from '../model/series.js';
import { badge, panel, UNITS } from '../parts/badge.js';
import { createGauge } from '../parts/gauge.js';
import { limitsOf, marksOf } from './trends.js';

const TRENDS = [...PARAMETERS, 'switch_status'];
const SPAN = 300_000;

export function createDevicePage(ctx, scope, route) {
  const { t } = ctx;
  const id = route.subject;
  const course = createCourse(id);
  const switches = { time: [], values: [] };
  let last = null; // {reading, received, backfill, gateway}
  let missing = false;

  const title = h('h1', { class: 'device-title' }, id);
  const facts = h('dl', { class: 'facts is-wide' });
  const age = h('span', { class: 'device-age num', 'data-age': true });
  const state = h('span', { class: 'device-state' });
  const gauges = Object.fromEntries(PARAMETERS.map((p) => [p, createGauge(t(`param.${p}`))]));
  const sw = h('div', { class: 'gauge is-switch' }, h('div', { class: 'gauge-switch' }), h('div', { class: 'gauge-label' }, t('param.switch_status')));
  const alarmList = h('ul', { class: 'attention-list' });
  const raw = h('pre', { class: 'raw', tabindex: '0' });
  const copy = h('button', { class: 'button is-small', onclick: () => navigator.clipboard?.writeText(raw.textContent).then(() => setText(copy, t('copied')), () => {}) }, t('copy'));
  const note = h('p', { class: 'panel-note', role: 'status' });
  const trends = h('div', { class: 'device-trends' });
  const charts = new Map();

  scope.subscribe(`device/${id}`, ({ kind, data }) => {
    if (kind === 'lagged') return;
    const d = kind === 'snapshot' ? data[0] : data;
    if (!d.reading) return;
    last = d;
    if (!d.backfill) {
      course.add(d.reading);
      if (d.reading.sensors.switch_status) {
        switches.time.push(d.reading.timestamp);
        switches.values.push(d.reading.sensors.switch_status.value ? 1 : 0);
        if (switches.time.length > 2000) for (const c of Object.values(switches)) c.splice(0, 1000);
      }
    }
    now();
  });

  function drawNow() {
    const d = ctx.fleet.byID.get(id);
    const r = last?.reading;
    setText(state, d ? t(`state.${STATES[d.state]}`) : missing ? t('device.missing') : '');
    setClass(state, 'is-bad', d && d.state === 2);
    setText(age, r ? t('age.ago', { age: ctx.age(r.timestamp) }) : '');
    for (const p of PARAMETERS) gauges[p].update(r?.sensors[p], ctx.fmt.value(r?.sensors[p], p), limitsOf(ctx, p, [id]));
    const s = r?.sensors.switch_status;
    setText(sw.firstChild, s ? t(s.value ? 'switch.on' : 'switch.off') : '–');
    setClass(sw.firstChild, 'is-on', s?.value === true);
    const stale = d ? d.state !== 1 : !r;
    for (const g of [...Object.values(gauges).map((x) => x.el), sw]) setClass(g, 'is-stale', stale);
    if (r) setText(raw, JSON.stringify(r, null, 2));
    const info = r?.device_info ?? {};
    const rows = [
      [t('fact.place'), d ? ctx.place(d) : '–'],
      [t('fact.gateway'), d?.gateway || last?.gateway || '–'],
      [t('fact.model'), d?.model || info.model || '–'],
      [t('fact.firmware'), info.firmware || '–'],
      [t('fact.battery'), info.battery === undefined ? '–' : ctx.fmt.value({ value: info.battery, unit: '%' }, 'battery')],
      [t('fact.signal'), info.signal_strength === undefined ? '–' : ctx.fmt.value({ value: info.signal_strength, unit: 'dBm' }, 'signal')],
    ];
    const alarm = ctx.alarms.ofDevice(id).reduce((newest, a) => Math.max(newest, a.raised_at || a.timestamp), 0);
    rows.push([t('fact.alarm'), alarm ? ctx.fmt.clock(alarm, ctx.plant.serverNow()) : '–']);
    const key = JSON.stringify(rows);
    if (facts.dataset.key !== key) {
      facts.dataset.key = key;
      facts.replaceChildren(...rows.flatMap(([k, v]) => [h('dt', {}, k), h('dd', { class: 'num' }, v)]));
    }
  }

  function drawAlarms() {
    const list = sortAlarms(ctx.alarms.ofDevice(id)).sort((a, b) => Number(isOpen(b)) - Number(isOpen(a))).slice(0, 20);
    alarmList.replaceChildren(...(list.length > 0 ? list.map((a) =>
      h('li', { class: `attention-row${isOpen(a) ? '' : ' is-normal'}` }, badge(a, t), h('a', { class: 'attention-what', href: ctx.alarmHref(a) }, ctx.what(a)), h('span', { class: 'attention-since num', title: ctx.fmt.utc(a.raised_at || a.timestamp) }, ctx.fmt.clock(a.raised_at || a.timestamp, ctx.plant.serverNow())))) : [h('li', { class: 'empty' }, t('device.alarms.none'))]));
  }

  function drawTrends() {
    const to = ctx.view.paused || ctx.plant.serverNow();
    const from = to - SPAN;
    for (const [p, chart] of charts) {
      const c = p === 'switch_status' ? switches : course.columns(p, from, to);
      chart.setRange(from, to);
      chart.setData({ time: c.time, lines: [c.values] });
    }
  }

  function build() {
    for (const p of TRENDS) {
      const box = h('div', { class: 'chart' });
      trends.append(h('section', { class: 'panel trend is-compact', 'aria-label': t(`param.${p}`) }, h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, t(`param.${p}`)), h('span', { class: 'panel-note' }, UNITS[p] ?? '')), box));
      queueMicrotask(() => {
        if (scope.isOver()) return;
        charts.set(p, createLine(box, { lines: [{ label: t(`param.${p}`) }], height: 120, sync: 'device', range: p === 'switch_status' ? [-0.2, 1.2] : undefined, limits: () => limitsOf(ctx, p, [id]), marks: () => marksOf(ctx, p, [id]) }));
        drawTrends();
      });
    }
  }

  build();
  const now = scope.draw(drawNow, ['fleet', 'tick']);
  scope.draw(drawAlarms, ['alarms', 'slow']);
  scope.draw(drawTrends, ['second']);
  scope.every(30_000, async () => {
    const to = Math.round(ctx.plant.serverNow());
    try {
      await course.load(to - SPAN, to);
      setText(note, course.begins() > to - SPAN + 15_000 ? t('series.begins', { time: ctx.fmt.clock(course.begins(), to) }) : '');
    } catch (e) {
      setText(note, e.status === 404 ? t('device.missing') : t('load.failed', { why: e.message }));
    }
    if (!ctx.fleet.byID.has(id)) missing = await get(`/api/v1/devices/${encodeURIComponent(id)}`).then(() => false, (e) => e.status === 404);
    now(true);
  });
  scope.onEnd(() => {
    for (const c of charts.values()) c.destroy();
  });

  const gaugePanel = panel('gauges', t('device.now'), h('div', { class: 'gauge-row' }, PARAMETERS.map((p) => gauges[p].el), sw));
  const rawPanel = panel('raw-panel', t('device.raw'), raw);
  rawPanel.head.append(h('span', { class: 'panel-space' }), copy);
  return h('div', { class: 'device-page' },
    h('section', { class: 'panel device-head' }, h('div', { class: 'device-line' }, h('a', { class: 'button is-small', href: '#/devices' }, `‹ ${t('nav.devices')}`), title, state, age, h('span', { class: 'panel-space' }), h('a', { class: 'button is-small', href: `#/trends?devices=${encodeURIComponent(id)}` }, t('device.compare'))), facts, note),
    gaugePanel.el, trends, panel('device-alarms', t('device.alarms'), alarmList).el, rawPanel.el);
}
