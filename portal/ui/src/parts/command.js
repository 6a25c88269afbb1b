// The dialog for all commands to alarms.
import { h, setText } from '../core/dom.js';
import { post } from '../core/api.js';
import { remembered } from '../core/remembered.js';
import { sendMany } from '../model/bulk.js';
import { openDialog } from './dialog.js';

export { openDialog };

const SHELVES = [900_000, 3_600_000, 28_800_000];
/** More alarms than this are named by their number before anything is sent. */
const SURE = 50;
/** Actions that say why. */
const REASONED = ['shelve', 'out_of_service'];

/** createCommands returns ask(action, alarms): a dialog, then the command. */
export function createCommands(ctx) {
  function ask(action, alarms) {
    if (alarms.length === 0) return;
    const { t } = ctx;
    const fields = commandFields(ctx, action, alarms);
    const error = h('p', { class: 'dialog-error', role: 'alert' });
    const bar = h('progress', { class: 'dialog-progress', max: String(alarms.length), value: '0', hidden: true, 'aria-label': t('command.progress') });
    const so = h('p', { class: 'panel-note num', role: 'status' });
    const go = h('button', { class: 'button is-primary', type: 'submit' }, t(`command.${action}`));
    const leave = h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, t('cancel'));
    const form = h('form', { class: 'dialog-form', method: 'dialog' },
      h('h2', {}, t(`command.${action}`)), h('p', { class: 'dialog-subject' }, subjectOf(ctx, alarms)), fields.el, bar, so, error,
      h('div', { class: 'dialog-end' }, leave, go));
    const dialog = openDialog(t(`command.${action}`), form);

    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const missing = fields.missing();
      setText(error, missing);
      if (missing) return;
      remembered.set('operator', fields.by());
      ctx.channel.present(fields.by());
      go.disabled = true;
      bar.hidden = alarms.length < SURE;
      try {
        const r = await sendMany({ action, ...fields.values() }, alarms, {
          post: (body) => post('/api/v1/alerts/commands', body),
          progress: (n) => {
            bar.value = n;
            if (alarms.length >= SURE) setText(so, t('command.sent', { n: ctx.fmt.count(n), total: ctx.fmt.count(alarms.length) }));
          },
        });
        if (r.refused.length > 0) result(r);
        else {
          if (alarms.length > 1 || r.unknown > 0) ctx.tell(counted(ctx, r));
          dialog.close();
        }
      } catch (e) {
        setText(error, t('command.failed', { why: e.message }));
        go.disabled = false;
      }
    });

    /** result shows what was done and what was not; there is nothing more to send. */
    function result(r) {
      fields.el.hidden = true;
      bar.hidden = true;
      go.hidden = true;
      setText(so, counted(ctx, r));
      error.replaceChildren(...r.refused.map(([why, n]) => h('span', { class: 'dialog-refused' }, t('command.refused', { n: ctx.fmt.count(n), why: reasonText(t, why) }))));
      setText(leave, t('close'));
      leave.focus();
    }
    fields.first(go).focus();
  }

  return { ask };
}

function subjectOf(ctx, alarms) {
  return alarms.length === 1 ? `${ctx.deviceName(alarms[0].device_id)} · ${ctx.what(alarms[0])}` : ctx.t('command.many', { n: ctx.fmt.count(alarms.length) });
}

/** counted says what became of a command to many. */
function counted(ctx, r) {
  const n = (x) => ctx.fmt.count(x);
  return [
    ctx.t('command.done', { n: n(r.done) }),
    r.nothing > 0 && ctx.t('command.nothing', { n: n(r.nothing) }),
    r.unknown > 0 && ctx.t('command.late', { n: n(r.unknown) }),
  ].filter(Boolean).join(' ');
}

/** Refusals of core that a person meets, by the beginning of their text. */
const REFUSALS = [['unknown alarm', 'gone'], ['there is no such alarm', 'gone'], ['that alarm is over', 'over'], ['the time until which', 'past'], ['too many of the device', 'many'], ['its device is under', 'maintenance']];

function reasonText(t, reason) {
  const known = REFUSALS.find(([begin]) => reason.startsWith(begin));
  return known ? t(`refusal.${known[1]}`) : reason || t('unknown');
}

/** commandFields are the fields of a command's dialog: el, values() to send, missing() what is still wrong, first() to fill. */
function commandFields(ctx, action, alarms) {
  const { t } = ctx;
  const reasoned = REASONED.includes(action);
  const wordless = !reasoned && action !== 'comment';
  const name = h('input', { class: 'control', required: true, maxlength: '128', value: operator(), name: 'by', autocomplete: 'name' });
  const note = h('textarea', { class: 'control', rows: '2', maxlength: '1024', name: 'note', required: !wordless });
  const time = action === 'shelve' ? h('select', { class: 'control', name: 'time' }, SHELVES.map((ms) => h('option', { value: String(ms), selected: ms === 3_600_000 }, ctx.fmt.age(ms, t)))) : null;
  const who = action === 'assign' ? h('input', { class: 'control', maxlength: '128', name: 'assignee', value: alarms.length === 1 ? (alarms[0].assignee ?? '') : '', autocomplete: 'off' }) : null;
  const sure = alarms.length > SURE ? h('input', { class: 'control num', name: 'sure', inputmode: 'numeric', autocomplete: 'off', required: true }) : null;
  const el = h('div', { class: 'dialog-form' },
    time && h('label', {}, t('command.time'), time),
    who && h('label', {}, t('command.assignee'), who),
    h('label', {}, t(reasoned ? 'command.reason' : action === 'comment' ? 'command.text' : 'command.note'), note),
    h('label', {}, t('command.name'), name),
    sure && h('label', {}, t('command.sure', { n: ctx.fmt.count(alarms.length) }), sure));
  return {
    el,
    by: () => name.value.trim(),
    missing() {
      if (!name.value.trim()) return t('command.missing.name');
      if (!wordless && !note.value.trim()) return t('command.missing.reason');
      return sure && sure.value.replace(/\D/g, '') !== String(alarms.length) ? t('command.missing.sure', { n: ctx.fmt.count(alarms.length) }) : '';
    },
    values: () => ({
      by: name.value.trim(),
      note: note.value.trim(),
      ...(time && { until: Math.round(ctx.plant.serverNow() + Number(time.value)) }),
      ...(who && { assignee: who.value.trim() }),
    }),
    /** first is what a person fills in first: nothing but go if all is known. */
    first: (go) => (!name.value ? name : who ?? (wordless ? sure ?? go : note)),
  };
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

/** operator is the name for commands, '' until it was entered. */
export function operator() {
  return remembered.get('operator') ?? '';
}
