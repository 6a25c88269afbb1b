// What needs attention: one sentence that answers "is anything wrong", and a list of what holds.
import { glyph, h, setAttr, setClass, setText } from '../core/dom.js';
import { holds, isOverUnseen, raisedAt, SEVERITIES, sortAlarms, stateOf } from '../model/alarms.js';
import { isWhole } from '../model/fleet.js';
import { fold } from '../model/flood.js';
import { badge, panel } from './badge.js';
import { createFloodBadge } from './floodbadge.js';

const LISTED = 40;
const OVER = '#/alarms?tab=over';

/** createSentence is the line over the overview. */
export function createSentence(ctx, scope) {
  const { t } = ctx;
  const parts = SEVERITIES.map((severity) => {
    const text = h('span', { class: 'num' });
    return { severity, text, el: h('a', { class: `sentence-part sentence-${severity}`, href: `#/alarms?severity=${severity}`, 'data-holds': severity }, glyph(severity), text) };
  });
  const calm = h('span', { class: 'sentence-calm' });
  const over = h('a', { class: 'num sentence-over', href: OVER, 'data-over': true });
  const flood = createFloodBadge(ctx, scope);
  const el = h('section', { class: 'panel sentence', 'aria-label': t('sentence') }, calm, parts.map((p) => p.el), over, flood.el);
  scope.draw(() => {
    const all = ctx.alarms.list((a) => holds(a) && ctx.concerns(a));
    const unseen = ctx.alarms.list((a) => isOverUnseen(a) && ctx.concerns(a)).length;
    const worst = SEVERITIES.find((s) => all.some((a) => a.severity === s));
    for (const p of parts) {
      const of = all.filter((a) => a.severity === p.severity);
      const n = ctx.fmt.count(of.length);
      setText(p.text, p.severity === worst ? t('sentence.worst', { n, where: whereOf(ctx, of) }) : n);
      setAttr(p.el, 'aria-label', `${t(`severity.${p.severity}`)} ${p.text.textContent}`);
      setClass(p.el, 'is-zero', of.length === 0);
      p.el.hidden = all.length === 0;
    }
    const last = ctx.alarms.lastCleared();
    calm.hidden = all.length > 0;
    setText(calm, last ? t('alarms.none.last', { age: ctx.age(last) }) : t('alarms.none'));
    over.hidden = unseen === 0;
    setText(over, t('sentence.over', { n: ctx.fmt.count(unseen) }));
  }, ['alarms', 'view', 'slow']);
  return el;
}

/** whereOf says since when the oldest of alarms holds and where it is, and how many more places there are. */
function whereOf(ctx, alarms) {
  const oldest = alarms.reduce((a, b) => (raisedAt(b) < raisedAt(a) ? b : a));
  const place = ({ location: l, gateway = '' }) => (!l?.building ? gateway : isWhole(l) ? l.building : ctx.t('place.floor', { building: l.building, floor: l.floor }));
  const places = new Set(alarms.map(place));
  const time = ctx.fmt.moment(raisedAt(oldest), ctx.plant.serverNow(), ctx.lang());
  return ctx.t('sentence.since', { time, place: place(oldest), more: places.size > 1 ? ` +${places.size - 1}` : '' });
}

/** createAttention is the list of what holds. */
export function createAttention(ctx, scope) {
  const { t } = ctx;
  const list = h('ol', { class: 'attention-list' });
  const rest = h('a', { class: 'panel-note num', href: '#/alarms' });
  const over = h('a', { class: 'attention-over num', href: OVER });
  const p = panel('attention', t('attention.title'), list, over);
  p.head.append(h('span', { class: 'panel-space' }), rest);
  let drawn = '';
  scope.draw(() => {
    const all = sortAlarms(ctx.alarms.list((a) => holds(a) && ctx.concerns(a)));
    const unseen = ctx.alarms.list((a) => isOverUnseen(a) && ctx.concerns(a)).length;
    const rows = fold(all);
    setText(rest, t('attention.count', { n: ctx.fmt.count(all.length) }));
    over.hidden = unseen === 0;
    setText(over, t('sentence.over', { n: ctx.fmt.count(unseen) }));
    const shown = rows.slice(0, LISTED);
    const is = JSON.stringify([rows.length, ctx.sensors.version(), shown.map((r) => (r.alarm ? [r.alarm.alert_id, r.alarm.revision, ctx.deviceName(r.alarm.device_id)] : [r.group.key, r.group.alarms.length]))]);
    if (is === drawn && all.length > 0) {
      for (const el of list.querySelectorAll('[data-since]')) setText(el, ctx.age(Number(el.dataset.since)));
      return;
    }
    drawn = is;
    const key = list.contains(document.activeElement) ? document.activeElement.dataset.key : '';
    list.replaceChildren(...(all.length === 0 ? [emptyRow(ctx)] : shown.map((r) => (r.alarm ? alarmRow(ctx, r) : groupRow(ctx, r.group)))));
    if (key) list.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }, ['alarms', 'view', 'slow', 'fleet', 'sensors']);
  return p.el;
}

function emptyRow(ctx) {
  const last = ctx.alarms.lastCleared();
  return h('li', { class: 'empty' }, last ? ctx.t('alarms.none.last', { age: ctx.age(last) }) : ctx.t('alarms.none'));
}

function alarmRow(ctx, { alarm: a, of }) {
  return h('li', { class: `attention-row is-${stateOf(a)}${of ? ' is-folded' : ''}`, 'data-alert': a.alert_id },
    badge(a, ctx.t),
    h('a', { class: 'attention-device', href: ctx.alarmHref(a), title: a.device_id, 'data-key': `x/${a.alert_id}` }, ctx.deviceName(a.device_id)),
    h('span', { class: 'attention-what', title: ctx.what(a) }, ctx.what(a)),
    h('span', { class: 'attention-since num', 'data-since': raisedAt(a) }, ctx.age(raisedAt(a))));
}

function groupRow(ctx, g) {
  const { t } = ctx;
  const n = ctx.fmt.count(g.alarms.length);
  return h('li', { class: 'attention-row attention-group', 'data-group': g.key },
    badge(g.alarms[0], t),
    h('a', { class: 'attention-device', href: `#/alarms?severity=${g.severity}` }, t('fold.row', { n, building: g.building || t('building.none'), type: ctx.typeText(g.type) })),
    stateOf(g.alarms[0]) === 'acknowledged' ? null : h('button', { class: 'button is-small', 'data-needs': 'alarm_command', 'data-key': `y/${g.key}`, 'aria-label': t('fold.acknowledge', { n }), onclick: () => ctx.commands.ask('acknowledge', g.alarms) }, t('command.acknowledge')),
    h('span', { class: 'attention-since num', 'data-since': g.since }, ctx.age(g.since)));
}
