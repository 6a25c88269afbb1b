// The live table of devices. However many there are, only the rows that can be seen
// exist; the count says how many the filter leaves of how many there are.
import { glyph, h, setAttr, setClass, setText } from '../../core/dom.js';
import { age, count, utc, value } from '../../core/format.js';
import { filterDevices, windowOf } from '../../core/store.js';

const COLUMNS = ['device', 'place', 'temperature', 'humidity', 'pressure', 'current', 'switch', 'state', 'age'];
const SENSORS = ['temperature', 'humidity', 'pressure', 'current'];

export function createDevices(ctx) {
  const { store, view } = ctx;
  const title = h('h2', { class: 'panel-title' });
  const counter = h('span', { class: 'panel-note num', 'aria-live': 'off' });
  const clear = h('button', { type: 'button', class: 'link', hidden: true, onclick: () => view.set({ text: '', building: '' }) });
  const heads = new Map(COLUMNS.map((c) => [c, h('span', { role: 'columnheader', class: `cell cell-${c}` })]));
  const head = h('div', { role: 'row', class: 'row row-head', 'aria-rowindex': 1 }, ...heads.values());
  const body = h('div', { class: 'rows', role: 'rowgroup' });
  const empty = h('p', { class: 'empty' });
  const scroller = h('div', { class: 'scroller', tabindex: 0, role: 'region', onscroll: () => dirty(true) },
    h('div', { role: 'table', class: 'table' }, h('div', { role: 'rowgroup', class: 'head' }, head), body), empty);
  const rows = []; // the elements that exist, used again for whatever they are to show
  let list = [];
  let listed = '';

  function makeRow() {
    const cells = new Map(COLUMNS.map((c) => [c, h('span', { role: 'cell', class: `cell cell-${c}${SENSORS.includes(c) || c === 'age' ? ' num' : ''}` })]));
    const mark = h('span', { class: 'state-mark' });
    const text = h('span');
    cells.get('state').append(mark, text);
    const el = h('div', { role: 'row', class: 'row' }, ...cells.values());
    body.append(el);
    return { el, cells, mark, text, severity: null };
  }

  function place(l) {
    if (!l.building) return '–';
    return ctx.t('place.floor', { building: l.building, floor: l.floor ?? '–', room: l.room || '–' });
  }

  function drawState(row, d) {
    const severity = d.alarm?.severity ?? '';
    if (row.severity !== severity) {
      row.severity = severity;
      row.mark.replaceChildren(severity ? glyph(severity) : '');
    }
    const words = severity ? ctx.t(`severity.${severity}`) : ctx.t(`presence.${d.presence}`);
    setText(row.text, words);
    setClass(row.cells.get('state'), 'is-offline', !severity && d.presence === 'offline');
  }

  function drawRow(row, d, index, height, now) {
    const { t } = ctx;
    row.el.style.transform = `translateY(${index * height}px)`;
    setAttr(row.el, 'hidden', false);
    setAttr(row.el, 'aria-rowindex', index + 2);
    const stale = store.isStale(d) || ctx.dimmed();
    setClass(row.el, 'is-stale', stale);
    setClass(row.el, 'is-odd', index % 2 === 1);
    setText(row.cells.get('device'), d.id);
    setText(row.cells.get('place'), place(d.location));
    const sensors = d.reading?.sensors;
    for (const p of SENSORS) {
      const cell = row.cells.get(p);
      const s = sensors?.[p];
      setText(cell, value(s, p));
      setClass(cell, 'is-abnormal', s?.status && s.status !== 'normal');
    }
    const sw = sensors?.switch_status;
    setText(row.cells.get('switch'), sw ? t(sw.value ? 'switch.on' : 'switch.off') : '–');
    drawState(row, d);
    setText(row.cells.get('age'), d.seen ? age(now - d.seen, t) : '–');
    setAttr(row.cells.get('age'), 'title', d.seen ? utc(d.seen) : null);
  }

  function draw() {
    const { t } = ctx;
    setText(title, t('devices.title'));
    setAttr(scroller, 'aria-label', t('devices.title'));
    for (const [c, el] of heads) setText(el, t(`col.${c}`));
    setText(clear, t('devices.clear'));
    setAttr(clear, 'hidden', !view.text && !view.building);

    setClass(scroller, 'is-dim', ctx.dimmed());
    const sorted = store.sorted();
    const key = `${view.text}\n${view.building}`;
    if (key !== listed) scroller.scrollTop = 0;
    listed = key;
    list = filterDevices(sorted, view);
    const total = Math.max(store.state.stats?.devices.total ?? 0, sorted.length);
    setText(counter, t('devices.count', { shown: count(list.length), total: count(total) }));
    setAttr(empty, 'hidden', list.length > 0);
    setText(empty, sorted.length === 0 ? t(store.state.stats ? 'devices.none' : 'load.wait') : t('devices.nomatch'));

    const height = ctx.touch() ? 44 : 32;
    const w = windowOf({ top: scroller.scrollTop, height: scroller.clientHeight, row: height, total: list.length });
    body.style.height = `${list.length * height}px`;
    setAttr(body.parentElement, 'aria-rowcount', list.length + 1);
    const now = store.serverNow();
    let used = 0;
    for (let i = w.from; i < w.to; i++, used++) {
      rows[used] ??= makeRow();
      drawRow(rows[used], list[i], i, height, now);
    }
    for (let k = used; k < rows.length; k++) setAttr(rows[k].el, 'hidden', true);
  }

  const dirty = ctx.component(draw, ['devices', 'alarms', 'stats', 'socket', 'view', 'tick']);
  new ResizeObserver(() => dirty(true)).observe(scroller);
  return h('section', { class: 'panel devices', id: 'devices' },
    h('div', { class: 'panel-head' }, title, counter, h('span', { class: 'card-space' }), clear), scroller);
}
