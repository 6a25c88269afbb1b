// What differs between two texts, line by line.
import { h } from '../core/dom.js';
import { lineDiff } from '../model/rulechange.js';

const TAGS = { '-': 'del', '+': 'ins', ' ': 'span' };

/** diffOf returns the lines of both texts, those that differ marked by sign and colour, with what a screen reader says of them. */
export function diffOf(ctx, before, after) {
  const { t } = ctx;
  const said = { '-': t('rules.diff.gone'), '+': t('rules.diff.come'), ' ': '' };
  return h('ol', { class: 'diff', tabindex: '0', 'aria-label': t('rules.diff'), 'data-diff': true }, lineDiff(before, after).map(({ op, text }) =>
    h('li', { class: op === ' ' ? '' : op === '-' ? 'is-gone' : 'is-come' },
      h('span', { class: 'diff-sign', 'aria-hidden': 'true' }, op === '-' ? '−' : op), said[op] ? h('span', { class: 'sr-only' }, `${said[op]} `) : null, h(TAGS[op], {}, text))));
}
