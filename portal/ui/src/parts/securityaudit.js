// The security audit, a tab of the page Audit trail: who signed in, who changed what anybody may do, and what was refused.
import { h, setText } from '../core/dom.js';
import { eventText, meansText, noteText, outcomeText, thwarted } from '../model/securityaudit.js';
import { createPast } from './past.js';

const WHATS = [
  'sign_in', 'sign_out', 'password_change', 'user_add', 'user_change', 'token_add', 'token_revoke', 'command', 'rule_change',
  'gateway_add', 'gateway_rotate', 'gateway_revoke', 'gateway_enrol', 'gateway_connect', 'client_add', 'client_revoke', 'client_connect', 'device_add', 'device_rotate', 'device_revoke', 'insecure_start',
];
const OUTCOMES = ['begun', 'done', 'failed', 'delayed', 'refused'];

/** createSecurityAudit makes the list; shown() tells whether anybody sees it. */
export function createSecurityAudit(ctx, scope, params, shown) {
  const { t } = ctx;
  const body = h('tbody');
  const note = h('p', { class: 'panel-note', role: 'status' });
  const options = (kind, codes) => codes.map((c) => [c, t(`security.${kind}.${c}`)]);
  const past = createPast(ctx, scope, params, {
    path: '/api/v1/audit/security',
    fields: [
      { name: 'who', label: t('security.who') },
      { name: 'about', label: t('security.about') },
      { name: 'what', label: t('security.what'), options: options('what', WHATS) },
      { name: 'outcome', label: t('security.outcome'), options: options('outcome', OUTCOMES) },
    ],
    more: () => ({ building: '' }), // people are of the whole plant
    inFile: { zone: Intl.DateTimeFormat().resolvedOptions().timeZone },
    shown,
    onChange: () => draw(true),
  });

  function row(r) {
    const outcome = outcomeText(t, r);
    return h('tr', { class: r.outcome === 'begun' ? 'is-refused' : '' },
      h('td', { class: 'num col-time', title: ctx.fmt.utc(r.time) }, ctx.fmt.clock(r.time, ctx.plant.serverNow())),
      h('td', { class: 'col-by is-wide', title: r.session ? t('audit.session', { id: r.session }) : null }, r.who || h('span', { class: 'sub' }, t('security.unknown')), h('span', { class: 'sub' }, meansText(t, r))),
      h('td', { class: 'col-done', title: t('security.place', { offset: r.offset }) }, eventText(t, r), outcome && [' · ', h(thwarted(r) ? 'strong' : 'span', {}, outcome)]),
      h('td', { class: 'col-device' }, r.about ?? ''),
      h('td', { class: 'col-note' }, noteText(t, r)));
  }

  const draw = scope.draw(() => {
    body.replaceChildren(...(past.items() ?? []).map(row));
    setText(note, past.draw(t('security.none')));
  }, ['slow']);
  const head = h('tr', {}, [t('audit.col.time'), t('audit.col.by'), t('audit.col.done'), t('security.col.about'), t('audit.col.note')].map((c) => h('th', { scope: 'col' }, c)));
  return {
    title: t('security.title'),
    past,
    el: [past.bar, note, h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': t('security.title') }, h('table', { class: 'alarm-table audit-table' }, h('thead', {}, head), body), past.next)],
  };
}
