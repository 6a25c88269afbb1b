// Who is signed in; and for administrators, people and tokens of programs.
import { get, send } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { ask, field, panel, table, when } from '../parts/manage.js';
import { session, signInForm, why } from '../parts/signin.js';

const ROLES = ['viewer', 'operator', 'engineer', 'admin'];

export function createPeoplePage(ctx, scope) {
  const { t } = ctx;
  const el = h('div', { class: 'people-page' }, h('h1', { class: 'sr-only' }, t('nav.people')));
  const failed = h('p', { class: 'panel-note', role: 'alert' });
  el.append(failed);
  session().then((s) => {
    if (scope.isOver()) return;
    el.append(createYou(ctx, s));
    if (!s.permissions.includes('manage_people')) return;
    if (s.auth.includes('local')) el.append(createUsers(ctx, scope));
    if (s.auth.includes('token')) el.append(createTokens(ctx, scope));
  }, (e) => setText(failed, why(t, e)));
  return el;
}

/** createYou is who is signed in, or can. */
function createYou(ctx, s) {
  const { t } = ctx;
  const title = t('people.you');
  if (s.auth.includes('off')) return panel(title, null, h('p', { class: 'panel-note' }, t('people.you.off')));
  if (!s.person) return panel(title, null, h('p', { class: 'panel-note' }, t('people.you.nobody')), s.auth.includes('local') ? signInForm(ctx) : null);
  const own = ['local', 'oidc'].includes(s.person.via); // with a session
  const facts = [[t('people.name'), s.person.name], [t('people.role'), t(`people.role.${s.person.role}`)], [t('people.via'), t(`people.via.${s.person.via}`)]];
  if (own) facts.push([t('people.ends'), when(ctx, s.person.ends_at)]);
  const tools = !own ? null : [
    s.person.via === 'local' && h('button', { class: 'button is-small', 'data-password': '', onclick: () => askPassword(ctx) }, t('people.password')),
    h('button', { class: 'button is-small', 'data-everywhere': '', onclick: () => ask(ctx, t('people.signout.all'), [h('p', {}, t('people.signout.all.sure'))], () => leave('/api/v1/sessions')) }, t('people.signout.all')),
    h('button', { class: 'button is-small', 'data-signout': '', onclick: () => leave('/api/v1/session').catch((e) => ctx.tell(why(t, e))) }, t('people.signout')),
  ];
  return panel(title, tools, h('dl', { class: 'facts' }, facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])));
}

async function leave(path) {
  await send('DELETE', path, {});
  location.reload();
}

const nameField = (t) => field(t('people.name'), h('input', { class: 'control', name: 'name', required: true, maxlength: '128', autocomplete: 'off' }));
const newPassword = (label, required = true) => field(label, h('input', { class: 'control', name: 'password', type: 'password', required, minlength: '10', maxlength: '256', autocomplete: 'new-password' }));
const roleField = (t, role) => field(t('people.role'), h('select', { class: 'control', name: 'role' }, ROLES.map((r) => h('option', { value: r, selected: r === role }, t(`people.role.${r}`)))));

function askPassword(ctx) {
  const { t } = ctx;
  ask(ctx, t('people.password'), [
    field(t('people.password.old'), h('input', { class: 'control', name: 'old', type: 'password', required: true, autocomplete: 'current-password' })), newPassword(t('people.password.new')),
  ], async (form) => {
    await send('PUT', '/api/v1/session/password', { old: form.get('old'), password: form.get('password') });
    ctx.tell(t('people.password.done'));
  });
}

