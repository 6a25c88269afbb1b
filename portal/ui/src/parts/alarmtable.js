// The rows of an alarm list. A row lives as long as its alarm is listed and is changed in place, so that
// the keyboard's focus stays where it is and ages cost little.
import { h, setAttr, setClass, setText } from '../core/dom.js';
import { raisedAt, stateOf } from '../model/alarms.js';
import { badge } from './badge.js';
import { remarksOf } from './remarks.js';

const COLUMNS = ['priority', 'device', 'what', 'since', 'lasted', 'peak', 'times', 'seen'];

/**
 * createAlarmTable makes a table that draw(rows, {boxes}) fills with rows as fold returns them. on has what
 * happens: open(id), choose(ids, yes), chooseVisible(yes), unfold(key), acknowledge(alarms); isChosen(id) and
 * opened() tell what is so.
 */
export function createAlarmTable(ctx, on) {
  const { t } = ctx;
  const box = h('input', { type: 'checkbox', 'aria-label': t('alarms.visible'), 'data-box': 'visible', onchange: () => on.chooseVisible(box.checked) });
  const head = h('thead', {}, h('tr', {}, h('td', { class: 'col-box' }, box), COLUMNS.map((c) => h('th', { class: `col-${c}`, scope: 'col' }, t(`col.${c}`)))));
  const body = h('tbody');
  const el = h('table', { class: 'alarm-table' }, head, body);
  const kept = new Map(); // key → {tr, update}
  let order = []; // the keys shown
  let current = ''; // the key of the row that Tab reaches
  let early = false; // a key asked for the first row before there was one

  function draw(rows, { boxes = true } = {}) {
    const focused = document.activeElement?.closest?.('tr[data-key]');
    const key = body.contains(focused) ? focused.dataset.key : '';
    const at = order.indexOf(key);
    const inside = key ? document.activeElement : null;
    order = rows.map(keyOf);
    const wanted = new Set(order);
    for (const [k, r] of kept) {
      if (wanted.has(k)) continue;
      r.tr.remove();
      kept.delete(k);
    }
    let next = body.firstChild;
    rows.forEach((row, i) => {
      const r = keep(order[i], row);
      r.update(row, boxes);
      if (r.tr === next) next = next.nextSibling;
      else body.insertBefore(r.tr, next);
    });
    if (!wanted.has(current)) current = order[0] ?? '';
    for (const [k, r] of kept) setAttr(r.tr, 'tabindex', k === current ? '0' : '-1');
    if (key && document.activeElement !== inside) giveFocus(wanted.has(key) ? key : order[Math.min(at, order.length - 1)], wanted.has(key) ? inside : null);
    if (early && order.length > 0) step(0);
    box.hidden = !boxes;
    const alarms = rows.filter((r) => r.alarm);
    const chosen = alarms.filter((r) => on.isChosen(r.alarm.alert_id)).length;
    box.checked = chosen > 0 && chosen === alarms.length;
    box.indeterminate = chosen > 0 && chosen < alarms.length;
  }

  function keep(key, row) {
    if (!kept.has(key)) kept.set(key, row.alarm ? alarmRow(ctx, on, key) : groupRow(ctx, on, key));
    return kept.get(key);
  }

  /** giveFocus moves the focus to a row, or to what had it inside. */
  function giveFocus(key, inside = null) {
    const r = kept.get(key);
    if (!r) return;
    current = key;
    for (const [k, other] of kept) setAttr(other.tr, 'tabindex', k === key ? '0' : '-1');
    (inside?.isConnected ? inside : r.tr).focus();
  }

  /** step moves the focus by rows; without one it goes to the first. */
  function step(by) {
    early = order.length === 0;
    if (early) return;
    const at = order.indexOf(focusedKey());
    const to = at < 0 ? 0 : Math.min(Math.max(at + by, 0), order.length - 1);
    giveFocus(order[to]);
  }

  const focusedKey = () => document.activeElement?.closest?.('tr[data-key]')?.dataset.key ?? '';

  return {
    el,
    draw,
    step,
    /** focused is the row under the keyboard's cursor, {alarm} or {group}, or null. */
    focused: () => kept.get(focusedKey())?.row() ?? null,
    /** rowOf is the element of an alarm's row, or null. */
    rowOf: (id) => kept.get(`a/${id}`)?.tr ?? null,
    body,
  };
}

const keyOf = (row) => (row.alarm ? `a/${row.alarm.alert_id}` : `g/${row.group.key}`);

