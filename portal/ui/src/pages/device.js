// One device: its data, current values, history and alarms.
import { createLine } from '../chart/line.js';
import { css } from '../chart/palette.js';
import { get, query } from '../core/api.js';
import { glyph, h, setAttr, setClass, setText } from '../core/dom.js';
import { remembered } from '../core/remembered.js';
import { isOpen, sortAlarms } from '../model/alarms.js';
import { STATES } from '../model/fleet.js';
import { bandAt, HELD } from '../model/anomaly.js';
import { conditionsOf, limitsOf, rulesOf } from '../model/rules.js';
import { UNIT_UNKNOWN } from '../model/sensors.js';
import { createCourse, RANGES } from '../model/series.js';
import { badge, panel } from '../parts/badge.js';
import { endMaintenance, maintainDevice, removeDevice, renameDevice } from '../parts/device-dialogs.js';
import { createDeviceAbout } from '../parts/device-about.js';
import { createDeviceNotes } from '../parts/device-notes.js';
import { createGauge } from '../parts/gauge.js';
import { marksOf } from '../parts/guides.js';
import { createRange, historyNote } from '../parts/range.js';
import { ruleDelays, ruleHref, ruleText } from '../parts/rules.js';

const RELOAD = 15_000;
/** Clocks that differ by less are right. */
const CLOCK = 1000;

