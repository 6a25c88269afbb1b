// A rule as it is being changed: by its figures or by its whole text. What was typed is kept while the page is open.
import { h, setText } from '../core/dom.js';
import { changedFigures, differing, lineDiff, withFigures } from '../model/rulechange.js';
import { problemText } from '../model/ruleproblems.js';
import { createYamlField } from './yamlfield.js';

const drafts = new Map(); // rule → {byText, typed: {key: text}, yaml, reason}
const NEW = '';

/** beginWith keeps a text for when the form of a new rule is opened. */
export const beginWith = (yaml) => drafts.set(NEW, { byText: true, typed: {}, yaml });

/** createRuleForm makes the form of a rule; without one, of a new rule that begins with a text. */
export function createRuleForm(ctx, rule, template = '') {
  const { t } = ctx;
  const id = rule?.id ?? NEW;
  const draft = drafts.get(id) ?? { typed: {} };
  const listeners = [];
  let base = rule ?? { text: '' };
  let fields = [];
  let made = ''; // the text that the figures make, as it was put into the field
  let byText = false;
  const yaml = createYamlField(ctx, t('rules.try.yaml'));
  const general = h('ul', { class: 'rule-problems' });
  const figures = h('div', { class: 'rule-figures' });
  const modes = [false, true].map((m) => h('button', { type: 'button', class: 'button is-small', 'data-mode': m ? 'text' : 'form', onclick: () => choose(m) }, t(m ? 'rules.try.bytext' : 'rules.try.byform')));
  const group = h('span', { class: 'group', role: 'group', 'aria-label': t('rules.change') }, modes);
  const undo = h('button', { type: 'button', class: 'button is-small', 'data-discard': true, onclick: discard }, t('rules.change.discard'));

  function keep() {
    const typed = Object.fromEntries(fields.filter((f) => f.isTouched()).map((f) => [f.key, f.typed()]));
    if (Object.keys(typed).length === 0 && yaml.text() === made && !draft.reason) drafts.delete(id);
    else drafts.set(id, Object.assign(draft, { byText, typed, yaml: yaml.text() === made ? undefined : yaml.text() }));
  }

  function changed() {
    clear();
    keep();
    undo.hidden = !isChanged();
    for (const f of listeners) f();
  }

  /** build makes the fields of the rule as it is; figures that were typed stay. */
  function build(typed) {
    fields = fieldsOf(ctx, base);
    for (const f of fields) {
      if (f.key in typed) f.type(typed[f.key]);
      f.input.addEventListener('input', changed);
    }
    figures.replaceChildren(...fields.map((f) => f.el));
    group.hidden = fields.length === 0;
  }

  function values() {
    return Object.fromEntries(fields.filter((f) => f.valid()).map((f) => [f.key, f.value()]));
  }

  const fromFigures = () => (rule ? withFigures(base, changedFigures(base, values())) : template);
  const text = () => (byText ? yaml.text() : fromFigures());
  const isChanged = () => differing(lineDiff(base.text ?? '', text())) > 0 && (rule !== null || yaml.text() !== template);

  /** choose shows the figures or the text; the text takes over the figures unless it was written by hand. */
  function choose(mode) {
    if (mode && yaml.text() === made) yaml.set((made = fromFigures()));
    byText = mode;
    figures.hidden = mode;
    yaml.el.hidden = !mode;
    for (const [i, b] of modes.entries()) b.setAttribute('aria-pressed', String(Boolean(i) === mode));
    changed();
  }

  function clear() {
    general.replaceChildren();
    yaml.mark([]);
    for (const f of fields) f.mark('');
  }

  function discard() {
    drafts.delete(id);
    Object.assign(draft, { typed: {}, reason: '' });
    build({});
    yaml.set((made = fromFigures()));
    choose(byText);
  }

  build(draft.typed);
  made = fromFigures();
  yaml.set(draft.yaml ?? made);
  yaml.onInput(changed);
  choose(fields.length === 0 || Boolean(draft.byText));

  return {
    head: [group, undo],
    el: h('div', { class: 'rule-form' }, figures, yaml.el, h('div', { role: 'alert' }, general)),
    draft,
    keep,
    /** base is the rule that is changed. */
    base: () => base,
    isNew: rule === null,
    text,
    isChanged,
    /** content is what the portal is asked: other figures of the rule, or a text. */
    content: () => (byText ? { yaml: yaml.text() } : { rule: base.id, change: changedFigures(base, values()) }),
    figures: values,
    /** has tells whether the rule has a figure that can be changed. */
    has: (key) => fields.some((f) => f.key === key),
    /** set changes a figure as if it had been typed. */
    set(key, value) {
      if (byText) choose(false);
      fields.find((f) => f.key === key)?.type(value);
      changed();
    },
    onChange: (f) => listeners.push(f),
    /** check returns whether all figures are numbers, and marks those that are none. */
    check() {
      clear();
      const bad = byText ? [] : fields.filter((f) => !f.valid());
      for (const f of bad) f.mark(t('rules.try.number'));
      return bad.length === 0;
    },
    /** show puts each problem where it belongs: under its figure, or beside its line. */
    show(problems) {
      clear();
      if (byText) return yaml.mark(problems);
      for (const p of problems) {
        const at = fields.find((f) => f.name === p.field);
        const message = problemText(p.message, t);
        if (at) at.mark(message);
        else general.append(h('li', {}, [p.field, message].filter(Boolean).join(': ')));
      }
    },
    /** rebase goes on with the rule as it is by now; what was typed stays. */
    rebase(now) {
      const untouched = yaml.text() === made;
      const typed = Object.fromEntries(fields.filter((f) => f.isTouched()).map((f) => [f.key, f.typed()]));
      base = now;
      build(typed);
      made = fromFigures();
      if (untouched) yaml.set(made);
      choose(byText || fields.length === 0);
    },
    /** take fills in another text. */
    take(other) {
      yaml.set(other);
      choose(true);
    },
    /** done forgets what was typed: it was proposed. */
    done: discard,
  };
}