function alarmRow(ctx, on, key) {
  const { t } = ctx;
  let row = null;
  let drawn = null; // the alarm as it was drawn
  let look = '';
  const id = () => row.alarm.alert_id;
  const box = h('input', { type: 'checkbox', tabindex: '-1', onchange: () => on.choose([id()], box.checked) });
  const cells = Object.fromEntries(COLUMNS.map((c) => [c, h('td', { class: `col-${c}` })]));
  for (const c of ['since', 'lasted', 'peak', 'times']) cells[c].classList.add('num');
  const link = h('button', { class: 'link', tabindex: '-1', onclick: () => on.open(id()) });
  const remarks = h('span', { class: 'sub' });
  cells.what.append(link, remarks);
  const boxCell = h('td', { class: 'col-box' }, box);
  const tr = h('tr', { class: 'alarm-row', 'data-key': key, tabindex: '-1', onclick: (e) => !e.target.closest('a,button,input') && on.open(id()) }, boxCell, COLUMNS.map((c) => cells[c]));

  function fill(a) {
    const raised = raisedAt(a);
    setAttr(tr, 'data-alert', a.alert_id);
    setAttr(box, 'aria-label', t('alarms.pick', { device: a.device_id }));
    cells.priority.replaceChildren(badge(a, t));
    const device = ctx.deviceLink(a.device_id, a);
    device.tabIndex = -1;
    cells.device.replaceChildren(device, h('span', { class: 'sub' }, ctx.placeLink(a.location)));
    setText(link, ctx.what(a));
    setText(remarks, remarksOf(ctx, a));
    setText(cells.since, ctx.fmt.clock(raised, ctx.plant.serverNow()));
    setAttr(cells.since, 'title', ctx.fmt.utc(raised));
    setText(cells.peak, ctx.peak(a));
    setText(cells.times, ctx.fmt.count(a.occurrence_count || 1));
    cells.seen.replaceChildren(a.ack ? h('span', { title: a.ack.note ?? '' }, a.ack.by) : '–');
  }

  return {
    tr,
    row: () => row,
    update(next, boxes) {
      row = next;
      const a = next.alarm;
      const known = `${ctx.sensors.version()} ${ctx.deviceName(a.device_id)}`; // what its texts are made with
      if (drawn !== a || look !== known) {
        drawn = a;
        look = known;
        fill(a);
      }
      const raised = raisedAt(a);
      setText(cells.lasted, a.status === 'active' ? ctx.age(raised) : ctx.fmt.age((a.cleared_at || a.timestamp) - raised, t));
      const chosen = on.isChosen(a.alert_id);
      if (box.checked !== chosen) box.checked = chosen;
      box.hidden = !boxes;
      const looks = ['alarm-row', `is-${stateOf(a)}`, next.of && 'is-folded', on.opened() === a.alert_id && 'is-open', chosen && 'is-chosen'].filter(Boolean).join(' ');
      if (tr.className !== looks) tr.className = looks;
    },
  };
}

function groupRow(ctx, on, key) {
  const { t } = ctx;
  let row = null;
  const ids = () => row.group.alarms.map((a) => a.alert_id);
  const box = h('input', { type: 'checkbox', tabindex: '-1', onchange: () => on.choose(ids(), box.checked) });
  const priority = h('td', { class: 'col-priority' });
  const link = h('button', { class: 'link', tabindex: '-1', onclick: () => on.unfold(row.group.key) });
  const since = h('span', { class: 'flood-since num' });
  const ack = h('button', { class: 'button is-small', tabindex: '-1', 'data-ack': true, onclick: () => on.acknowledge(row.group.alarms) });
  const tr = h('tr', { class: 'flood-row', 'data-key': key, tabindex: '-1', onclick: (e) => !e.target.closest('a,button,input') && on.unfold(row.group.key) },
    h('td', { class: 'col-box' }, box), priority, h('td', { class: 'col-fold', colspan: String(COLUMNS.length - 1) }, h('div', { class: 'flood-line' }, link, since, h('span', { class: 'panel-space' }), ack)));
  let worst = null;
  return {
    tr,
    row: () => row,
    update(next, boxes) {
      row = next;
      const g = next.group;
      const n = ctx.fmt.count(g.alarms.length);
      const first = g.alarms[0];
      if (stateOf(first) !== worst) {
        worst = stateOf(first);
        priority.replaceChildren(badge(first, t));
      }
      const open = on.isUnfolded(g.key);
      setText(link, `${open ? '▾' : '▸'} ${t('fold.row', { n, building: g.building || t('building.none'), type: ctx.typeText(g.type) })}`);
      setAttr(link, 'aria-expanded', String(open));
      setText(since, t('fold.since', { time: ctx.fmt.clock(g.since, ctx.plant.serverNow()) }));
      setText(ack, t('fold.acknowledge', { n }));
      ack.hidden = worst === 'acknowledged';
      setAttr(box, 'aria-label', t('fold.choose', { n }));
      const chosen = g.alarms.filter((a) => on.isChosen(a.alert_id)).length;
      box.checked = chosen === g.alarms.length;
      box.indeterminate = chosen > 0 && chosen < g.alarms.length;
      box.hidden = !boxes;
      setClass(tr, 'is-unfolded', open);
    },
  };
}
