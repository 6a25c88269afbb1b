// The dialogs that rename and remove a device.
import { send } from '../core/api.js';
import { h } from '../core/dom.js';
import { askBy } from './command.js';

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
  askBy(ctx, title, subject, fields, async (by) => {
    ctx.channel.present(by);
    await give(by);
  });
}
