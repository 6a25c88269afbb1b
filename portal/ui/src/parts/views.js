// Saved views: the button in the top bar, and the dialog that saves, opens and deletes them.
import { get, query, send } from '../core/api.js';
import { h } from '../core/dom.js';
import { viewHref, viewOf } from '../model/views.js';
import { keepOperator, nameField, openDialog, operator } from './command.js';

const NAME = 128; // bytes, as the portal checks it

/** createViewsButton opens the dialog for the page that is shown then. */
export function createViewsButton(ctx) {
  const { t } = ctx;
  return h('button', { class: 'button', 'data-views': true, 'aria-haspopup': 'dialog', title: t('views.title'), onclick: () => showViews(ctx) }, t('views.open'));
}

function showViews(ctx) {
  const { t } = ctx;
  const here = viewOf(ctx.route());
  const list = h('ul', { class: 'view-list' });
  const note = h('p', { class: 'panel-note', role: 'status' }, t('load.wait'));
  const error = h('p', { class: 'dialog-error', role: 'alert' });
  const name = h('input', { class: 'control', name: 'name', required: true, maxlength: NAME });
  const own = h('input', { type: 'checkbox', name: 'own' });
  const by = nameField(t);
  const save = h('button', { class: 'button is-primary', type: 'submit', 'data-needs': 'keep_notes' }, t('views.save'));
  const form = h('form', { class: 'dialog-form', method: 'dialog' },
    h('h2', {}, t('views.title')), list, note,
    h('h3', {}, t('views.this')),
    h('label', {}, t('views.name'), name),
    h('label', {}, t('command.name'), by),
    h('label', { class: 'check' }, own, t('views.own')), error,
    h('div', { class: 'dialog-end' }, h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, t('close')), save));
  const dialog = openDialog(t('views.title'), form);

  async function load() {
    try {
      const a = await get(`/api/v1/views${query({ by: by.value.trim(), limit: 1000 })}`);
      list.replaceChildren(...a.items.map(row));
      note.textContent = a.items.length === 0 ? t('views.none') : '';
    } catch (e) {
      note.textContent = failure(ctx, e);
    }
  }

  function row(v) {
    const title = v.scope === 'own' ? t('views.mine', { name: v.name }) : v.name;
    const gone = h('button', { class: 'button is-small', type: 'button', 'data-needs': 'keep_notes', 'aria-label': t('views.delete', { name: v.name }), title: t('views.delete', { name: v.name }), onclick: () => remove(v, gone) }, '✕');
    return h('li', { class: 'view-row' },
      h('a', { href: viewHref(v), onclick: () => dialog.close() }, title),
      h('span', { class: 'sub' }, `${t(`nav.${v.page === 'device' ? 'devices' : v.page}`)} · ${v.changed_by}`), gone);
  }

  /** remove asks once more by the button itself: a second press deletes. */
  function remove(v, button) {
    if (!button.dataset.sure) {
      button.dataset.sure = '1';
      button.textContent = t('views.sure');
      return;
    }
    change(button, () => send('DELETE', `/api/v1/views/${encodeURIComponent(v.id)}`, { by: who() }, { headers: { 'If-Match': `"${v.version}"` } }));
  }

  const who = () => by.value.trim() || operator();

  async function change(button, give) {
    button.disabled = true;
    error.textContent = '';
    try {
      const a = await give();
      if (a.outcome === 'pending') ctx.tell(t('kept.pending'));
      name.value = '';
    } catch (e) {
      error.textContent = t('command.failed', { why: failure(ctx, e) });
    } finally {
      button.disabled = false;
    }
    await load();
  }

  by.addEventListener('change', load);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    keepOperator(who());
    change(save, () => send('POST', '/api/v1/views', { by: who(), name: name.value.trim(), scope: own.checked ? 'own' : 'shared', ...here }));
  });
  load();
  name.focus();
}

/** failure says why what the portal keeps cannot be read or written. */
export function failure(ctx, e) {
  return ctx.t.has(`kept.${e.code}`) ? ctx.t(`kept.${e.code}`) : e.message;
}
