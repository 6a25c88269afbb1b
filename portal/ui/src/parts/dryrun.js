// A dry run: other figures or another text of a rule, and what it would have done.
import { post } from '../core/api.js';
import { glyph, h, setText } from '../core/dom.js';

const HOURS = [1, 6, 24, 72, 168];
/** Longer than the portal waits for core. */
const WITHIN = 35_000;

/** createDryRun returns the form and the outcome for one rule. */
export function createDryRun(ctx, scope, rule) {
  const { t } = ctx;
  const unit = [rule.unit, rule.per ? t(`rules.per.${rule.per}`) : ''].filter((u) => u && u !== '1').join('/');
  const fields = fieldsOf(ctx, rule, unit);
  const text = h('textarea', { class: 'control rule-yaml', rows: '12', spellcheck: 'false', 'aria-label': t('rules.try.yaml'), 'data-yaml': true });
  text.value = rule.text ?? '';
  const hours = h('select', { class: 'control is-small', 'aria-label': t('rules.try.hours'), 'data-hours': true }, HOURS.map((n) => h('option', { value: n }, ctx.fmt.age(n * 3_600_000, t))));
  hours.value = '24';
  const run = h('button', { class: 'button is-primary', type: 'submit', 'data-run': true }, t('rules.try.run'));
  const problems = h('ul', { class: 'rule-problems', role: 'alert' });
  const state = h('p', { class: 'panel-note', role: 'status' });
  const outcome = h('div', { class: 'rule-outcome' });
  let byText = fields.length === 0 || rule.disabled;
  const figures = h('div', { class: 'rule-figures' }, fields.map((f) => f.el));
  const modes = [false, true].map((m) => h('button', { type: 'button', class: 'button is-small', 'data-mode': m ? 'text' : 'form', onclick: () => choose(m) }, t(m ? 'rules.try.bytext' : 'rules.try.byform')));

  function choose(mode) {
    byText = mode;
    figures.hidden = mode;
    text.hidden = !mode;
    for (const [i, b] of modes.entries()) b.setAttribute('aria-pressed', String(Boolean(i) === mode));
    clear();
  }

  function clear() {
    problems.replaceChildren();
    for (const f of fields) f.mark('');
  }

  /** show puts each problem where it belongs: under its field, or in the list with its line. */
  function show(list) {
    for (const p of list) {
      const at = !byText && fields.find((f) => f.name === p.field);
      if (at) at.mark(p.message);
      else problems.append(h('li', {}, p.line ? t('rules.try.line', { line: p.line, field: p.field ?? '', message: p.message }) : [p.field, p.message].filter(Boolean).join(': ')));
    }
    const line = byText && list.find((p) => p.line)?.line;
    if (line) {
      const lines = text.value.split('\n');
      const start = lines.slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0);
      text.focus();
      text.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
    }
  }

  async function start(event) {
    event.preventDefault();
    clear();
    const bad = byText ? [] : fields.filter((f) => !f.valid()).map((f) => ({ field: f.name, message: t('rules.try.number') }));
    if (bad.length > 0) return show(bad);
    run.disabled = true;
    setText(state, t('rules.try.running'));
    outcome.replaceChildren();
    const change = Object.fromEntries(fields.map((f) => [f.key, f.value()]));
    try {
      const { dry_run: answer } = await post('/api/v1/rules/dryrun', { hours: Number(hours.value), ...(byText ? { yaml: text.value } : { rule: rule.id, change }) }, { within: WITHIN });
      if (scope.isOver()) return;
      setText(state, '');
      if (answer.problems?.length > 0) show(answer.problems);
      else outcome.replaceChildren(...outcomeOf(ctx, answer));
    } catch (e) {
      setText(state, t('rules.try.failed', { why: e.message }));
    }
    run.disabled = false;
  }

  const el = h('form', { class: 'rule-try', novalidate: true, onsubmit: start },
    h('div', { class: 'rule-try-head' }, h('h3', {}, t('rules.try')), fields.length > 0 ? h('span', { class: 'group' }, modes) : null, h('span', { class: 'panel-note' }, t('rules.try.note'))),
    figures, text, problems,
    h('div', { class: 'rule-try-end' }, h('label', {}, t('rules.try.hours'), ' ', hours), run, state), outcome);
  choose(byText);
  return { el, /** guide returns the figures as they are being typed. */ guide: () => Object.fromEntries(fields.filter((f) => f.valid()).map((f) => [f.key, f.value()])), onGuide: (f) => figures.addEventListener('input', f) };
}

/** fieldsOf returns the figures that a rule has: of two conditions those of the first cannot be told apart, so only the delays. */
function fieldsOf(ctx, rule, unit) {
  if (rule.disabled) return [];
  const { t } = ctx;
  const make = (name, key, label, value, scale = 1) => {
    const input = h('input', { class: 'control num', type: 'text', inputmode: 'decimal', 'data-figure': name, autocomplete: 'off' });
    input.value = String(+(value / scale).toPrecision(10));
    const error = h('span', { class: 'field-error', role: 'alert' });
    const number = () => (input.value.trim() === '' ? NaN : Number(input.value));
    return {
      name,
      key,
      el: h('label', {}, label, input, error),
      value: () => (scale === 1 ? number() : Math.round(number() * scale)),
      valid: () => Number.isFinite(number()),
      mark(message) {
        setText(error, message);
        input.setAttribute('aria-invalid', String(message !== ''));
      },
    };
  };
  const named = (name) => (unit ? t(`rules.try.${name}`, { unit }) : t(`rules.try.${name}.plain`));
  const out = [];
  if (typeof rule.limit === 'number' && !rule.other) {
    out.push(make('limit', 'limit', named('limit'), rule.limit), make('deadband', 'deadband', named('deadband'), rule.deadband ?? 0));
  }
  if (rule.kind !== 'offline') {
    out.push(make('on_delay', 'on_delay_ms', t('rules.try.on'), rule.on_delay_ms, 1000), make('off_delay', 'off_delay_ms', t('rules.try.off'), rule.off_delay_ms, 1000));
  }
  return out;
}

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