export function createDevicePage(ctx, scope, route) {
  const { t } = ctx;
  const id = route.subject;
  const course = createCourse(id);
  const about = { name: '', description: '', tags: [], interval: 0, maintenance: null }; // what snapshots say
  let last = null; // the newest frame
  let missing = false;

  const title = h('h1', { class: 'device-title' }, id);
  const subtitle = h('span', { class: 'device-id' });
  const facts = h('dl', { class: 'facts is-wide' });
  const age = h('span', { class: 'device-age num', 'data-age': true });
  const state = h('span', { class: 'device-state' });
  const warning = h('p', { class: 'device-warning', role: 'status', hidden: true });
  const maintenance = h('p', { class: 'device-maintenance', role: 'status', 'data-maintenance': true, hidden: true });
  const description = h('p', { class: 'panel-note' });
  const tags = h('span', { class: 'device-tags' });
  const gaugeRow = h('div', { class: 'gauge-row' });
  const gauges = new Map(); // sensor → {el, update(sensor)}
  const ruleList = h('ul', { class: 'rule-list' });
  let rules = null; // that apply here; null: not known yet
  let rulesFailed = '';
  const alarmList = h('ul', { class: 'attention-list' });
  const raw = h('pre', { class: 'raw', tabindex: '0' });
  const copy = h('button', { class: 'button is-small', onclick: () => navigator.clipboard?.writeText(raw.textContent).then(() => setText(copy, t('copied')), () => {}) }, t('copy'));
  const note = h('p', { class: 'panel-note', role: 'status' });
  const chosen = { range: RANGES[route.params.range] ? route.params.range : '5m', from: Number(route.params.from) || 0, to: Number(route.params.to) || 0 };
  const range = createRange(ctx, chosen, () => {
    ctx.setParams({ range: chosen.range, from: chosen.from || '', to: chosen.to || '' });
    load();
  });
  const trends = h('div', { class: 'device-trends' });
  const usual = { shown: remembered.get('usual') !== 'off', answer: null, asked: 0, at: 0 }; // the usual range of the sensors
  const toggle = h('button', { class: 'button is-small', 'data-usual': true, hidden: true, 'aria-pressed': String(usual.shown), onclick: () => {
    usual.shown = !usual.shown;
    remembered.set('usual', usual.shown ? 'on' : 'off');
    setAttr(toggle, 'aria-pressed', String(usual.shown));
    drawTrends();
    if (usual.shown) loadUsual(...range.window().map(Math.round));
  } }, t('anomaly.range'));
  const charts = new Map();

  scope.subscribe(`device/${id}`, ({ kind, data }) => {
    if (kind === 'lagged') return;
    const d = kind === 'snapshot' ? data[0] : data;
    if (kind === 'snapshot') Object.assign(about, { name: d.name ?? '', description: d.description ?? '', tags: d.tags ?? [], interval: d.interval_ms ?? 0, maintenance: d.maintenance ?? null });
    if (d.reading) {
      last = d;
      if (d.backfill) course.missed();
      else course.add(d);
    }
    now();
  });

  /** arrange makes a gauge or a tile for each sensor of the reading, and keeps those there are. */
  function arrange(sensors) {
    const names = ctx.sensors.order(Object.keys(sensors));
    const key = names.map((n) => `${n}:${typeof sensors[n].value}`).join();
    if (gaugeRow.dataset.key === key) return;
    gaugeRow.dataset.key = key;
    gauges.clear();
    for (const n of names) gauges.set(n, typeof sensors[n].value === 'number' ? gaugeOf(n) : tileOf(n));
    gaugeRow.replaceChildren(...[...gauges.values()].map((g) => g.el));
  }

  function gaugeOf(name) {
    const gauge = createGauge(ctx.sensorName(name), (d) => t(d > 0 ? 'rules.next.to' : 'rules.next.beyond', { n: ctx.quantity(name, Math.abs(d)) }));
    gauge.el.dataset.sensor = name;
    const mark = h('div', { class: 'gauge-mark' }, t('sensor.unit_unknown'));
    gauge.el.append(mark);
    return {
      el: gauge.el,
      update(s) {
        gauge.update(s, ctx.sensorText(name, s), limitsOf(rules ?? [], name), ctx.sensors.get(name));
        mark.hidden = s.status !== UNIT_UNKNOWN;
      },
    };
  }

  /** tileOf shows a switch or a text. */
  function tileOf(name) {
    const value = h('div', { class: 'gauge-switch' });
    return {
      el: h('div', { class: 'gauge is-switch', 'data-sensor': name }, value, h('div', { class: 'gauge-label' }, ctx.sensorName(name))),
      update(s) {
        setText(value, ctx.sensorText(name, s));
        setClass(value, 'is-on', s.value === true);
      },
    };
  }

  function drawNow() {
    const d = ctx.fleet.byID.get(id);
    const r = last?.reading;
    const name = d?.name ?? about.name;
    setText(title, name || id);
    setText(subtitle, name ? id : '');
    setText(description, about.description);
    const labels = d?.tags ?? about.tags;
    if (tags.dataset.key !== labels.join()) {
      tags.dataset.key = labels.join();
      tags.replaceChildren(...labels.map((x) => h('a', { class: 'filter-chip', href: `#/devices?tag=${encodeURIComponent(x)}` }, x)));
    }
    setText(state, d ? t(`state.${STATES[d.state]}`) : missing ? t('device.missing') : '');
    setClass(state, 'is-bad', d && d.state === 2);
    setText(age, r ? ctx.freshness(last.time) : '');
    drawWarning();
    drawMaintenance();
    if (!r) return;
    arrange(r.sensors);
    const stale = d ? d.state !== 1 : false;
    for (const [n, g] of gauges) {
      g.update(r.sensors[n]);
      setClass(g.el, 'is-stale', stale);
    }
    setText(raw, JSON.stringify(r, null, 2));
    drawFacts(d, r.device_info ?? {});
  }

  /** drawWarning shows a wrong clock and ignored fields. */
  function drawWarning() {
    const offset = last?.clock_offset_ms ?? 0;
    const lines = [];
    if (Math.abs(offset) >= CLOCK) lines.push(t(offset > 0 ? 'device.clock.ahead' : 'device.clock.behind', { age: ctx.fmt.age(Math.abs(offset), t) }));
    if (last?.flaws?.length > 0) lines.push(t('device.flaws', { fields: last.flaws.join(', ') }));
    setText(warning, lines.join(' '));
    warning.hidden = lines.length === 0;
  }

  function drawMaintenance() {
    const m = about.maintenance;
    maintenance.hidden = endIt.hidden = !m;
    maintain.hidden = Boolean(m);
    if (m) setText(maintenance, `◷ ${t('device.maintain.note', { ...m, time: ctx.fmt.moment(m.until, ctx.plant.serverNow(), ctx.lang()) })}`);
  }

  function drawFacts(d, info) {
    const alarm = ctx.alarms.ofDevice(id).reduce((newest, a) => Math.max(newest, a.raised_at || a.timestamp), 0);
    const own = (name) => (typeof info[name] === 'number' ? ctx.quantity(name, info[name]) : '–');
    const text = (value) => (typeof value === 'string' && value ? value : '–');
    const rows = [
      [t('fact.place'), d ? ctx.place(d) : '–'],
      [t('fact.gateway'), d?.gateway || last?.gateway || '–'],
      [t('fact.model'), d?.model || text(info.model)],
      [t('fact.firmware'), text(info.firmware)],
      [t('fact.interval'), about.interval > 0 ? ctx.fmt.age(about.interval, t) : '–'],
      [t('fact.battery'), own('battery')],
      [t('fact.signal'), own('signal_strength')],
      [t('fact.alarm'), alarm ? ctx.fmt.clock(alarm, ctx.plant.serverNow()) : '–'],
    ];
    const key = JSON.stringify(rows);
    if (facts.dataset.key === key) return;
    facts.dataset.key = key;
    facts.replaceChildren(...rows.flatMap(([k, v]) => [h('dt', {}, k), h('dd', { class: 'num' }, k === t('fact.place') && d ? ctx.placeLink(d) : v)]));
  }

  function drawAlarms() {
    const list = sortAlarms(ctx.alarms.ofDevice(id)).sort((a, b) => Number(isOpen(b)) - Number(isOpen(a))).slice(0, 20);
    alarmList.replaceChildren(...(list.length > 0 ? list.map((a) =>
      h('li', { class: `attention-row${isOpen(a) ? '' : ' is-normal'}` }, badge(a, t), h('a', { class: 'attention-what', href: ctx.alarmHref(a) }, ctx.what(a)), h('span', { class: 'attention-since num', title: ctx.fmt.utc(a.raised_at || a.timestamp) }, ctx.fmt.clock(a.raised_at || a.timestamp, ctx.plant.serverNow())))) : [h('li', { class: 'empty' }, t('device.alarms.none'))]));
  }

  /** drawRules lists the rules for what the device measures; before it sent anything all of them. */
  function drawRules() {
    const names = last ? new Set([...Object.keys(last.reading.sensors), ...Object.keys(last.reading.device_info ?? {})]) : null;
    const here = (rules ?? []).filter((r) => r.kind === 'offline' || !names || conditionsOf(r).some((c) => names.has(c.parameter)));
    const key = JSON.stringify([here, rulesFailed, rules === null]);
    if (ruleList.dataset.key === key) return;
    ruleList.dataset.key = key;
    const empty = rulesFailed ? t('rules.failed', { why: rulesFailed }) : rules ? t('device.rules.none') : '…';
    ruleList.replaceChildren(...(here.length > 0 ? here.map((r) => h('li', { class: 'rule-row', 'data-rule': r.id }, glyph(r.severity), h('a', { href: ruleHref(r.id) }, ruleText(r, ctx)), h('span', { class: 'sub num' }, [ruleDelays(r, ctx), r.version ? t('rules.version', { version: r.version.slice(0, 6) }) : ''].filter(Boolean).join(' · ')))) : [h('li', { class: 'empty' }, empty)]));
  }

  async function loadRules() {
    try {
      rules = (await rulesOf(id)).rules;
      rulesFailed = '';
    } catch (e) {
      rulesFailed = e.message;
    }
    if (scope.isOver()) return;
    drawRules();
    drawTrends();
    now(true);
  }

  function drawTrends() {
    const [from, to] = range.window();
    const { text, limit, begins } = historyNote(ctx, [course], from);
    setText(note, text);
    range.limit(limit, begins);
    for (const name of ctx.sensors.order(course.sensors())) if (!charts.has(name)) addTrend(name);
    for (const [name, chart] of charts) {
      if (!chart) continue; // not laid out yet
      const c = course.columns(name, from, to);
      chart.setRange(from, to);
      const band = usual.shown && usual.answer?.sensors.find((s) => s.parameter === name);
      chart.setData({ time: c.time, lines: [c.values], min: [c.min], max: [c.max], singles: [c.single], expected: band ? [bandAt(band, c.time)] : [] });
    }
  }

  function addTrend(name) {
    charts.set(name, null);
    const box = h('div', { class: 'chart' });
    const label = ctx.sensorName(name);
    const isSwitch = ctx.sensors.get(name).value === 'boolean' || typeof last?.reading?.sensors[name]?.value === 'boolean';
    trends.append(h('section', { class: 'panel trend is-compact', 'aria-label': label, 'data-sensor': name }, h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, label), h('span', { class: 'panel-note' }, ctx.sensors.get(name).unit)), box));
    queueMicrotask(() => {
      if (scope.isOver()) return;
      charts.set(name, createLine(box, { lines: [{ label }], height: 120, sync: 'device', band: true, onZoom: range.zoom, onReset: range.reset, range: isSwitch ? [-0.2, 1.2] : undefined, limits: () => limitsOf(rules ?? [], name).map((l) => ({ ...l, color: css(`--${l.severity}-text`) })), marks: () => marksOf(ctx, name, [id]) }));
      drawTrends();
    });
  }

  const maintain = h('button', { class: 'button is-small', 'data-maintain': true, 'data-needs': 'device_command', onclick: () => maintainDevice(ctx, id) }, t('device.maintain'));
  const endIt = h('button', { class: 'button is-small', 'data-maintain-end': true, 'data-needs': 'device_command', hidden: true, onclick: () => endMaintenance(ctx, id) }, t('device.maintain.end'));
  const now = scope.draw(drawNow, ['fleet', 'tick', 'sensors']);
  scope.draw(drawAlarms, ['alarms', 'slow']);
  scope.draw(drawRules, ['slow', 'sensors']);
  scope.draw(drawTrends, ['second']);
  /** load asks for the course; the note says if there is no answer. */
  async function load() {
    const [from, to] = range.window();
    await course.load(Math.round(from), Math.round(to)).catch(() => {});
    if (scope.isOver()) return;
    drawTrends();
    loadUsual(Math.round(from), Math.round(to));
  }

  /** loadUsual asks for the usual range; without an answer the trend is as ever. */
  async function loadUsual(from, to) {
    const mine = ++usual.asked;
    usual.at = Date.now();
    const answer = usual.shown ? await get(`/api/v1/devices/${encodeURIComponent(id)}/anomalies${query({ from, to, points: 600 })}`, { within: 12_000 }).catch(() => null) : null;
    if (mine !== usual.asked || scope.isOver()) return;
    usual.answer = answer;
    toggle.hidden = usual.shown && !answer;
    if (answer) drawTrends();
  }

  scope.draw(drawTrends, ['view']);
  load();
  scope.every(RELOAD, loadRules);
  scope.every(RELOAD, async () => {
    if (!ctx.view.paused && course.isDue()) await load();
    else if (!ctx.view.paused && usual.shown && Date.now() - usual.at > HELD) loadUsual(...range.window().map(Math.round));
    if (!ctx.fleet.byID.has(id)) missing = await get(`/api/v1/devices/${encodeURIComponent(id)}`).then(() => false, (e) => e.status === 404);
    now(true);
  });
  scope.onEnd(() => {
    for (const c of charts.values()) c?.destroy();
  });

  const rename = h('button', { class: 'button is-small', 'data-rename': true, 'data-needs': 'device_command', onclick: () => renameDevice(ctx, id, { ...about, ...ctx.fleet.byID.get(id) }) }, t('device.rename'));
  const remove = h('button', { class: 'button is-small', 'data-remove': true, 'data-needs': 'device_command', onclick: () => removeDevice(ctx, id, () => ctx.go('devices')) }, t('device.remove'));
  const gaugePanel = panel('gauges', t('device.now'), gaugeRow);
  const rawPanel = panel('raw-panel', t('device.raw'), raw);
  rawPanel.head.append(h('span', { class: 'panel-space' }), copy);
  return h('div', { class: 'device-page' },
    h('section', { class: 'panel device-head' },
      h('div', { class: 'device-line' }, h('a', { class: 'button is-small', href: '#/devices' }, `‹ ${t('nav.devices')}`), title, subtitle, tags, state, age, h('span', { class: 'panel-space' }), maintain, endIt, rename, remove, h('a', { class: 'button is-small', href: `#/trends?devices=${encodeURIComponent(id)}` }, t('device.compare'))),
      warning, maintenance, description, facts),
    gaugePanel.el, h('div', { class: 'device-range' }, range.el, toggle, note), trends, panel('device-alarms', t('device.alarms'), alarmList).el, panel('device-rules', t('device.rules'), ruleList).el, createDeviceNotes(ctx, scope, id), createDeviceAbout(ctx, scope, id), rawPanel.el);
}
