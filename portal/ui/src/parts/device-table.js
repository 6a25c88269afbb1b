// The rows of the table of devices: only visible ones exist, with live values, and the keyboard moves among all.
import { glyph, h, setAttr, setClass, setText } from '../core/dom.js';
import { PRIORITIES, STATES } from '../model/fleet.js';
import { columnOf, measure } from '../model/table.js';
import { isNumber } from '../model/sensors.js';
import { windowOf } from './rows.js';

const PRINTED = 2000; // rows on paper, about 40 sheets
const POOL = 100; // rows that are kept for the next place
const SETTLE = 120; // ms without scrolling before visible rows are subscribed to

/** Least width and share of the columns, in CSS. */
const WIDTHS = {
  state: [100, 0.4], device: [120, 1.1], place: [150, 1.3], building: [80, 0.6], model: [120, 0.8], gateway: [80, 0.6],
  firmware: [80, 0.5], tags: [120, 1], maintenance: [120, 0.7], values: [320, 4], age: [72, 0.4],
};
const USUAL_WIDTH = [104, 0.7];

/** createDeviceTable makes the table. onSort(name) is called for a press on a head, onOpen(group) for one on a group. */
export function createDeviceTable(ctx, scope, { onSort, onOpen }) {
  const { t } = ctx;
  const live = new Map(); // id → {frame, end}
  let rows = [];
  let items = [];
  let table = null; // as model/table.js has it
  let values = () => undefined; // of a column and a device, from the column's topic
  let emphasis = ''; // the sensor that is shown first
  let built = '';
  let active = { index: -1, key: '' };
  let timer = 0;
  let printing = false;

  const body = h('div', { class: 'rows', role: 'rowgroup' });
  const head = h('div', { class: 'row row-head', role: 'row', 'aria-rowindex': '1' });
  const grid = h('div', { class: 'device-table', role: 'grid', tabindex: '0', 'aria-label': t('devices.title'), 'data-grid': true }, h('div', { role: 'rowgroup' }, head), body);
  const scroller = h('div', { class: 'scroller' }, grid);

  const rowHeight = () => (ctx.touch() ? 44 : 32);
  const keyAt = (i) => (items[i]?.device ? `d ${items[i].device.id}` : items[i] ? `g ${items[i].group.key}` : '');

  /** show shows items: {device} or {group}. */
  function show(next, spec, valueOf, sensor) {
    [items, table, values, emphasis] = [next, spec, valueOf, sensor];
    build();
    setAttr(grid, 'role', table.group ? 'treegrid' : 'grid');
    setAttr(grid, 'aria-rowcount', items.length + 1);
    body.style.height = `${items.length * rowHeight()}px`;
    if (active.index >= 0 && keyAt(active.index) !== active.key) active.index = items.findIndex((_, i) => keyAt(i) === active.key);
    place();
  }

  /** build makes the heads, and drops the rows of other columns. */
  function build() {
    const key = [ctx.lang(), ...table.columns, emphasis].join();
    if (built !== key) {
      built = key;
      rows = [];
      body.replaceChildren();
      const widths = table.columns.map((c) => WIDTHS[c] ?? USUAL_WIDTH);
      grid.style.setProperty('--columns', widths.map(([least, share]) => `minmax(${least}px, ${share}fr)`).join(' '));
      grid.style.minWidth = `${widths.reduce((sum, [least]) => sum + least + 8, 16)}px`;
      head.replaceChildren(...table.columns.map(headCell));
    }
    for (const cell of head.children) {
      setText(cell.querySelector('.head-text'), headText(ctx, cell.dataset.column)); // sensors get their names later
      const sorted = cell.dataset.column === (table.sort || 'device');
      setAttr(cell, 'aria-sort', sorted ? (table.sort && table.down ? 'descending' : 'ascending') : cell.dataset.fixed ? null : 'none');
      setClass(cell, 'is-sorted', sorted);
    }
  }

  function headCell(name) {
    const c = columnOf(name);
    const text = headText(ctx, name);
    return h('div', { class: `cell head-cell cell-${name} ${isRight(c) ? 'is-right' : ''}`, role: 'columnheader', 'data-column': name, 'data-fixed': c.fixed },
      c.fixed ? h('span', { class: 'head-text' }, text) : h('button', { class: 'col-sort', onclick: () => onSort(name) }, h('span', { class: 'head-text' }, text), h('span', { class: 'sort-mark', 'aria-hidden': 'true' })));
  }

  function place() {
    if (!table) return;
    const height = rowHeight();
    const w = printing ? { from: 0, to: Math.min(items.length, PRINTED) } : windowOf({ top: scroller.scrollTop, height: scroller.clientHeight || 600, row: height, total: items.length });
    for (const row of rows.splice(Math.max(w.to - w.from, POOL))) row.el.remove();
    while (rows.length < w.to - w.from) rows.push(makeRow(rows.length));
    let shown = '';
    rows.forEach((row, i) => {
      const at = w.from + i;
      const item = i < w.to - w.from ? items[at] : null;
      row.el.hidden = !item;
      row.device = item?.device ?? null;
      row.group = item?.group ?? null;
      row.index = at;
      if (!item) return;
      row.el.style.transform = `translateY(${at * height}px)`;
      setAttr(row.el, 'aria-rowindex', at + 2);
      setClass(row.el, 'is-odd', at % 2);
      setClass(row.el, 'is-active', at === active.index);
      if (at === active.index) shown = row.el.id;
      if (row.device) fill(row);
      else fillGroup(row);
    });
    setAttr(grid, 'aria-activedescendant', shown || null);
    clearTimeout(timer);
    if (!printing) timer = setTimeout(follow, SETTLE);
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
        fillSoon();
      });
      live.set(id, entry);
    }
  }

  function makeRow(n) {
    const cells = table.columns.map((c) => [c, h('div', { class: `cell cell-${c} ${isRight(columnOf(c)) ? 'is-right num' : ''}`, role: 'gridcell', 'data-column': c })]);
    const by = Object.fromEntries(cells);
    const row = { by, cells, device: null, group: null, index: -1, severity: null, values: new Map() };
    row.mark = h('span', { class: 'state-mark' });
    row.state = h('span', { class: 'state-text' });
    row.link = h('a', { class: 'row-link', tabindex: '-1' });
    by.state?.append(row.mark, row.state);
    by.device?.append(row.link);
    row.toggle = h('button', { class: 'link group-toggle', tabindex: '-1', onclick: () => onOpen(row.group) });
    row.sum = h('span', { class: 'group-sum num' });
    row.line = h('div', { class: 'group-line', role: 'gridcell', 'aria-colspan': table.columns.length, hidden: true }, row.toggle, row.sum);
    row.el = h('div', { class: 'row', role: 'row', id: `device-row-${n}`, onclick: () => activate(row.index) }, cells.map(([, el]) => el), row.line);
    body.append(row.el);
    return row;
  }

  function swap(row) {
    const group = row.group !== null;
    setClass(row.el, 'is-group', group);
    row.line.hidden = !group;
    for (const [, el] of row.cells) el.hidden = group;
    setAttr(row.el, 'aria-level', table.group ? (group ? 1 : 2) : null);
    setAttr(row.el, 'aria-expanded', group ? String(table.open.has(row.group.key)) : null);
    setAttr(row.el, 'data-id', group ? null : row.device.id);
  }

  function fillGroup(row) {
    swap(row);
    const g = row.group;
    setText(row.toggle, `${table.open.has(g.key) ? '▾' : '▸'} ${groupName(ctx, table.group, g)}`);
    setAttr(row.toggle, 'data-group', g.key);
    const severity = PRIORITIES[g.priority];
    const key = [severity, g.state, g.rows.length, g.n, g.mean, g.min, g.max, ctx.lang()].join();
    if (row.sum.dataset.key === key) return;
    row.sum.dataset.key = key;
    row.sum.replaceChildren(...sumOf(g, severity));
  }

  function sumOf(g, severity) {
    const out = [h('span', {}, t('table.devices', { n: ctx.fmt.count(g.rows.length) }))];
    const name = measure(table);
    if (name && g.n > 0) {
      const f = (v) => cellNumber(ctx, name, v);
      const [low, high] = name === 'age' ? [-g.max, -g.min] : [g.min, g.max]; // keys of ages are negative times
      out.push(h('span', { class: 'group-values' }, `${headText(ctx, name)} `,
        h('strong', { 'data-mean': true }, f(name === 'age' ? -g.mean : g.mean)), ` (${f(name === 'age' ? high : low)} – ${f(name === 'age' ? low : high)})`));
    }
    if (severity) out.push(h('span', { class: 'group-worst' }, glyph(severity), t(`severity.${severity}`)));
    if (g.state !== 1) out.push(h('span', { class: 'group-worst is-offline' }, t(`state.${STATES[g.state]}`)));
    return out;
  }

  function fill(row) {
    swap(row);
    const d = row.device;
    setText(row.link, d.name || d.id);
    setAttr(row.link, 'title', d.name ? d.id : null);
    setAttr(row.link, 'href', ctx.deviceHref(d.id));
    setText(row.state, t(`state.${STATES[d.state]}`) + (d.maintenance ? ' ◷' : ''));
    setAttr(row.state, 'title', d.maintenance ? t('device.maintenance') : null);
    if (row.by.state) setClass(row.by.state, 'is-offline', d.state === 2);
    const severity = PRIORITIES[d.priority];
    if (row.severity !== severity) {
      row.severity = severity;
      row.mark.replaceChildren(...(severity ? [glyph(severity)] : []));
    }
    fillValues(row);
  }

  function fillValues(row) {
    const d = row.device;
    if (!d) return;
    const f = live.get(d.id)?.frame ?? null;
    for (const [name, el] of row.cells) fillCell(row, name, el, d, f);
    setClass(row.el, 'is-stale', d.state !== 1);
  }

  function fillCell(row, name, el, d, f) {
    switch (name) {
      case 'state':
      case 'device':
        return;
      case 'values':
        fillSensors(row, el, f?.reading?.sensors ?? {});
        return;
      case 'place':
        fillPlace(el, d);
        return;
      case 'floor':
        setText(el, d.building ? t('floor', { n: d.floor }) : '');
        return;
      case 'maintenance':
        setText(el, d.maintenance ? ctx.fmt.moment(d.maintenance, ctx.plant.serverNow(), ctx.lang()) : '');
        return;
      case 'tags':
        setText(el, d.tags.join(', '));
        return;
      case 'alarms':
        setText(el, d.alarms > 0 ? ctx.fmt.count(d.alarms) : '');
        return;
      case 'age':
        setText(el, cellAge(f?.reading ? f.time : values('age', d)));
        return;
      case 'firmware':
        setText(el, f?.reading?.device_info?.firmware || values(name, d) || '–');
        return;
      case 'clock_offset':
        setText(el, cellNumber(ctx, name, f ? f.clock_offset_ms : (values(name, d) ?? 0)));
        return;
      case 'battery':
      case 'signal_strength':
        fillSensor(el, name, f, d);
        return;
      default:
    }
    if (columnOf(name).sensor) fillSensor(el, columnOf(name).sensor, f, d);
    else setText(el, d[name] || '–');
  }

  const cellAge = (seen) => (seen > 0 ? (ctx.plant.asOf() ? ctx.freshness(seen) : ctx.age(seen)) : '');

  function fillPlace(el, d) {
    const key = `${d.building}\n${d.floor}\n${d.room}`;
    if (el.dataset.key === key) return;
    el.dataset.key = key;
    const link = ctx.placeLink(d);
    if (link) link.tabIndex = -1;
    el.replaceChildren(...(link ? [link] : []));
  }

  /** fillSensor shows a sensor: from the device's newest reading, or, until that is there, from the sensor's topic. */
  function fillSensor(el, sensor, f, d) {
    const info = f?.reading?.device_info?.[sensor];
    const s = f?.reading?.sensors[sensor] ?? (typeof info === 'number' ? { value: info } : undefined);
    const known = values(columnNameOf(el), d);
    setText(el, s || f ? ctx.sensorText(sensor, s) : ctx.sensorText(sensor, known === undefined ? undefined : { value: known }));
    setClass(el, 'is-abnormal', s && isNumber(s) && s.status && s.status !== 'normal');
  }
  const columnNameOf = (el) => el.dataset.column;

  /** fillSensors shows a device's own sensors, the one that is filtered by first. */
  function fillSensors(row, el, sensors) {
    const names = ctx.sensors.order(Object.keys(sensors)).sort((a, b) => Number(b === emphasis) - Number(a === emphasis));
    const key = names.join();
    if (el.dataset.key !== key) {
      el.dataset.key = key;
      row.values = new Map(names.map((name) => [name, h('span', { class: 'value num' })]));
      el.replaceChildren(...names.map((name) => h('span', { class: 'value-item', 'data-sensor': name }, h('span', { class: 'value-name' }, ctx.sensorName(name)), ' ', row.values.get(name))));
    }
    for (const [name, value] of row.values) {
      setText(value, ctx.sensorText(name, sensors[name]));
      setClass(value, 'is-abnormal', isNumber(sensors[name]) && sensors[name].status && sensors[name].status !== 'normal');
    }
  }

  /** activate makes a row the one that the keyboard is at, and scrolls to it. */
  function activate(index) {
    if (items.length === 0) return;
    const i = Math.min(Math.max(index, 0), items.length - 1);
    active = { index: i, key: keyAt(i) };
    const top = i * rowHeight();
    const room = scroller.clientHeight - head.offsetHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + rowHeight() > scroller.scrollTop + room) scroller.scrollTop = top + rowHeight() - room;
    place();
  }

  function step(key) {
    const page = Math.max(Math.floor(scroller.clientHeight / rowHeight()) - 2, 1);
    switch (key) {
      case 'ArrowDown': return active.index + 1;
      case 'ArrowUp': return active.index - 1;
      case 'PageDown': return active.index + page;
      case 'PageUp': return active.index - page;
      case 'Home': return 0;
      case 'End': return items.length - 1;
      default: return null;
    }
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const item = items[active.index];
    const open = item?.group && table.open.has(item.group.key);
    const to = step(event.key);
    if (to !== null) activate(to);
    else if (event.key === 'Enter' && item?.device) ctx.go('device', item.device.id);
    else if (item?.group && (event.key === 'Enter' || (event.key === 'ArrowRight' && !open) || (event.key === 'ArrowLeft' && open))) onOpen(item.group);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const fillSoon = scope.draw(() => rows.forEach(fillValues), ['tick']);
  scope.listen(grid, 'keydown', (e) => e.target === grid && onKey(e));
  scope.listen(grid, 'focus', () => active.index < 0 && activate(0));
  // The first arrow leads from anywhere into the list.
  scope.listen(window, 'keydown', (e) => {
    if (e.key !== 'ArrowDown' || e.defaultPrevented || ctx.typing(e) || ![document.body, document.getElementById('page')].includes(document.activeElement)) return;
    e.preventDefault();
    grid.focus();
  });
  for (const [event, on] of [['beforeprint', true], ['afterprint', false]]) {
    scope.listen(window, event, () => {
      printing = on;
      place();
    });
  }
  scope.listen(scroller, 'scroll', place, { passive: true });
  const watch = new ResizeObserver(place);
  watch.observe(scroller);
  scope.onEnd(() => {
    watch.disconnect();
    clearTimeout(timer);
  });
  return { el: scroller, show, top: () => (scroller.scrollTop = 0) };
}

/** isRight reports whether a column is of numbers that are compared by their ends. */
const isRight = (c) => c.number && c.name !== 'state' && c.name !== 'floor';

/** headText is the name of a column. */
export function headText(ctx, name) {
  const c = columnOf(name);
  return c.sensor ? ctx.sensorLabel(c.sensor) : ctx.t(`col.${name}`);
}

/** cellNumber formats a number of a column. */
function cellNumber(ctx, name, v) {
  if (name === 'age') return ctx.age(v);
  if (name === 'clock_offset') return v ? `${v > 0 ? '+' : '−'}${ctx.fmt.age(Math.abs(v), ctx.t)}` : '–';
  return ctx.quantity(columnOf(name).sensor, v);
}

function groupName(ctx, by, g) {
  const d = g.first;
  if (by === 'room') return ctx.place(d) || ctx.t('building.none');
  if (by === 'floor') return d.building ? `${d.building} · ${ctx.t('floor', { n: d.floor })}` : ctx.t('building.none');
  return g.key || ctx.t(by === 'building' ? 'building.none' : 'unknown');
}
