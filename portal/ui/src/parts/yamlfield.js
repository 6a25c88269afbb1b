// A field for the text of a rule: its lines have numbers, and problems stand beside their lines.
import { h } from '../core/dom.js';
import { lineAt } from '../model/rulechange.js';
import { problemText } from '../model/ruleproblems.js';

const LEAST = 8; // lines that are shown

/** createYamlField returns {el, text(), set(text), mark(problems), onInput(f)}. Tab leaves the field. */
export function createYamlField(ctx, label) {
  const { t } = ctx;
  const area = h('textarea', { class: 'control yaml-text', spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', wrap: 'off', 'aria-label': label, 'data-yaml': true });
  const numbers = h('div', { class: 'yaml-numbers num', 'aria-hidden': 'true' });
  const problems = h('ul', { class: 'rule-problems' });
  const el = h('div', { class: 'yaml-field' }, numbers, area, h('div', { role: 'alert' }, problems));
  let wrong = new Set(); // numbers of lines

  function number() {
    const n = Math.max(area.value.split('\n').length, LEAST);
    area.rows = n + 1; // room for a scroll bar below the last line
    numbers.replaceChildren(...Array.from({ length: n }, (_, i) => h('span', wrong.has(i + 1) ? { class: 'is-wrong' } : {}, String(i + 1))));
  }

  function select(line) {
    area.focus();
    area.setSelectionRange(...lineAt(area.value, line));
  }

  const field = (p) => (p.field ?? '').replace(/^rules\[0\]\.?/, ''); // there is one rule here
  const words = (p) => (p.line ? t('rules.try.line', { line: p.line, field: field(p), message: problemText(p.message, t) }) : [field(p), problemText(p.message, t)].filter(Boolean).join(': '));

  /** place puts each problem beside its line, below the one before where two are near. */
  function place() {
    let free = 0;
    for (const li of problems.children) {
      const top = Math.max((Number(li.dataset.line) - 1) * 20, free);
      li.style.setProperty('--top', `${top}px`);
      free = top + li.offsetHeight;
    }
    problems.style.setProperty('--height', `${free}px`);
  }

  area.addEventListener('input', number);
  return {
    el,
    text: () => area.value,
    set(text) {
      area.value = text;
      number();
    },
    onInput: (f) => area.addEventListener('input', f),
    focus: () => area.focus(),
    /** mark shows problems, none with an empty list, and selects the first line that has one. */
    mark(list) {
      wrong = new Set(list.map((p) => p.line).filter(Boolean));
      area.setAttribute('aria-invalid', String(list.length > 0));
      const sorted = [...list].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
      problems.replaceChildren(...sorted.map((p) => h('li', { 'data-line': p.line || 1 }, p.line ? h('button', { type: 'button', class: 'link', onclick: () => select(p.line) }, words(p)) : words(p))));
      number();
      place();
      const first = sorted.find((p) => p.line);
      if (first) select(first.line);
    },
  };
}
