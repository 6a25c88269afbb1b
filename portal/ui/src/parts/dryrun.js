// A dry run: other figures or another text of a rule, and what it would have done.
import { post } from '../core/api.js';
import { glyph, h, setText } from '../core/dom.js';
import { whyNot } from './ruleerrors.js';

const HOURS = [1, 6, 24, 72, 168];
/** Longer than the portal waits for core. */
const WITHIN = 35_000;

/**
 * createDryRun returns {el, trial(), onTrial(f)} for a form of a rule: trial() is what the last whole run said of the text as it is now, null if
 * there is none.
 */
export function createDryRun(ctx, scope, form) {
  const { t } = ctx;
  const hours = h('select', { class: 'control is-small', 'aria-label': t('rules.try.hours'), 'data-hours': true }, HOURS.map((n) => h('option', { value: n }, ctx.fmt.age(n * 3_600_000, t))));
  hours.value = '24';
  const run = h('button', { class: 'button', type: 'submit', 'data-run': true, 'data-needs': 'rule_change' }, t('rules.try.run'));
  const state = h('p', { class: 'panel-note', role: 'status', 'data-run-state': true });
  const outcome = h('div', { class: 'rule-outcome' });
  const listeners = [];
  let of = ''; // what the outcome that is shown is about
  let whole = null; // {hours, before, after} of it, if all of its time was covered

  /** subject is what a run is about: the text and what it is compared with. */
  const subject = () => JSON.stringify([form.content(), form.base().text]);

  async function start(event) {
    event.preventDefault();
    if (!form.check()) return;
    const [asked, span, content] = [subject(), Number(hours.value), form.content()];
    run.disabled = true;
    [of, whole] = ['', null];
    setText(state, t('rules.try.running'));
    outcome.replaceChildren();
    try {
      const { dry_run: answer } = await post('/api/v1/rules/dryrun', { hours: span, ...content }, { within: WITHIN });
      if (scope.isOver()) return;
      setText(state, '');
      if (answer.problems?.length > 0) form.show(answer.problems);
      else {
        outcome.replaceChildren(...outcomeOf(ctx, answer));
        of = asked;
        if (isWhole(answer)) whole = { hours: span, before: answer.before.total, after: answer.after.total };
      }
    } catch (e) {
      setText(state, t('rules.try.failed', { why: whyNot(ctx, e) }));
    }
    run.disabled = false;
    told();
  }

  /** told marks an outcome that is of another text by now. */
  function told() {
    const isFormer = of !== '' && of !== subject();
    if (of !== '') setText(state, isFormer ? t('rules.try.former') : '');
    outcome.classList.toggle('is-former', isFormer);
    for (const f of listeners) f();
  }

  form.onChange(told);
  return {
    el: h('form', { class: 'rule-try', novalidate: true, onsubmit: start },
      h('div', { class: 'rule-try-head' }, form.isNew ? null : h('h3', {}, t('rules.change')), form.head),
      form.el,
      h('div', { class: 'rule-try-end' }, h('strong', {}, t('rules.try')), h('label', {}, t('rules.try.hours'), ' ', hours), run, h('span', { class: 'panel-note' }, t('rules.try.note'))),
      state, outcome),
    onTrial: (f) => listeners.push(f),
    trial: () => (of === subject() ? whole : null),
  };
}

/** isWhole tells whether a run covered all of its time: only such a one goes with a proposal. */
const isWhole = (a) => a.readings > 0 && !a.incomplete && !a.held_since;

/** outcomeOf shows what the rule did and would have done. */
function outcomeOf(ctx, a) {
  const { t, fmt } = ctx;
  const moment = (ms) => fmt.moment(ms, ctx.plant.serverNow(), ctx.lang());
  if (!a.readings) return [h('p', { class: 'rule-result' }, t('rules.try.nothing'))];
  const change = a.after.total - a.before.total;
  const sign = change > 0 ? '+' : change < 0 ? '−' : '±';
  const gaps = [a.held_since ? t('rules.try.held', { since: moment(a.held_since) }) : '', a.incomplete ? t(`rules.try.${a.incomplete}`, { to: moment(a.to) }) : ''].filter(Boolean);
  return [
    h('p', { class: 'rule-result num', 'data-result': true }, t('rules.try.result', { before: fmt.count(a.before.total), after: fmt.count(a.after.total), change: `${sign}${fmt.count(Math.abs(change))}` })),
    h('p', { class: 'panel-note num' }, t('rules.try.read', { readings: fmt.count(a.readings), devices: fmt.count(a.devices), from: moment(a.from), to: moment(a.to) })),
    ...gaps.map((text) => h('p', { class: 'rule-gap' }, text)),
    h('div', { class: 'rule-sides' }, sideOf(ctx, t('rules.try.before'), a.before, 'before'), sideOf(ctx, t('rules.try.after'), a.after, 'after')),
  ];
}

function sideOf(ctx, title, side, name) {
  const { t, fmt } = ctx;
  const now = ctx.plant.serverNow();
  return h('section', { class: 'rule-side', 'aria-label': title, 'data-side': name },
    h('h4', {}, `${title} · ${fmt.count(side.total)} · ${t('rules.devices', { n: fmt.count(side.devices) })}`),
    h('ul', { tabindex: '0', 'aria-label': title }, side.alarms.map((a) => h('li', {}, glyph(a.severity), ctx.deviceLink(a.device_id), h('span', { class: 'num', title: fmt.utc(a.raised_at) }, fmt.clock(a.raised_at, now)), h('span', { class: 'sub num' }, a.cleared_at ? fmt.age(a.cleared_at - a.raised_at, t) : t('rules.try.active')))),
      side.total > side.alarms.length ? h('li', { class: 'sub' }, t('rules.try.more', { n: fmt.count(side.total - side.alarms.length) })) : null));
}
