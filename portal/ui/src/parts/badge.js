// The look of alarms and ages: priority by colour, shape and number.
import { glyph, h, setAttr, setClass, setText } from '../core/dom.js';
import { rank, stateOf } from '../model/alarms.js';

/** badge shows an alarm's priority and state. */
export function badge(alarm, t) {
  const severity = alarm.severity;
  const state = stateOf(alarm);
  const label = `${t('priority', { n: rank(severity) + 1 })} ${t(`severity.${severity}`)}, ${t(`alarmstate.${state}`)}`;
  return h(
    'span',
    { class: `badge badge-${severity} is-${state}${alarm.shelved ? ' is-shelved' : ''}`, role: 'img', 'aria-label': label, title: label },
    glyph(severity),
    h('span', { class: 'num', 'aria-hidden': 'true' }, rank(severity) + 1),
    state === 'returned_unacknowledged' ? h('span', { 'aria-hidden': 'true' }, '✓') : null,
    alarm.shelved ? h('span', { 'aria-hidden': 'true' }, '◷') : null,
  );
}

/** field is a labelled value; set(text, note) changes it. */
export function field(label) {
  const name = h('span', { class: 'field-label' }, label);
  const value = h('span', { class: 'field-value num' });
  const note = h('span', { class: 'field-note' });
  const el = h('div', { class: 'field' }, name, value, note);
  return {
    el,
    set(text, more = '', bad = false) {
      setText(value, text);
      setText(note, more);
      setAttr(note, 'hidden', more === '');
      setClass(el, 'is-bad', bad);
    },
    rename: (text) => setText(name, text),
  };
}

/** panel is a card with a heading and a body; head can have more controls. */
export function panel(name, title, ...body) {
  const heading = h('h2', { class: 'panel-title' }, title);
  const head = h('header', { class: 'panel-head' }, heading);
  const el = h('section', { class: `panel ${name}`, 'aria-label': title }, head, ...body);
  return { el, head, heading };
}