/** fieldsOf returns the figures that a rule has: of two conditions those of the first cannot be told apart, so only the delays. */
function fieldsOf(ctx, rule) {
  if (!rule.id || rule.disabled || rule.kind === 'offline') return [];
  const { t } = ctx;
  const unit = [rule.unit, rule.per ? t(`rules.per.${rule.per}`) : ''].filter((u) => u && u !== '1').join('/');
  const named = (name) => (unit ? t(`rules.try.${name}`, { unit }) : t(`rules.try.${name}.plain`));
  return [
    ...(typeof rule.limit === 'number' && !rule.other ? [field('limit', 'limit', named('limit'), rule.limit), field('deadband', 'deadband', named('deadband'), rule.deadband ?? 0)] : []),
    field('on_delay', 'on_delay_ms', t('rules.try.on'), rule.on_delay_ms ?? 0, 1000),
    field('off_delay', 'off_delay_ms', t('rules.try.off'), rule.off_delay_ms ?? 0, 1000),
  ];
}

/** field is one figure: shown in the unit that is scale times that of its value. */
function field(name, key, label, value, scale = 1) {
  const shown = (v) => String(+(v / scale).toPrecision(10));
  const error = h('span', { class: 'field-error', role: 'alert' });
  const input = h('input', { class: 'control num', type: 'text', inputmode: 'decimal', 'data-figure': name, autocomplete: 'off', value: shown(value) });
  const number = () => (input.value.trim() === '' ? NaN : Number(input.value));
  return {
    name,
    key,
    input,
    el: h('label', {}, label, input, error),
    value: () => (scale === 1 ? number() : Math.round(number() * scale)),
    valid: () => Number.isFinite(number()),
    typed: () => input.value,
    isTouched: () => input.value !== shown(value),
    /** type fills in a value, or a text as it was typed. */
    type: (v) => (input.value = typeof v === 'number' ? shown(v) : v),
    mark(message) {
      setText(error, message);
      input.setAttribute('aria-invalid', String(message !== ''));
    },
  };
}
