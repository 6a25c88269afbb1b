// The dialog for all commands to alarms.
import { h } from '../core/dom.js';
import { post } from '../core/api.js';
import { remembered } from '../core/remembered.js';

const SHELVES = [900_000, 3_600_000, 28_800_000];
const MANY = 1000; // alarms in one request, as the portal allows

/** createCommands returns ask(action, alarms): a dialog, then the command. */
export function createCommands(ctx) {
  /** send gives a command and resolves with {refused: [{reason}], late}. */
  async function send(action, alarms, more) {
    const body = { action, alert_ids: alarms.slice(0, MANY).map((a) => a.alert_id), by: operator(), ...more };
    const answer = await post('/api/v1/alerts/commands', body);
    return {
      refused: answer.items.filter((r) => r.outcome === 'refused' || r.outcome === 'not_found'),
      late: answer.items.filter((r) => r.outcome === 'pending' || r.outcome === 'failed').length,
    };
  }

  function ask(action, alarms) {
    const { t } = ctx;
    if (alarms.length === 0) return;
    const name = h('input', { class: 'control', required: true, maxlength: '128', value: operator(), name: 'by', autocomplete: 'name' });
    const note = h('textarea', { class: 'control', rows: '2', maxlength: '1024', name: 'note', required: action === 'comment' });
    const time = h('select', { class: 'control', name: 'time' }, ...SHELVES.map((ms) => h('option', { value: String(ms), selected: ms === 3_600_000 }, ctx.fmt.age(ms, t))));
    const error = h('p', { class: 'dialog-error', role: 'alert' });
    const go = h('button', { class: 'button is-primary', type: 'submit' }, t(`command.${action}`));
    const subject = alarms.length === 1 ? `${alarms[0].device_id} · ${ctx.what(alarms[0])}` : t('command.many', { n: alarms.length });
    const form = h(
      'form',
      { class: 'dialog-form', method: 'dialog' },
      h('h2', {}, t(`command.${action}`)),
      h('p', { class: 'dialog-subject' }, subject),
      action === 'shelve' ? h('label', {}, t('command.time'), time) : null,
      h('label', {}, t(action === 'shelve' ? 'command.reason' : action === 'comment' ? 'command.text' : 'command.note'), note),
      h('label', {}, t('command.name'), name),
      error,
      h('div', { class: 'dialog-end' }, h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, t('cancel')), go),
    );
    const dialog = openDialog(t(`command.${action}`), form);
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      remembered.set('operator', name.value.trim());
      ctx.channel.present(name.value.trim());
      go.disabled = true;
      error.textContent = '';
      const more = { note: note.value.trim() };
      if (action === 'shelve') more.until = Math.round(ctx.plant.serverNow() + Number(time.value));
      try {
        const r = await send(action, alarms, more);
        if (r.refused.length > 0) error.textContent = t('command.refused', { n: r.refused.length, why: r.refused[0].reason ?? '' });
        else {
          if (r.late > 0) ctx.tell(t('command.late', { n: r.late }));
          dialog.close();
        }
      } catch (e) {
        error.textContent = t('command.failed', { why: e.message });
      } finally {
        go.disabled = false;
      }
    });
    (operator() ? (action === 'comment' ? note : go) : name).focus();
  }

  return { ask, send };
}

/**
 * askBy asks for the operator's name, with fields, and gives what give(name) sends; why(e) says what an error means.
 * It returns the field of the name.
 */
export function askBy(ctx, title, subject, fields, give, why = (e) => e.message) {
  const { t } = ctx;
  const by = h('input', { class: 'control', required: true, maxlength: '128', value: operator(), name: 'by', autocomplete: 'name' });
  const error = h('p', { class: 'dialog-error', role: 'alert' });
  const go = h('button', { class: 'button is-primary', type: 'submit' }, title);
  const form = h('form', { class: 'dialog-form', method: 'dialog' }, h('h2', {}, title), subject ? h('p', { class: 'dialog-subject note-text' }, subject) : null, fields,
    h('label', {}, t('command.name'), by), error,
    h('div', { class: 'dialog-end' }, h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, t('cancel')), go));
  const dialog = openDialog(title, form);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    remembered.set('operator', by.value.trim());
    go.disabled = true;
    error.textContent = '';
    try {
      const a = await give(by.value.trim());
      if (a?.outcome === 'pending') ctx.tell(t('kept.pending'));
      dialog.close();
    } catch (e) {
      error.textContent = t('command.failed', { why: why(e) });
    } finally {
      go.disabled = false;
    }
  });
  return by;
}

/** openDialog shows a modal dialog; the focus goes back when it closes. */
export function openDialog(label, content) {
  const before = document.activeElement;
  const dialog = h('dialog', { class: 'dialog', 'aria-label': label }, content);
  dialog.addEventListener('close', () => {
    dialog.remove();
    before?.focus?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** operator is the name for commands, '' until it was entered. */
export function operator() {
  return remembered.get('operator') ?? '';
}
