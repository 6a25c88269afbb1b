// The notes on a device: what people should know of it. Changes keep who made them.
import { get, post, send } from '../core/api.js';
import { h } from '../core/dom.js';
import { panel } from './badge.js';
import { askBy } from './command.js';
import { failure } from './views.js';

const MOST = 2048; // bytes of a note, as the portal checks it

/** createDeviceNotes returns the panel of a device's notes. */
export function createDeviceNotes(ctx, scope, id) {
  const { t } = ctx;
  const path = `/api/v1/devices/${encodeURIComponent(id)}/notes`;
  const list = h('ul', { class: 'view-list' });
  const status = h('p', { class: 'panel-note', role: 'status' });
  let ended = false;
  scope.onEnd(() => (ended = true));

  async function load() {
    try {
      const a = await get(path);
      if (ended) return;
      list.replaceChildren(...a.items.map(row));
      status.textContent = a.items.length === 0 ? t('notes.none') : '';
    } catch (e) {
      if (!ended) status.textContent = failure(ctx, e);
    }
  }

  function row(n) {
    const match = { headers: { 'If-Match': `"${n.version}"` } };
    const one = `${path}/${encodeURIComponent(n.id)}`;
    return h('li', { class: 'note-row', 'data-note': n.id },
      h('span', { class: 'note-text' }, n.text),
      h('span', { class: 'sub', title: ctx.fmt.utc(n.changed_at) }, `${n.changed_by} · ${ctx.fmt.moment(n.changed_at, ctx.plant.serverNow(), ctx.lang())}${n.version > 1 ? ` · ${t('notes.changed')}` : ''}`),
      h('span', { class: 'note-do' },
        h('button', { class: 'button is-small', 'data-needs': 'keep_notes', onclick: () => ask(t('notes.change'), n.text, (by, text) => send('PUT', one, { by, text }, match)) }, t('notes.change')),
        h('button', { class: 'button is-small', 'data-needs': 'keep_notes', onclick: () => ask(t('notes.delete'), null, (by) => send('DELETE', one, { by }, match), n.text) }, t('notes.delete'))));
  }

  /** ask asks for a text, unless it is null, and a name; then it gives what give() sends. */
  function ask(title, text, give, subject = '') {
    const field = h('textarea', { class: 'control', name: 'text', rows: '4', maxlength: MOST, required: true }, text ?? '');
    const by = askBy(ctx, title, subject || ctx.deviceName(id), text === null ? null : h('label', {}, t('notes.text'), field),
      (name) => give(name, field.value.trim()).finally(load), (e) => failure(ctx, e));
    (text === null ? by : field).focus();
  }

  const out = panel('device-notes', t('notes.title'), h('div', {}, list, status));
  out.head.append(h('span', { class: 'panel-space' }), h('button', { class: 'button is-small', 'data-note-add': true, 'data-needs': 'keep_notes', onclick: () => ask(t('notes.add'), '', (by, text) => post(path, { by, text })) }, t('notes.add')));
  load();
  scope.every(30_000, load);
  return out.el;
}
