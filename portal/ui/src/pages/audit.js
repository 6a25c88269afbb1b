// The audit trail: what operators and the system did, over any time. Administrators have the security audit beside it.
import { h, setAttr, setText } from '../core/dom.js';
import { reasonText } from '../model/reasons.js';
import { createPast } from '../parts/past.js';
import { createSecurityAudit } from '../parts/securityaudit.js';
import { session } from '../parts/signin.js';

const ACTIONS = ['acknowledge', 'shelve', 'unshelve', 'out_of_service', 'in_service', 'comment', 'assign', 'remove', 'describe', 'maintain', 'end_maintenance'];

const MAKE = { alarms: createTrail, security: createSecurityAudit };

export function createAuditPage(ctx, scope, route) {
  const { t } = ctx;
  const lists = {};
  let tab = '';
  const title = h('h1', { class: 'panel-title' }, t('audit.title'));
  const buttons = Object.keys(MAKE).map((name) => h('button', { class: 'button is-small', role: 'tab', 'data-tab': name, onclick: () => show(name) }, t(`security.tab.${name}`)));
  const tabs = h('span', { class: 'group', role: 'tablist', 'aria-label': t('security.tabs'), hidden: true }, buttons);
  const head = h('header', { class: 'panel-head' }, title, tabs);
  const panel = h('section', { class: 'panel alarm-panel' }, head);

  function show(name) {
    const first = !tab;
    const known = lists[name];
    tab = name;
    if (!first) ctx.setParams({ tab: name === 'alarms' ? '' : name }); // who has to sign in first comes back to the address
    lists[name] ??= MAKE[name](ctx, scope, ctx.route().params, () => tab === name);
    setText(title, lists[name].title);
    for (const b of buttons) setAttr(b, 'aria-selected', String(b.dataset.tab === name));
    panel.replaceChildren(head, ...lists[name].el);
    if (first) scope.every(15_000, () => lists[tab].past.refresh());
    else if (known) known.past.changed(); // its time and filters are in the address again
    else lists[name].past.refresh();
  }

  if (route.params.tab !== 'security') show('alarms');
  session().then((s) => {
    if (scope.isOver()) return;
    tabs.hidden = !s.permissions.includes('manage_people');
    if (!tab) show(tabs.hidden ? 'alarms' : 'security');
  }, () => !tab && !scope.isOver() && show('alarms'));
  return h('div', { class: 'alarms-page' }, panel);
}

/** createTrail is the trail of alarms and devices; shown() tells whether anybody sees it. */
function createTrail(ctx, scope, params, shown) {
  const { t } = ctx;
  const body = h('tbody');
  const note = h('p', { class: 'panel-note', role: 'status' });
  const past = createPast(ctx, scope, params, {
    path: '/api/v1/audit',
    fields: [
      { name: 'by', label: t('audit.by') },
      { name: 'device_id', label: t('audit.device') },
      { name: 'action', label: t('audit.action'), options: ACTIONS.map((a) => [a, t(`audit.action.${a}`)]) },
    ],
    shown,
    onChange: () => draw(true),
  });
  const head = h('tr', {}, ['time', 'by', 'done', 'device', 'alarm', 'note'].map((c) => h('th', { scope: 'col' }, t(`audit.col.${c}`))));

  function row(e) {
    return h('tr', { class: e.outcome === 'refused' || e.outcome === 'conflict' ? 'is-refused' : '' },
      h('td', { class: 'num col-time', title: ctx.fmt.utc(e.recorded_at) }, ctx.fmt.clock(e.recorded_at, ctx.plant.serverNow())),
      h('td', { class: 'col-by', title: e.session ? t('audit.session', { id: e.session }) : null }, e.by || h('span', { class: 'sub' }, t('audit.system')), h('span', { class: 'sub' }, means(e))),
      h('td', { class: 'col-done' }, done(e)),
      h('td', { class: 'col-device' }, e.alert_type?.startsWith('gateway_') ? e.device_id : ctx.deviceLink(e.device_id), h('span', { class: 'sub' }, e.building ?? '')),
      h('td', { class: 'col-alarm' }, e.alert_id ? h('a', { href: ctx.alarmHref(e) }, ctx.typeText(e.alert_type)) : ctx.typeText(e.alert_type || '')),
      h('td', { class: 'col-note' }, [e.note, e.until && t('audit.until', { time: ctx.fmt.clock(e.until, ctx.plant.serverNow()) }), e.reason && reasonText(t, e.reason)].filter(Boolean).join(' · ')));
  }

  /** means says for whom, how and from where a person or program acted, as far as that is known. */
  function means(e) {
    return [e.claimed_by && t('audit.claimed', { name: e.claimed_by }), e.via && t(`audit.via.${e.via}`), e.address].filter(Boolean).join(' · ');
  }

  /** done says in words what happened. */
  function done(e) {
    const what = e.action ? t(`audit.action.${e.action}`) : t.has(`audit.event.${e.event}`) ? t(`audit.event.${e.event}`) : (e.event ?? '');
    const outcome = e.outcome && e.outcome !== 'applied' ? t(`audit.outcome.${e.outcome}`) : '';
    return [what, outcome].filter(Boolean).join(' · ');
  }

  const draw = scope.draw(() => {
    body.replaceChildren(...(past.items() ?? []).map(row));
    setText(note, past.draw(t('audit.none')));
  }, ['slow']);
  return {
    title: t('audit.title'),
    past,
    el: [past.bar, note, h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': t('audit.title') }, h('table', { class: 'alarm-table audit-table' }, h('thead', {}, head), body), past.next)],
  };
}
