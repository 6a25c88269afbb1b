// The dialogs that rename and remove a device.
import { send } from '../core/api.js';
import { h } from '../core/dom.js';
import { remembered } from '../core/remembered.js';
import { openDialog, operator } from './command.js';

/** Bounds of the texts, as the portal checks them. */
const MOST = { name: 128, description: 1024, tags: 600 };

/** renameDevice asks for a device's name, description and tags. */
export function renameDevice(ctx, id, current) {
  const { t } = ctx;
  const name = h('input', { class: 'control', maxlength: MOST.name, name: 'name', value: current.name, placeholder: id });
  const description = h('textarea', { class: 'control', rows: '3', maxlength: MOST.description, name: 'description' }, current.description);
  const tags = h('input', { class: 'control', maxlength: MOST.tags, name: 'tags', value: current.tags.join(', ') });
  ask(ctx, t('device.rename'), id, [h('label', {}, t('device.name'), name), h('label', {}, t('device.description'), description), h('label', {}, t('device.tags'), tags)], (by) =>
    send('PATCH', path(id), { by, name: name.value.trim(), description: description.value.trim(), tags: tags.value.split(/[,，]/).map((x) => x.trim()).filter(Boolean) }));
  name.focus();
}

/** removeDevice asks before a device, its state and its open alarms are removed. */
export function removeDevice(ctx, id, done) {
  const { t } = ctx;
  const note = h('textarea', { class: 'control', rows: '2', maxlength: 1024, name: 'note' });
  ask(ctx, t('device.remove'), t('device.remove.what', { device: ctx.deviceName(id) }), [h('label', {}, t('command.note'), note)], async (by) => {
    await send('DELETE', path(id), { by, note: note.value.trim() });
    done();
  });
}

const path = (id) => `/api/v1/devices/${encodeURIComponent(id)}`;

function ask(ctx, title, subject, fields, give) {
  const { t } = ctx;
  const by = h('input', { class: 'control', required: true, maxlength: '128', value: operator(), name: 'by', autocomplete: 'name' });
  const error = h('p', { class: 'dialog-error', role: 'alert' });
  const go = h('button', { class: 'button is-primary', type: 'submit' }, title);
  const form = h('form', { class: 'dialog-form', method: 'dialog' }, h('h2', {}, title), h('p', { class: 'dialog-subject' }, subject), fields,
    h('label', {}, t('command.name'), by), error,
    h('div', { class: 'dialog-end' }, h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, t('cancel')), go));
  const dialog = openDialog(title, form);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    remembered.set('operator', by.value.trim());
    ctx.channel.present(by.value.trim());
    go.disabled = true;
    error.textContent = '';
    try {
      await give(by.value.trim());
      dialog.close();
    } catch (e) {
      error.textContent = t('command.failed', { why: e.message });
    } finally {
      go.disabled = false;
    }
  });
}
