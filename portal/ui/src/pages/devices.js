// A table of all devices. Only visible rows exist, with live values.
import { query } from '../core/api.js';
import { h, setAttr, setClass, setText } from '../core/dom.js';
import { filterFleet, STATES } from '../model/fleet.js';
import { windowOf } from '../parts/rows.js';
import { glyph } from '../core/dom.js';
import { PRIORITIES } from '../model/fleet.js';
import { isNumber } from '../model/sensors.js';

const FILTERS = ['q', 'building', 'floor', 'model', 'state', 'sensor', 'tag'];
const COLUMNS = ['state', 'device', 'place', 'model', 'values', 'age'];
const SETTLE = 120; // ms without scrolling before visible rows are subscribed to

export function createDevicesPage(ctx, scope, route) {
  const { t } = ctx;
  const filter = Object.fromEntries(FILTERS.map((k) => [k, route.params[k] ?? '']));
  if (!filter.building) filter.building = ctx.view.building;
  const live = new Map(); // id → {frame, end}
  const rows = [];
  let list = [];
  let first = 0;
  let values = null; // of the sensor that is filtered by, by index
  let giveBack = null;
  let timer = 0;

  const count = h('span', { class: 'panel-note num', role: 'status', 'data-count': true });
  const inputs = Object.fromEntries(FILTERS.map((k) => [k, k === 'q' ? searchInput() : h('select', { class: 'control is-small', 'aria-label': t(`filter.${k}`), onchange: (e) => change(k, e.target.value) })]));
  const chips = h('span', { class: 'filter-chips' });
  const body = h('div', { class: 'rows', role: 'rowgroup' });
  const head = h('div', { class: 'row row-head', role: 'row' },
    COLUMNS.map((c) => h('div', { class: `cell cell-${c}`, role: 'columnheader' }, t(`col.${c}`))));
  const table = h('div', { class: 'device-table', role: 'table', 'aria-label': t('devices.title') }, h('div', { role: 'rowgroup' }, head), body);
  const scroller = h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': t('devices.title') }, table);
  const csv = h('a', { class: 'button is-small', download: 'devices.csv' }, t('export.csv'));
  const none = h('p', { class: 'empty', hidden: true });

  function searchInput() {
    const input = h('input', { class: 'control is-small', type: 'search', placeholder: t('filter.q'), 'aria-label': t('filter.q'), oninput: () => change('q', input.value) });
    return input;
  }

  function change(key, value) {
    filter[key] = value;
    ctx.setParams({ [key]: value });
    scroller.scrollTop = 0;
    if (key === 'sensor') followSensor();
    refilter();
  }

  /** followSensor keeps the values of the sensor that is filtered by. */
  function followSensor() {
    giveBack?.();
    giveBack = null;
    values = filter.sensor ? [] : null;
    if (!filter.sensor) return;
    giveBack = scope.subscribe(`sensor/${filter.sensor}`, ({ kind, data }) => {
      if (kind === 'lagged') return;
      const size = values.filter((v) => v !== null && v !== undefined).length;
      if (kind === 'snapshot') values = [];
      for (const part of kind === 'snapshot' ? data : [data]) for (const [i, v] of part.values) values[i] = v;
      // A value that changed is in the rows already; another device is a reason to filter again.
      if (kind === 'snapshot' || size !== values.filter((v) => v !== null && v !== undefined).length) refilterSoon(true);
    });
  }

  let known = '';
  function options() {
    const sets = { building: ctx.fleet.distinct('building'), floor: ctx.fleet.distinct('floor'), model: ctx.fleet.distinct('model'), state: ['online', 'offline', 'stale', 'unknown', 'fault'], sensor: ctx.sensors.all().filter((s) => s.devices > 0).map((s) => s.name), tag: ctx.fleet.distinct('tags') };
    const key = JSON.stringify(sets);
    if (key !== known) {
      known = key;
      for (const [name, values] of Object.entries(sets)) {
        inputs[name].replaceChildren(h('option', { value: '' }, t(`filter.${name}`)), ...values.map((v) => h('option', { value: String(v) }, optionText(name, v))));
        if (name === 'tag') inputs.tag.hidden = values.length === 0;
      }
    }
    for (const name of FILTERS) if (inputs[name].value !== String(filter[name])) inputs[name].value = filter[name];
  }

  function optionText(name, v) {
    if (name === 'state') return t(`state.${v}`);
    if (name === 'floor') return t('floor', { n: v });
    if (name === 'sensor') return ctx.sensorName(v);
    return v || '–';
  }

  function refilter() {
    options();
    list = filterFleet(ctx.fleet.sorted(), filter, values);
    setText(count, t('devices.count', { shown: ctx.fmt.count(list.length), total: ctx.fmt.count(ctx.fleet.size()) }));
    chips.replaceChildren(...FILTERS.filter((k) => filter[k] !== '').map((k) =>
      h('button', { class: 'filter-chip', 'aria-label': t('filter.remove', { name: t(`filter.${k}`) }), onclick: () => change(k, '') }, `${inputs[k].selectedOptions?.[0]?.textContent ?? filter[k]} ✕`)));
    csv.href = `/api/v1/export.csv${query({ ...filter, lang: ctx.lang() })}`;
    none.hidden = list.length > 0;
    setText(none, ctx.fleet.size() > 0 ? t('devices.nomatch') : t('devices.none'));
    body.style.height = `${list.length * rowHeight()}px`;
    place();
  }

  const rowHeight = () => (ctx.touch() ? 44 : 32);

  function place() {
    const w = windowOf({ top: scroller.scrollTop, height: scroller.clientHeight || 600, row: rowHeight(), total: list.length });
    first = w.from;
    while (rows.length < w.to - w.from) rows.push(makeRow());
    rows.forEach((row, i) => {
      const d = i < w.to - w.from ? list[first + i] : null;
      row.el.hidden = !d;
      row.device = d;
      if (!d) return;
      row.el.style.transform = `translateY(${(first + i) * rowHeight()}px)`;
      setAttr(row.el, 'aria-rowindex', first + i + 2);
      setClass(row.el, 'is-odd', (first + i) % 2);
      fill(row);
    });
    setAttr(table, 'aria-rowcount', list.length + 1);
    clearTimeout(timer);
    timer = setTimeout(follow, SETTLE);
  }

  /** follow subscribes to the visible rows and unsubscribes from the others. */
  function follow() {
    const wanted = new Set(rows.filter((r) => r.device).map((r) => r.device.id));
    for (const [id, entry] of live) {
      if (wanted.has(id)) continue;
      entry.end();
      live.delete(id);
    }
    for (const id of wanted) {
      if (live.has(id)) continue;
      const entry = { frame: null };
      entry.end = scope.subscribe(`device/${id}`, ({ kind, data }) => {
        if (kind === 'lagged') return;
        entry.frame = kind === 'snapshot' ? data[0] : data;
        fillSoon(true);
      });
      live.set(id, entry);
    }
  }

  function makeRow() {
    const cells = Object.fromEntries(COLUMNS.map((c) => [c, h('div', { class: `cell cell-${c} ${c === 'age' ? 'num' : ''}`, role: 'cell' })]));
    const mark = h('span', { class: 'state-mark' });
    const state = h('span', { class: 'state-text' });
    const link = h('a', { class: 'row-link' });
    cells.state.append(mark, state);
    cells.device.append(link);
    const el = h('div', { class: 'row', role: 'row' }, Object.values(cells));
    body.append(el);
    return { el, cells, mark, state, link, device: null, severity: null, values: new Map() };
  }

  function fill(row) {
    const d = row.device;
    setText(row.link, d.name || d.id);
    setAttr(row.link, 'title', d.name ? d.id : null);
    setAttr(row.link, 'href', ctx.deviceHref(d.id));
    setText(row.state, ctx.t(`state.${STATES[d.state]}`));
    setClass(row.cells.state, 'is-offline', d.state === 2);
    const severity = PRIORITIES[d.priority];
    if (row.severity !== severity) {
      row.severity = severity;
      row.mark.replaceChildren(...(severity ? [glyph(severity)] : []));
    }
    setText(row.cells.place, ctx.place(d));
    setText(row.cells.model, d.model);
    fillValues(row);
  }

  function fillValues(row) {
    const d = row.device;
    if (!d) return;
    const f = live.get(d.id)?.frame;
    fillSensors(row, f?.reading?.sensors ?? {});
    setText(row.cells.age, f?.reading ? (ctx.plant.asOf() ? ctx.freshness(f.time) : ctx.age(f.time)) : '');
    setClass(row.el, 'is-stale', d.state !== 1);
  }

  /** fillSensors shows a device's own sensors, the one that is filtered by first. */
  function fillSensors(row, sensors) {
    const names = ctx.sensors.order(Object.keys(sensors)).sort((a, b) => Number(b === filter.sensor) - Number(a === filter.sensor));
    const key = names.join();
    if (row.cells.values.dataset.key !== key) {
      row.cells.values.dataset.key = key;
      row.values = new Map(names.map((name) => [name, h('span', { class: 'value num' })]));
      row.cells.values.replaceChildren(...names.map((name) => h('span', { class: 'value-item', 'data-sensor': name }, h('span', { class: 'value-name' }, ctx.sensorName(name)), ' ', row.values.get(name))));
    }
    for (const [name, el] of row.values) {
      setText(el, ctx.sensorText(name, sensors[name]));
      setClass(el, 'is-abnormal', isNumber(sensors[name]) && sensors[name].status && sensors[name].status !== 'normal');
    }
  }

  const fillSoon = scope.draw(() => rows.forEach(fillValues), ['tick']);
  const refilterSoon = scope.draw(refilter, ['fleet', 'sensors']);
  followSensor();
  scope.listen(scroller, 'scroll', place, { passive: true });
  const watch = new ResizeObserver(place);
  watch.observe(scroller);
  scope.onEnd(() => {
    watch.disconnect();
    clearTimeout(timer);
  });
  return h('section', { class: 'panel devices-page' },
    h('header', { class: 'panel-head' }, h('h1', { class: 'panel-title' }, t('devices.title')), count, chips, h('span', { class: 'panel-space' }), FILTERS.map((k) => inputs[k]), csv),
    scroller, none);
}
