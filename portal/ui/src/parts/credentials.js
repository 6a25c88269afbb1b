// The devices of a gateway that the centre has given a credential: adding, rotating, revoking.
import { get, send } from '../core/api.js';
import { h } from '../core/dom.js';
import { keepOperator, nameField } from './command.js';
import { ask, field, panel, table, when } from './manage.js';

/** MOST devices are shown. */
const MOST = 1000;
/** REFRESH is how often, in ms, the list is asked for again: what is pending changes by itself. */
const REFRESH = 2000;

/** createCredentials is the panel of a gateway. */
export function createCredentials(ctx, scope, gateway) {
  const { t } = ctx;
  const path = `/api/v1/gateways/${encodeURIComponent(gateway)}/devices`;
  const title = t('credentials.title', { gateway });
  const button = (verb, d, act) => h('button', { class: 'button is-small', 'data-key': `${verb}-${d.device_id}`, 'aria-label': `${t(`credentials.${verb}`)}: ${d.device_id}`, onclick: () => act(d) }, t(`credentials.${verb}`));
  const list = table(ctx, scope, title, ['device', 'kind', 'publishes', 'state', 'changed', 'by', 'do'].map((c) => t(`credentials.col.${c}`)),
    () => get(`${path}?limit=${MOST}`).then((a) => a.items),
    (d) => h('tr', { class: d.revoked_at ? 'is-disabled' : '', 'data-device': d.device_id },
      h('td', {}, d.device_id), h('td', {}, t(`credentials.kind.${d.kind || 'own'}`)), h('td', {}, d.publishes.join(' ') || '–'), h('td', { 'data-state': d.state }, stateOf(t, d)),
      h('td', { class: 'num' }, when(ctx, d.changed_at)), h('td', {}, d.changed_by),
      h('td', {}, d.revoked_at ? null : h('span', { class: 'button-row' }, d.kind === 'password' ? null : button('rotate', d, rotate), d.secrets > 1 ? button('end', d, end) : null, button('revoke', d, revoke)))),
    t('credentials.none'));

  /** change asks for the operator's name and sends; the secret that comes back is shown once. */
  function change(verb, fields, give) {
    ask(ctx, t(`credentials.${verb}`), [...fields, field(t('command.name'), nameField(t))], async (form) => {
      const by = form.get('by').trim();
      keepOperator(by);
      const { secret, device } = await give(by, form);
      list.refresh();
      if (!secret) return null;
      return h('div', { class: 'dialog-form' }, h('p', { class: 'dialog-subject' }, device.device_id),
        h('label', {}, t('credentials.secret'), h('input', { class: 'control', 'data-secret': '', readonly: true, lang: 'en', value: secret, onfocus: (e) => e.target.select() })));
    });
  }
  const about = (d, verb) => [h('p', { class: 'dialog-subject' }, d.device_id), h('p', {}, t(`credentials.${verb}.sure`))];
  const one = (d) => `${path}/${encodeURIComponent(d.device_id)}`;
  const rotate = (d) => change('rotate', about(d, d.kind === 'nkey' ? 'rotate.key' : 'rotate'), (by) => send('POST', `${one(d)}/rotate`, { by }));
  const end = (d) => change('end', about(d, 'end'), (by) => send('POST', `${one(d)}/rotate`, { by, end: true }));
  const revoke = (d) => change('revoke', about(d, 'revoke'), (by) => send('DELETE', one(d), { by }));
  const idField = () => field(t('credentials.col.device'), h('input', { class: 'control', name: 'device_id', required: true, maxlength: '64', pattern: '[A-Za-z0-9_\\-]+', autocomplete: 'off' }));
  const add = () => change('add', [
    idField(), field(t('credentials.publishes'), h('input', { class: 'control', name: 'publishes', maxlength: '4000', autocomplete: 'off', placeholder: 'plc7_*' })),
  ], (by, form) => send('POST', path, { by, device_id: form.get('device_id'), publishes: form.get('publishes').split(/[\s,]+/).filter(Boolean) }));
  const other = () => change('revoke', [idField(), h('p', {}, t('credentials.other.what'))], (by, form) => send('DELETE', one({ device_id: form.get('device_id') }), { by }));

  scope.every(REFRESH, list.refresh);
  return panel(title, [
    h('button', { class: 'button is-small', 'data-add-device': '', onclick: add }, t('credentials.add')),
    h('button', { class: 'button is-small', 'data-revoke-other': '', onclick: other }, t('credentials.other')),
  ], ...list.el);
}

/** stateOf says what has become of a device: what is pending says of what. */
function stateOf(t, d) {
  if (d.state === 'pending') return t(d.revoked_at ? 'credentials.state.revoking' : 'credentials.state.pending');
  return t(d.secrets > 1 ? 'credentials.state.two' : `credentials.state.${d.state}`);
}
