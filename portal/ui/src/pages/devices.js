// The table of all devices: looked for, sorted, grouped, with the columns that one wants. The address says it all.
import { query } from '../core/api.js';
import { h, setAttr, setText } from '../core/dom.js';
import { filterFleet } from '../model/fleet.js';
import { apiSort, columnOf, CONDITIONS, groupRows, GROUPS, itemsOf, measure, nextSort, readTable, sortRows, topicsOf, writeTable } from '../model/table.js';
import { chooseColumns } from '../parts/columns.js';
import { createDeviceTable } from '../parts/device-table.js';
import { createPlaceTitle } from '../parts/place.js';

const FILTERS = ['q', 'floor', 'room', 'gateway', 'model', 'state', 'sensor', 'tag'];
const SELECTS = FILTERS.filter((k) => k !== 'q');
const QUICK = ['offline', 'fault', ...Object.keys(CONDITIONS), 'silent'];
const RESORT = 5000; // ms; rows that move more often cannot be read

export function createDevicesPage(ctx, scope, route) {
  const { t } = ctx;
  if (route.params.building) { // as addresses said it once
    ctx.setBuilding(route.params.building);
    ctx.setParams({ building: '' });
  }
  const filter = Object.fromEntries(FILTERS.map((k) => [k, route.params[k] ?? '']));
  const table = readTable(route.params);
  const columns = new Map(); // topic → {values, end}
  let building = ctx.view.building;
  let sorted = 0; // when the rows were put in order
  let shown = { list: [], items: [] };

  const title = createPlaceTitle(ctx);
  const count = h('span', { class: 'panel-note num', role: 'status', 'data-count': true });
  const inputs = Object.fromEntries(FILTERS.map((k) => [k, k === 'q'
    ? h('input', { class: 'control is-small', type: 'search', placeholder: t('filter.q'), 'aria-label': t('filter.q'), oninput: (e) => change(k, e.target.value) })
    : h('select', { class: 'control is-small', 'aria-label': t(`filter.${k}`), onchange: (e) => change(k, e.target.value) })]));
  const group = h('select', { class: 'control is-small', 'aria-label': t('table.group'), 'data-group-by': true, onchange: () => arrange({ group: group.value, open: new Set() }) },
    h('option', { value: '' }, t('table.group.none')), GROUPS.map((g) => h('option', { value: g }, t(`table.group.${g}`))));
  const fold = h('button', { class: 'button is-small', 'data-fold': true, hidden: true, onclick: () => {
    const all = shown.groups.every((g) => table.open.has(g.key));
    arrange({ open: new Set(all ? [] : shown.groups.map((g) => g.key)) });
  } });
  const again = h('button', { class: 'button is-small', 'data-resort': true, hidden: true, title: t('table.resort.title'), onclick: () => refilter() }, t('table.resort'));
  const quick = h('span', { class: 'group', role: 'group', 'aria-label': t('quick') }, QUICK.map((q) =>
    h('button', { class: 'button is-small', 'data-quick': q, 'aria-pressed': 'false', onclick: () => pressQuick(q) }, t(`quick.${q}`))));
  const chips = h('span', { class: 'filter-chips' });
  const csv = h('a', { class: 'button is-small', download: 'devices.csv', 'data-needs': 'investigate' }, t('export.csv'));
  const none = h('p', { class: 'empty', hidden: true });
  const rows = createDeviceTable(ctx, scope, {
    onSort: (name) => arrange(nextSort({ ...table, sort: table.sort || 'device' }, name)),
    onOpen(g) {
      const open = new Set(table.open);
      if (!open.delete(g.key)) open.add(g.key);
      arrange({ open });
    },
  });

  function change(key, value) {
    filter[key] = value;
    ctx.setParams({ [key]: value });
    rows.top();
    follow();
    refilter();
  }

  /** arrange changes order, columns, groups or conditions. */
  function arrange(more) {
    Object.assign(table, more);
    if (table.sort === 'device' && !table.down) table.sort = '';
    ctx.setParams(writeTable(table));
    if (!more.open) rows.top();
    follow();
    refilter();
  }

  function isPressed(q) {
    if (q === 'silent') return table.sort === 'age' && table.down;
    return CONDITIONS[q] ? table.conditions.includes(q) : filter.state === q;
  }

  function pressQuick(q) {
    const on = isPressed(q);
    if (q === 'silent') arrange(on ? { sort: '', down: false } : { sort: 'age', down: true });
    else if (CONDITIONS[q]) arrange({ conditions: on ? table.conditions.filter((c) => c !== q) : [...table.conditions, q] });
    else change('state', on ? '' : q);
  }

  /** follow keeps what order, groups and filters need to know of every device, and nothing else. */
  function follow() {
    const wanted = topicsOf(table, filter.sensor);
    for (const [topic, c] of columns) {
      if (wanted.includes(topic)) continue;
      c.end();
      columns.delete(topic);
    }
    for (const topic of wanted) if (!columns.has(topic)) columns.set(topic, followed(topic));
  }

  function followed(topic) {
    const c = { values: [] };
    c.end = scope.subscribe(topic, ({ kind, data }) => {
      if (kind === 'lagged') return;
      if (kind === 'snapshot') c.values = [];
      // A value of unknown unit, which has the unit as sent, is not comparable with the others.
      for (const part of kind === 'snapshot' ? data : [data]) for (const [i, v, unit] of part.values ?? []) c.values[i] = unit === undefined ? v : NaN;
      if (kind === 'snapshot') refilterNow(true);
    });
    return c;
  }

  const valuesOf = (name) => columns.get(columnOf(name).topic)?.values;

  /** has are the filters that need values of every device. */
  function has() {
    const out = table.conditions.map((name) => {
      const { topic, holds } = CONDITIONS[name];
      if (!topic) return (d) => holds(undefined, d);
      const values = columns.get(topic)?.values ?? [];
      return (d) => values[d.index] !== undefined && values[d.index] !== null && holds(values[d.index]);
    });
    if (filter.sensor) {
      const values = columns.get(`sensor/${filter.sensor}`)?.values ?? [];
      out.push((d) => values[d.index] !== undefined && values[d.index] !== null);
    }
    return out;
  }

  let known = '';
  function options() {
    const place = ctx.fleet.sorted().filter((d) => !building || d.building === building);
    const distinct = (list, field) => [...new Set(list.flatMap((d) => d[field]))].filter((v) => v !== '');
    const byNumber = (list) => list.sort((a, b) => (typeof a === 'number' ? a - b : String(a).localeCompare(b, 'en', { numeric: true })));
    const sets = {
      floor: byNumber(distinct(place, 'floor')),
      room: building && filter.floor !== '' ? byNumber(distinct(place.filter((d) => String(d.floor) === filter.floor), 'room')) : [],
      gateway: byNumber(distinct(place, 'gateway')), model: byNumber(distinct(place, 'model')),
      state: ['online', 'offline', 'stale', 'unknown', 'fault'],
      sensor: ctx.sensors.all().filter((s) => s.devices > 0).map((s) => s.name), tag: ctx.fleet.distinct('tags'),
    };
    const key = JSON.stringify(sets);
    if (key !== known) {
      known = key;
      for (const [name, values] of Object.entries(sets)) {
        inputs[name].replaceChildren(h('option', { value: '' }, t(`filter.${name}`)), ...values.map((v) => h('option', { value: String(v) }, optionText(name, v))));
      }
    }
    for (const name of FILTERS) if (inputs[name].value !== String(filter[name])) inputs[name].value = filter[name];
    inputs.tag.hidden = sets.tag.length === 0;
    inputs.room.hidden = sets.room.length === 0;
  }

  function optionText(name, v) {
    if (name === 'state') return t(`state.${v}`);
    if (name === 'floor') return t('floor', { n: v });
    if (name === 'sensor') return ctx.sensorName(v);
    return v || '–';
  }

  /** refilter finds, orders and shows anew. */
  function refilter() {
    options();
    sorted = performance.now();
    const found = filterFleet(ctx.fleet.sorted(), { ...filter, building }, has());
    const list = sortRows(found, table.sort, table.down, table.sort ? valuesOf(table.sort) : undefined);
    const measured = measure(table);
    const groups = table.group ? groupRows(list, table, measured, measured ? valuesOf(measured) : []) : null;
    const items = groups ? itemsOf(groups, table.open) : list.map((device) => ({ device }));
    shown = { list, items, groups };
    ctx.debug.devices = { order: () => list.map((d) => d.id), took: performance.now() - sorted };
    rows.show(items, table, (name, d) => cached(name, d), filter.sensor);
    describe(list, groups);
  }

  function cached(name, d) {
    const v = valuesOf(name)?.[d.index];
    return v === null || v !== v ? undefined : v;
  }

  function describe(list, groups) {
    title.show({ building, floor: filter.floor, room: filter.room });
    const n = { shown: ctx.fmt.count(list.length), total: ctx.fmt.count(ctx.fleet.size()), groups: ctx.fmt.count(groups?.length ?? 0) };
    setText(count, t(groups ? 'devices.count.groups' : 'devices.count', n));
    chips.replaceChildren(...FILTERS.filter((k) => filter[k] !== '').map((k) =>
      h('button', { class: 'filter-chip', 'aria-label': t('filter.remove', { name: t(`filter.${k}`) }), onclick: () => change(k, '') }, `${inputs[k].selectedOptions?.[0]?.textContent || filter[k]} ✕`)));
    for (const b of quick.children) setAttr(b, 'aria-pressed', String(isPressed(b.dataset.quick)));
    group.value = table.group;
    fold.hidden = !groups;
    if (groups) setText(fold, t(groups.every((g) => table.open.has(g.key)) ? 'table.fold' : 'table.unfold'));
    again.hidden = !isLive();
    csv.href = `/api/v1/export.csv${query({ ...filter, building, condition: table.conditions.join(), sort: apiSort(table), lang: ctx.lang() })}`;
    none.hidden = list.length > 0;
    setText(none, ctx.fleet.size() > 0 ? t('devices.nomatch') : t('devices.none'));
  }

  /** isLive reports whether the order changes with the devices' values. */
  const isLive = () => Boolean(table.group || table.conditions.length > 0 || (table.sort && (columnOf(table.sort).topic || ['state', 'alarms'].includes(table.sort))));

  /** Values that change move rows every RESORT at most; otherwise what changes is shown at once. */
  function onFleet() {
    if (building !== ctx.view.building) {
      building = ctx.view.building;
      Object.assign(filter, { floor: '', room: '' });
      ctx.setParams({ floor: '', room: '' });
      rows.top();
      refilter();
    } else if (!isLive() || performance.now() - sorted >= RESORT) refilter();
  }

  const refilterNow = scope.draw(() => refilter(), ['sensors']);
  scope.draw(onFleet, ['fleet', 'view']);
  scope.draw(() => {
    if (isLive() && !ctx.view.paused && performance.now() - sorted >= RESORT) refilter();
  }, ['second']);
  follow();
  const choose = h('button', { class: 'button is-small', 'data-columns': true, 'aria-haspopup': 'dialog', onclick: () => chooseColumns(ctx, table.columns, (names) => arrange({ columns: names })) }, t('table.columns'));
  return h('section', { class: 'panel devices-page' },
    h('header', { class: 'panel-head' }, title.el, count, chips, h('span', { class: 'panel-space' }), again, fold, group, choose, csv),
    h('div', { class: 'table-tools' }, inputs.q, quick, h('span', { class: 'panel-space' }), SELECTS.map((k) => inputs[k])),
    rows.el, none);
}
