// The sign-in: in place of the pages while the portal wants to know who is there.
import { get, post } from '../core/api.js';
import { h, setText } from '../core/dom.js';

const SESSION = '/api/v1/session';

/** session asks the portal who is signed in, and how to sign in. */
export const session = () => get(SESSION);

/** needed tells whether nothing can be seen before a person has signed in. */
export const needed = (s) => !s.permissions.includes('view');

/** why says in words what the portal refused. */
export function why(t, e) {
  for (const key of [`people.error.${e.code}`, `people.error.${e.body?.error?.field}`]) if (t.has(key)) return t(key);
  return t('people.failed', { why: e.message });
}

/** signInForm is the form of a name and a password. */
export function signInForm(ctx) {
  const { t } = ctx;
  const name = h('input', { class: 'control', name: 'name', required: true, maxlength: '128', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' });
  const password = h('input', { class: 'control', name: 'password', type: 'password', required: true, maxlength: '256', autocomplete: 'current-password' });
  const error = h('p', { class: 'dialog-error', role: 'alert' });
  const go = h('button', { class: 'button is-primary', type: 'submit' }, t('people.signin'));
  const form = h('form', { class: 'dialog-form signin-form' }, h('label', {}, t('people.signin.name'), name), h('label', {}, t('people.signin.password'), password), error, h('div', { class: 'dialog-end' }, go));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    go.disabled = true;
    setText(error, '');
    try {
      await post(SESSION, { name: name.value, password: password.value });
      location.reload(); // as another person: nothing of the one before is left
    } catch (e) {
      setText(error, why(t, e));
      go.disabled = false;
      password.value = '';
      password.focus();
    }
  });
  return form;
}

/** createSignIn is the page of those who are not signed in; s is the portal's answer. */
export function createSignIn(ctx, s) {
  const { t } = ctx;
  const languages = h('div', { class: 'signin-languages' }, [['zh', '中文'], ['en', 'English']].map(([lang, name]) => h('button', { class: 'button is-small', lang, 'aria-pressed': String(ctx.lang() === lang), onclick: () => ctx.setLanguage(lang) }, name)));
  const elsewhere = s.auth.includes('oidc') ? h('a', { class: 'button', href: '/signin/oidc' }, t('people.signin.oidc')) : null;
  const how = s.auth.includes('local') ? [signInForm(ctx), elsewhere] : elsewhere ?? [h('p', {}, t('people.signin.elsewhere')), h('div', { class: 'dialog-end' }, h('button', { class: 'button is-primary', onclick: () => location.reload() }, t('people.signin.reload')))];
  return h('main', { class: 'signin', id: 'page', tabindex: '-1' },
    h('section', { class: 'panel signin-panel' }, h('h1', {}, t('title')), s.ended ? h('p', { class: 'panel-note', role: 'status' }, t('people.signin.ended')) : null, how, languages));
}
