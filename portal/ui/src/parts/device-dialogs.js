// The dialogs that rename a device, remove it and put it under maintenance.
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

/** How long a maintenance may take; the time can be given, too. */
const HOURS = [1, 4, 8, 24, 72];

/** maintainDevice asks until when, and why, a device is under maintenance. */
export function maintainDevice(ctx, id) {
  const { t } = ctx;
  const now = ctx.plant.serverNow();
  const until = h('input', { class: 'control num', type: 'datetime-local', name: 'until', required: true, value: local(now + 4 * HOUR), min: local(now) });
  const quick = h('span', { class: 'group', role: 'group', 'aria-label': t('device.maintain.until') }, HOURS.map((n) =>
    h('button', { class: 'button is-small', type: 'button', 'data-hours': n, onclick: () => (until.value = local(ctx.plant.serverNow() + n * HOUR)) }, ctx.fmt.age(n * HOUR, t))));
  const reason = h('textarea', { class: 'control', rows: '2', maxlength: 1024, name: 'reason', required: true });
  ask(ctx, t('device.maintain.title'), t('device.maintain.what', { device: ctx.deviceName(id) }),
    [h('label', {}, t('device.maintain.until'), until), quick, h('label', {}, t('command.reason'), reason)],
    (by) => send('PUT', `${path(id)}/maintenance`, { by, until: new Date(until.value).getTime(), reason: reason.value.trim() }));
  reason.focus();
}

/** endMaintenance asks before the maintenance of a device ends. */
export function endMaintenance(ctx, id) {
  ask(ctx, ctx.t('device.maintain.end'), ctx.deviceName(id), [], (by) => send('DELETE', `${path(id)}/maintenance`, { by }));
}

const HOUR = 3_600_000;

/** local is a moment as a field for local time has it, in whole minutes. */
function local(ms) {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const path = (id) => `/api/v1/devices/${encodeURIComponent(id)}`;

function ask(ctx, title, subject, fields, give) {
  askBy(ctx, title, subject, fields, async (by) => {
    ctx.channel.present(by);
    await give(by);
  });
}
