// Changes of rules: those that wait for a second person, and what became of the others.
import { get, post, query } from '../core/api.js';
import { glyph, h, setText } from '../core/dom.js';
import { differing, kindOf, lineDiff, samePerson } from '../model/rulechange.js';
import { askBy } from './command.js';
import { diffOf } from './diff.js';
import { trialText } from './propose.js';
import { whyNot } from './ruleerrors.js';
import { ruleHref } from './rules.js';

const PAGE = 20;

/** changesOf asks for changes, the newest first: {changes, total}. */
export const changesOf = (params) => get(`/api/v1/rules/changes${query(params)}`);

/** changeCard shows one change. more are its buttons. open tells whether its lines are shown at once. */
function changeCard(ctx, c, { severity = '', isOpen = false, isTitled = true, more = [] }) {
  const { t, fmt } = ctx;
  const moment = (ms) => h('span', { class: 'num', title: fmt.utc(ms) }, fmt.moment(ms, ctx.plant.serverNow(), ctx.lang()));
  const said = (by, at, text) => h('p', { class: 'change-said' }, h('strong', {}, by), ' ', moment(at), text ? h('span', { class: 'note-text' }, ` ${text}`) : null);
  const decided = (what, at) => h('p', { class: 'change-said' }, what, ' ', moment(at), c.note ? h('span', { class: 'note-text' }, ` ${c.note}`) : null);
  const n = differing(lineDiff(c.before ?? '', c.yaml ?? ''));
  const state = c.state === 'approved' ? (c.in_force ? 'in_force' : 'former') : c.state;
  return h('li', { class: `change is-${c.state}`, 'data-change': c.id, 'data-state': state },
    h('div', { class: 'change-head' }, isTitled ? [severity ? glyph(severity) : null, h('a', { href: ruleHref(c.rule) }, c.rule)] : null, h('span', { class: 'tag' }, t(`rules.kind.${kindOf(c)}`)), h('span', { class: 'change-state' }, t(`rules.state.${state}`))),
    said(c.by, c.at, c.reason),
    c.approved_by ? decided(t('rules.approved.by', { name: c.approved_by }), c.approved_at) : null,
    c.withdrawn_by ? decided(t('rules.withdrawn.by', { name: c.withdrawn_by }), c.withdrawn_at) : null,
    c.state === 'refused' && c.why ? h('p', { class: 'rule-gap' }, t.has(`rules.why.${c.why}`) ? t(`rules.why.${c.why}`) : c.why) : null,
    c.trial ? h('p', { class: 'panel-note num', 'data-trial': true }, trialText(ctx, c.trial)) : null,
    c.remove ? h('p', { class: 'panel-note' }, t('rules.taken_back')) : null,
    n > 0 ? h('details', { open: isOpen }, h('summary', {}, t('rules.differs', { n })), diffOf(ctx, c.before ?? '', c.yaml ?? '')) : null,
    more.length > 0 ? h('div', { class: 'change-end' }, more) : null);
}

/** createPending makes the list of the changes that wait. onDone() is called after a decision. */
export function createPending(ctx, onDone) {
  const { t } = ctx;
  const list = h('ul', { class: 'change-list' });
  const note = h('p', { class: 'panel-note', role: 'status' });
  const title = h('h2', { class: 'panel-title' });
  const el = h('section', { class: 'panel rules-pending', hidden: true, 'aria-label': t('rules.pending.title'), 'data-pending': true }, h('header', { class: 'panel-head' }, title, note), list);
  let shown = '';

  /** decide asks who approves or withdraws; nobody approves what is his own. */
  function decide(c, verb) {
    const text = h('textarea', { class: 'control', rows: '2', maxlength: '1024', name: 'note' });
    const own = h('p', { class: 'rule-gap', role: 'status' });
    const by = askBy(ctx, t(`rules.${verb}`), `${c.rule}: ${c.reason}`, [h('label', {}, t('command.note'), text), own], async (name) => {
      const a = await post(`/api/v1/rules/changes/${encodeURIComponent(c.id)}/${verb}`, { by: name, note: text.value.trim() }).catch((e) => {
        if (e.status === 409 || e.status === 404) onDone(); // somebody was faster: the list says so
        throw e;
      });
      onDone();
      return a.state === 'pending' ? { outcome: 'pending' } : a;
    }, (e) => whyNot(ctx, e));
    const check = () => {
      const mine = samePerson(by.value, c.by);
      const wrong = verb === 'approve' && mine ? t('rules.why.same_person') : '';
      setText(own, wrong);
      by.form.querySelector('[type=submit]').disabled = wrong !== '';
      text.required = verb === 'withdraw' && !mine;
    };
    by.addEventListener('input', check);
    check();
    by.focus();
  }

  const button = (c, verb, primary) => h('button', { class: `button is-small${primary ? ' is-primary' : ''}`, [`data-${verb}`]: c.id, 'data-needs': 'rule_change', 'data-key': `${verb} ${c.id}`, onclick: () => decide(c, verb) }, t(`rules.${verb}`));

  return {
    el,
    /** draw shows the changes; severities has those of the rules by id. */
    draw(changes, severities, failure) {
      el.hidden = changes.length === 0 && !failure;
      setText(title, t('rules.pending', { n: changes.length }));
      setText(note, failure ? t('rules.changes.failed', { why: failure }) : t('rules.pending.what'));
      const key = JSON.stringify([changes, severities]);
      if (shown === key) return;
      shown = key;
      const focused = document.activeElement?.closest?.('[data-key]')?.dataset.key;
      list.replaceChildren(...changes.map((c) => changeCard(ctx, c, { severity: severities[c.rule], isOpen: true, more: [button(c, 'approve', true), button(c, 'withdraw', false)] })));
      if (focused) list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    },
  };
}

/** createVersions makes the list of all changes of a rule. again(change) is called to propose one anew, first() with the oldest that there is. */
export function createVersions(ctx, scope, id, again) {
  const { t } = ctx;
  const list = h('ul', { class: 'change-list' });
  const note = h('p', { class: 'panel-note', role: 'status' }, t('load.wait'));
  const more = h('button', { class: 'button is-small', type: 'button', hidden: true, 'data-more-changes': true, onclick: () => load(list.children.length + PAGE) }, t('past.more'));
  let shown = '';
  let most = PAGE;

  async function load(n = most) {
    most = n;
    try {
      const a = await changesOf({ rule: id, limit: n });
      if (scope.isOver()) return;
      setText(note, a.changes.length === 0 ? t('rules.versions.none') : '');
      more.hidden = a.changes.length >= a.total;
      const key = JSON.stringify(a.changes);
      if (key === shown) return;
      shown = key;
      list.replaceChildren(...a.changes.map((c) => changeCard(ctx, c, { isTitled: false, more: c.yaml && !c.in_force && c.state !== 'proposed' ? [h('button', { class: 'button is-small', type: 'button', 'data-again': c.id, onclick: () => again(c) }, t('rules.again'))] : [] })));
    } catch (e) {
      setText(note, t('rules.changes.failed', { why: whyNot(ctx, e) }));
    }
  }

  return { el: h('div', { class: 'rule-versions' }, note, list, more), load: () => load() };
}
