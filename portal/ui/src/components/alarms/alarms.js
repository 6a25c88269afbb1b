// The live list of alarms: active ones first, by priority, then the newest; below them what
// cleared lately. Nothing is left out silently: what does not fit is counted.
import { glyph, h, setAttr, setClass, setText } from '../../core/dom.js';
import { age, clock, count, fixed, THIN, utc } from '../../core/format.js';
import { rank, sortAlarms } from '../../core/store.js';

const MOST_ACTIVE = 100;
const MOST_CLEARED = 30;

const units = { temperature: '°C', humidity: '%', pressure: 'hPa', current: 'A' };

/** describe says what an alarm is about: temperature 92.4 °C > 80.0 °C. */
export function describe(a, t) {
  const p = a.threshold?.parameter;
  if (!p) return a.message || a.alert_type;
  const unit = units[p] ? THIN + units[p] : '';
  const shown = a.status === 'active' ? a.current_value : (a.peak_value ?? a.current_value);
  return `${t(`param.${p}`)} ${fixed(shown, 1)}${unit} ${a.threshold.operator} ${fixed(a.threshold.value, 1)}${unit}`;
}

export function createAlarms(ctx) {
  const { store, view } = ctx;
  const title = h('h2', { class: 'panel-title' });
  const note = h('span', { class: 'panel-note num' });
  const clear = h('button', { type: 'button', class: 'link', hidden: true, onclick: () => view.set({ severity: '' }) });
  const active = h('ul', { class: 'alarm-list' });
  const activeMore = h('p', { class: 'empty', hidden: true });
  const empty = h('p', { class: 'empty' });
  const recent = h('h3', { class: 'alarm-sub', hidden: true });
  const cleared = h('ul', { class: 'alarm-list is-cleared' });
  const announcer = h('p', { class: 'sr-only', 'aria-live': 'assertive' });
  const rows = new Map();

  function makeRow(a) {
    const name = h('button', {
      type: 'button',
      class: 'alarm-device link',
      onclick: () => {
        view.set({ text: a.device_id, building: '' });
        document.getElementById('devices')?.scrollIntoView({ block: 'nearest' });
      },
    }, a.device_id);
    const r = {
      badge: h('span', { class: `badge badge-${a.severity}` }, glyph(a.severity), h('span', { class: 'num' }, String(rank(a.severity) + 1))),
      name,
      place: h('span', { class: 'alarm-place' }),
      what: h('span', { class: 'alarm-what num' }),
      lasted: h('span', { class: 'alarm-lasted num' }),
      when: h('span', { class: 'alarm-when num' }),
    };
    r.el = h('li', { class: 'alarm' }, r.badge, h('div', { class: 'alarm-main' },
      h('div', { class: 'alarm-line' }, name, r.place), r.lasted, r.what, r.when));
    return r;
  }

  function drawRow(r, a, now) {
    const { t } = ctx;
    const l = a.location;
    setText(r.place, l?.building ? t('place.floor', { building: l.building, floor: l.floor ?? '–', room: l.room || '–' }) : '');
    setText(r.what, describe(a, t));
    const from = a.raised_at || a.timestamp;
    const to = a.cleared_at || a.timestamp;
    const isActive = a.status === 'active';
    setText(r.lasted, isActive ? age(now - from, t) : t('alarms.lasted', { age: age(to - from, t) }));
    setText(r.when, t(isActive ? 'alarms.since' : 'alarms.cleared', { time: clock(isActive ? from : to, now) }));
    setAttr(r.when, 'title', utc(isActive ? from : to));
    setAttr(r.badge, 'title', t(`severity.${a.severity}`));
    setAttr(r.badge, 'aria-label', t(`severity.${a.severity}`));
    setAttr(r.badge, 'role', 'img');
    setAttr(r.name, 'title', t('alarms.show', { device: a.device_id }));
    setClass(r.el, 'is-cleared', !isActive);
  }

  function fill(box, list, now) {
    list.forEach((a, i) => {
      let r = rows.get(a.alert_id);
      if (!r) {
        r = makeRow(a);
        rows.set(a.alert_id, r);
      }
      if (box.children[i] !== r.el) box.insertBefore(r.el, box.children[i] ?? null);
      drawRow(r, a, now);
    });
    while (box.children.length > list.length) box.lastChild.remove();
  }

  function drawEmpty(activeList, clearedList, now) {
    const { t } = ctx;
    const last = clearedList[0];
    setAttr(empty, 'hidden', activeList.length > 0);
    if (view.severity) setText(empty, t('alarms.none.filtered'));
    else if (last) setText(empty, t('alarms.none.last', { age: age(now - (last.cleared_at || last.timestamp), t) }));
    else setText(empty, t(store.state.stats ? 'alarms.none' : 'load.wait'));
  }

  function draw() {
    const { t } = ctx;
    const now = store.serverNow();
    const sorted = sortAlarms([...store.alerts.values()].filter((a) => !view.severity || a.severity === view.severity));
    const cut = sorted.findIndex((a) => a.status !== 'active');
    const activeList = cut < 0 ? sorted : sorted.slice(0, cut);
    const clearedList = cut < 0 ? [] : sorted.slice(cut);
    setText(title, t('alarms.title'));
    const by = store.activeBySeverity();
    const total = by.critical + by.high + by.medium + by.low + by.other;
    setText(note, view.severity
      ? `${t(`severity.${view.severity}`)}: ${t('alarms.filtered', { shown: count(activeList.length), total: count(total) })}`
      : t('alarms.count', { active: count(total), cleared: count(store.clearedTotal()) }));
    setText(clear, t('devices.clear'));
    setAttr(clear, 'hidden', !view.severity);
    fill(active, activeList.slice(0, MOST_ACTIVE), now);
    fill(cleared, clearedList.slice(0, MOST_CLEARED), now);
    setAttr(activeMore, 'hidden', activeList.length <= MOST_ACTIVE);
    setText(activeMore, t('alarms.more', { n: count(activeList.length - MOST_ACTIVE) }));
    setAttr(recent, 'hidden', clearedList.length === 0);
    setText(recent, t('alarms.recent'));
    drawEmpty(activeList, clearedList, now);
    setClass(scroller, 'is-dim', ctx.dimmed());
    for (const [id, r] of rows) if (!r.el.isConnected) rows.delete(id);
  }

  ctx.onNewAlarm((a) => {
    if (a.severity === 'critical') setText(announcer, ctx.t('alarms.new', { device: a.device_id, what: describe(a, ctx.t) }));
  });
  const scroller = h('div', { class: 'scroller', tabindex: 0, role: 'region' }, empty, active, activeMore, recent, cleared);
  ctx.component(() => {
    setAttr(scroller, 'aria-label', ctx.t('alarms.title'));
    draw();
  }, ['alarms', 'socket', 'stats', 'view', 'tick']);
  return h('section', { class: 'panel alarms', id: 'alarms' },
    h('div', { class: 'panel-head' }, title, note, h('span', { class: 'card-space' }), clear), scroller, announcer);
}
