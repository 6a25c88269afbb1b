// Which time a chart shows: one of the ranges up to now, or from–to.
import { h, setAttr } from '../core/dom.js';
import { RANGES } from '../model/series.js';
import { filled } from '../model/window.js';

/** Without history only what came since the page was opened is there. */
const SHORT = RANGES['5m'];

/**
 * createRange makes the buttons. state is {range, from, to}, which it changes; from is 0 while the
 * range ends now. onChange() is called after a person chose.
 */
export function createRange(ctx, state, onChange) {
  const { t } = ctx;
  const choose = (range, from = 0, to = 0) => {
    Object.assign(state, { range, from: Math.round(from), to: Math.round(to) });
    show();
    onChange();
  };
  const buttons = Object.keys(RANGES).map((r) => h('button', { class: 'button is-small', 'data-range': r, onclick: () => choose(r) }, r));
  const input = (label) => h('input', { class: 'control is-small', type: 'datetime-local', step: 1, 'aria-label': label, title: label });
  const from = input(t('range.from'));
  const to = input(t('range.to'));
  const apply = () => {
    const [a, b] = [Date.parse(from.value), Date.parse(to.value)];
    if (a < b) choose(state.range, a, b);
    else (from.value ? to : from).focus();
  };
  const reset = h('button', { class: 'button is-small', 'data-reset': true, onclick: () => choose(state.range) }, t('range.reset'));
  const form = h('span', { class: 'group range-form', hidden: true }, from, '–', to, h('button', { class: 'button is-small', 'data-apply': true, onclick: apply }, t('range.show')));
  const open = h('button', { class: 'button is-small', 'data-from-to': true, 'aria-expanded': 'false', onclick: () => {
    form.hidden = !form.hidden;
    setAttr(open, 'aria-expanded', String(!form.hidden));
    if (!form.hidden) fill();
  } }, t('range.between'));

  function fill() {
    const [a, b] = window();
    from.value = local(a);
    to.value = local(b);
  }

  function show() {
    for (const b of buttons) setAttr(b, 'aria-pressed', String(!state.from && b.dataset.range === state.range));
    setAttr(open, 'aria-pressed', String(state.from > 0));
    reset.hidden = !state.from;
    if (!form.hidden) fill();
  }

  function window() {
    if (state.from) return [state.from, state.to];
    const now = ctx.view.paused || ctx.plant.serverNow();
    return [now - RANGES[state.range], now];
  }

  show();
  return {
    el: h('span', { class: 'group', role: 'group', 'aria-label': t('range') }, buttons, open, form, reset),
    window,
    zoom: (a, b) => choose(state.range, a, b),
    /** peek shows another time, as while a person drags; a choice ends it. */
    peek(a, b) {
      Object.assign(state, { from: Math.round(a), to: Math.round(b) });
      show();
    },
    reset: () => choose(state.range),
    /**
     * limit disables the ranges that are not held; the reason is empty when all are. begins is when the oldest reading
     * was taken that is kept, null: not known. A range that shows no more than a shorter one says so.
     */
    limit(reason, begins = null) {
      const now = ctx.plant.serverNow();
      const more = filled(Object.values(RANGES), begins ?? 1, now);
      const why = begins ? t('range.no_more', { time: ctx.fmt.moment(begins, now, ctx.lang()) }) : t('series.nothing');
      buttons.forEach((b, i) => {
        const text = RANGES[b.dataset.range] <= SHORT || (reason === '' && more[i]) ? '' : reason || why;
        b.disabled = text !== '';
        setAttr(b, 'title', text);
      });
      open.disabled = reason !== '';
      open.title = reason;
    },
  };
}

/** local is a time as an input shows it. */
export function local(ms) {
  const d = new Date(ms);
  return new Date(ms - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** historyNote says of courses what history does not show; limit is why ranges are not held, if they are not, begins since when they are. */
export function historyNote(ctx, courses, from) {
  return { ...noteOf(ctx, courses, from), begins: begin(courses) };
}

/** begin is when the oldest reading of courses was taken that is kept, 0: there is none, null: not known. */
function begin(courses) {
  const known = courses.map((c) => c.begins()).filter((b) => b !== null);
  const kept = known.filter((b) => b > 0);
  if (kept.length > 0) return Math.min(...kept);
  return known.length > 0 ? 0 : null;
}

function noteOf(ctx, courses, from) {
  const { t } = ctx;
  const failure = courses.map((c) => c.failure()).find(Boolean);
  if (failure?.code === 'history_off') return { text: t('history.off'), limit: t('history.off') };
  if (failure?.code === 'history_unavailable') {
    return { text: t(courses.some((c) => c.isHeld()) ? 'history.kept' : 'history.unreachable'), limit: t('history.unreachable') };
  }
  if (failure) return { text: failure.status === 404 ? t('device.missing') : t('load.failed', { why: failure.message }), limit: '' };
  const now = ctx.plant.serverNow();
  const texts = courses.map((c) => {
    if (c.begins() === 0) return t('series.nothing');
    return c.begins() > from + 15_000 ? t('series.begins', { time: ctx.fmt.moment(c.begins(), now, ctx.lang()) }) : '';
  });
  if (new Set(texts).size === 1) return { text: texts[0], limit: '' };
  const by = new Map(); // text → names
  texts.forEach((text, i) => text && by.set(text, [...(by.get(text) ?? []), ctx.deviceName(courses[i].id)]));
  return { text: [...by].map(([text, names]) => `${names.join(', ')}: ${text}`).join(' · '), limit: '' };
}
