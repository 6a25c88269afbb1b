// The rules in force: what each says, what it did in a day, and the changes of them that wait for a second person.
import { glyph, h, setText } from '../core/dom.js';
import { format } from '../core/router.js';
import { problemText } from '../model/ruleproblems.js';
import { noisiest, rulesInForce } from '../model/rules.js';
import { changesOf, createPending } from '../parts/rulechanges.js';
import { createGoneRule, createNewRule, createRuleDetail } from '../parts/ruledetail.js';
import { ruleDelays, ruleText, ruleWhere } from '../parts/rules.js';

const RELOAD = 15_000;
const KNOWN = 5500; // ms after which the portal's answer has what was changed
const MOST = 100; // changes that wait

export function createRulesPage(ctx, scope, route) {
  const { t } = ctx;
  let answer = null;
  let failure = '';
  let shown = { key: '', detail: null }; // what is open
  let waiting = { changes: [], failure: '' }; // for a second person
  let soon = 0;
  const page = { version: () => answer.version, reload };
  const pending = createPending(ctx, reload);
  const filter = h('input', { class: 'control is-small', type: 'search', placeholder: t('rules.filter'), 'aria-label': t('rules.filter'), maxlength: '128', 'data-rule-filter': true, oninput: () => (ctx.setParams({ q: filter.value }), draw(true)) });
  filter.value = route.params.q ?? '';
  const note = h('p', { class: 'panel-note', role: 'status', 'data-rules-note': true });
  const body = h('tbody');
  const outOfForce = h('ul', { class: 'rule-problems', 'data-out-of-force': true });
  const detail = h('div', { class: 'rule-detail' });

  /** words is what a filter looks in. */
  const words = (r) => [r.id, r.type, ctx.typeText(r.type), ruleText(r, ctx), ruleWhere(r, ctx), r.parameter ?? ''].join('\n').toLowerCase();

  /** about says where a rule comes from, and whether a change of it waits. */
  function about(r) {
    const type = ctx.typeText(r.type);
    return [r.disabled ? t('rules.disabled') : '', type === r.id ? '' : type, t(`rules.source.${r.origin ?? r.source}`), waiting.changes.some((c) => c.rule === r.id) ? t('rules.state.proposed') : ''].filter(Boolean).join(' · ');
  }

  function row(r) {
    const { fmt } = ctx;
    const day = r.day ?? {};
    const isOpen = r.id === route.subject;
    return h('tr', { class: `${r.disabled ? 'is-disabled' : ''}${isOpen ? ' is-open' : ''}`, 'data-rule': r.id },
      h('td', { class: 'col-rule' }, h('a', { href: format({ page: 'rules', subject: isOpen ? '' : r.id, params: { q: filter.value.trim() } }), 'aria-expanded': String(isOpen) }, glyph(r.severity), ' ', r.id), h('span', { class: 'sub' }, about(r))),
      h('td', { class: 'col-says' }, r.disabled && r.kind === 'offline' ? '–' : ruleText(r, ctx), h('span', { class: 'sub num' }, ruleDelays(r, ctx))),
      h('td', { class: 'col-holds' }, t('rules.devices', { n: fmt.count(r.devices) }), h('span', { class: 'sub' }, ruleWhere(r, ctx))),
      h('td', { class: 'num', 'data-label': t('rules.col.raised') }, fmt.count(day.raised ?? 0)),
      h('td', { class: 'num', 'data-label': t('rules.col.share') }, day.raised ? `${Math.round(day.share * 100)}${fmt.THIN}%` : '–'),
      h('td', { class: 'num', 'data-label': t('rules.col.standing') }, fmt.count(day.standing ?? 0)),
      h('td', { class: 'num', 'data-label': t('rules.col.seen') }, fmt.count(day.acknowledged ?? 0)),
      h('td', { class: 'num', 'data-label': t('rules.col.chatter') }, fmt.count(day.chattering ?? 0)));
  }

  function drawList() {
    if (!answer) {
      setText(note, failure ? t('rules.failed', { why: failure }) : '…');
      return;
    }
    const q = filter.value.trim().toLowerCase();
    const list = noisiest(answer.rules).filter((r) => !q || words(r).includes(q));
    setText(note, [
      failure ? t('rules.failed', { why: failure }) : '',
      answer.stale ? t('rules.stale', { age: ctx.fmt.age(answer.age_ms, t) }) : '',
      t('rules.count', { n: list.length, all: answer.rules.length, version: answer.version }),
      answer.complete ? '' : t('rules.memory'),
    ].filter(Boolean).join(' '));
    drawOutOfForce();
    pending.draw(waiting.changes, Object.fromEntries(answer.rules.map((r) => [r.id, r.severity])), waiting.failure);
    drawDetail();
    const key = JSON.stringify([list, ctx.sensors.version(), waiting.changes.map((c) => c.rule), q]);
    if (body.dataset.key === key) return;
    body.dataset.key = key;
    const kept = document.activeElement?.closest?.('tr')?.dataset.rule;
    body.replaceChildren(...(list.length > 0 ? list.map(row) : [h('tr', {}, h('td', { colspan: '8', class: 'empty' }, t('rules.none')))]));
    if (kept) body.querySelector(`[data-rule="${CSS.escape(kept)}"] a`)?.focus();
  }

  /** drawOutOfForce names the approved changes that core cannot take over: the rule as it was before is in force. */
  function drawOutOfForce() {
    const list = answer.problems ?? [];
    const key = JSON.stringify(list);
    if (outOfForce.dataset.key === key) return;
    outOfForce.dataset.key = key;
    outOfForce.replaceChildren(...list.map((p) => h('li', {}, t('rules.out', { rule: p.rule, why: (p.problems ?? []).map((x) => [x.field, problemText(x.message, t)].filter(Boolean).join(': ')).join('; ') }))));
  }

  /** drawDetail opens the chosen rule once: what is typed there stays when rules are read again. */
  function drawDetail() {
    const r = answer.rules.find((x) => x.id === route.subject);
    const key = route.params.new ? 'new' : !route.subject ? '' : r ? 'rule' : 'gone';
    if (shown.key === key && (key !== 'rule' || shown.detail.update(r))) return;
    shown = { key, detail: key === 'rule' ? createRuleDetail(ctx, scope, r, ctx.route().params.tab, page) : null };
    const el = key === 'new' ? createNewRule(ctx, scope, page) : key === 'gone' ? createGoneRule(ctx, scope, route.subject) : shown.detail?.el;
    detail.replaceChildren(...(el ? [el] : []));
  }

  async function loadWaiting() {
    waiting = await changesOf({ state: 'proposed', limit: MOST }).then(({ changes }) => ({ changes, failure: '' }), (e) => ({ ...waiting, failure: e.message }));
  }

  /** load reads the rules, and the changes that wait if there are any. */
  async function load() {
    try {
      answer = await rulesInForce();
      failure = '';
    } catch (e) {
      failure = e.message;
    }
    if (answer?.pending > 0 || waiting.changes.length > 0) await loadWaiting();
    if (!scope.isOver()) draw(true);
  }

  /** reload reads again what a person has just changed, and once more when everybody knows of it. */
  async function reload() {
    clearTimeout(soon);
    soon = setTimeout(() => scope.isOver() || load(), KNOWN);
    await loadWaiting();
    await load();
  }

  const draw = scope.draw(drawList, ['sensors']);
  scope.every(RELOAD, load);
  scope.onEnd(() => clearTimeout(soon));
  const head = h('tr', {}, ['rule', 'says', 'holds', 'raised', 'share', 'standing', 'seen', 'chatter'].map((c) => h('th', { scope: 'col', class: ['rule', 'says', 'holds'].includes(c) ? '' : 'num', 'aria-sort': c === 'raised' ? 'descending' : null }, t(`rules.col.${c}`))));
  return h('div', { class: 'rules-page' },
    pending.el,
    h('section', { class: 'panel' },
      h('header', { class: 'panel-head' }, h('h1', { class: 'panel-title' }, t('nav.rules')), filter, note, h('span', { class: 'panel-space' }), h('a', { class: 'button is-small', href: '#/rules?new=1', 'data-new': true }, t('rules.new'))),
      outOfForce, h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': t('nav.rules') }, h('table', { class: 'alarm-table rules-table' }, h('thead', {}, head), body))),
    detail);
}