function createUsers(ctx, scope) {
  const { t } = ctx;
  const title = t('people.users');
  const list = table(ctx, scope, title, [t('people.name'), t('people.role'), t('people.users.state'), t('people.users.seen'), t('people.users.change')],
    () => get('/api/v1/users').then((a) => a.items),
    (u) => h('tr', { class: u.disabled ? 'is-disabled' : '' },
      h('td', {}, u.name), h('td', {}, t(`people.role.${u.role}`)), h('td', {}, t(u.disabled ? 'people.users.disabled' : 'people.users.enabled')), h('td', { class: 'num' }, when(ctx, u.signed_in_at)),
      h('td', {}, h('button', { class: 'button is-small', 'data-key': `user-${u.name}`, 'aria-label': `${t('people.users.change')}: ${u.name}`, onclick: () => change(u) }, t('people.users.change')))));

  function change(u) {
    ask(ctx, t('people.save'), [
      h('p', { class: 'dialog-subject' }, u.name), roleField(t, u.role),
      h('label', { class: 'check' }, h('input', { type: 'checkbox', name: 'disabled', checked: u.disabled }), t('people.users.disabled')), newPassword(t('people.users.keep'), false),
    ], async (form) => {
      const body = {};
      if (form.get('role') !== u.role) body.role = form.get('role');
      if (form.has('disabled') !== u.disabled) body.disabled = form.has('disabled');
      if (form.get('password')) body.password = form.get('password');
      await send('PATCH', `/api/v1/users/${encodeURIComponent(u.name)}`, body);
      await list.refresh();
    });
  }

  const add = () => ask(ctx, t('people.users.add'), [nameField(t), roleField(t, 'operator'), newPassword(t('people.users.first'))], async (form) => {
    await send('POST', '/api/v1/users', { name: form.get('name'), role: form.get('role'), password: form.get('password') });
    await list.refresh();
  });
  return panel(title, h('button', { class: 'button is-small', 'data-add-user': '', onclick: add }, t('people.users.add')), ...list.el);
}

function createTokens(ctx, scope) {
  const { t } = ctx;
  const title = t('people.tokens');
  const stateOf = (k) => (k.revoked_at ? 'revoked' : k.expires_at <= ctx.plant.serverNow() ? 'expired' : 'valid');
  const list = table(ctx, scope, title, [t('people.name'), t('people.role'), t('people.users.state'), t('people.tokens.until'), t('people.tokens.used'), t('people.tokens.revoke')],
    () => get('/api/v1/tokens').then((a) => a.items),
    (k) => h('tr', { class: stateOf(k) === 'valid' ? '' : 'is-disabled' },
      h('td', {}, k.name), h('td', {}, t(`people.role.${k.role}`)), h('td', {}, t(`people.tokens.${stateOf(k)}`)), h('td', { class: 'num' }, when(ctx, k.expires_at)), h('td', { class: 'num' }, when(ctx, k.used_at)),
      h('td', {}, stateOf(k) !== 'valid' ? null : h('button', { class: 'button is-small', 'data-key': `token-${k.id}`, 'aria-label': `${t('people.tokens.revoke')}: ${k.name}`, onclick: () => revoke(k) }, t('people.tokens.revoke')))),
    t('people.tokens.none'));

  const revoke = (k) => ask(ctx, t('people.tokens.revoke'), [h('p', { class: 'dialog-subject' }, k.name), h('p', {}, t('people.tokens.revoke.sure'))], async () => {
    await send('DELETE', `/api/v1/tokens/${k.id}`, {});
    await list.refresh();
  });

  const add = () => ask(ctx, t('people.tokens.add'), [
    nameField(t), roleField(t, 'viewer'), field(t('people.tokens.days'), h('input', { class: 'control num', name: 'days', type: 'number', min: '1', max: '1830', value: '90', required: true })),
  ], async (form) => {
    const { secret } = await send('POST', '/api/v1/tokens', { name: form.get('name'), role: form.get('role'), ttl: `${form.get('days')}d` });
    list.refresh();
    return h('label', {}, t('people.tokens.secret'), h('input', { class: 'control', 'data-secret': '', readonly: true, lang: 'en', value: secret, onfocus: (e) => e.target.select() }));
  });
  return panel(title, h('button', { class: 'button is-small', 'data-add-token': '', onclick: add }, t('people.tokens.add')), ...list.el);
}
