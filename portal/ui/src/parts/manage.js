// What pages for managing people, tokens and devices have in common: panels, tables, and dialogs that ask.
import { h, setText } from '../core/dom.js';
import { openDialog } from './dialog.js';
import { why } from './signin.js';

export const panel = (title, tools, ...content) => h('section', { class: 'panel alarm-panel', 'aria-label': title }, h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, title), h('span', { class: 'panel-space' }), tools), ...content);
export const when = (ctx, ms) => (ms ? h('time', { title: ctx.fmt.utc(ms) }, ctx.fmt.clock(ms, ctx.plant.serverNow())) : ctx.t('people.users.never'));

/** ask is a dialog of fields; give() sends what was filled in, and may give what is shown in its place then. */
export function ask(ctx, title, fields, give) {
  const { t } = ctx;
  const error = h('p', { class: 'dialog-error', role: 'alert' });
  const go = h('button', { class: 'button is-primary', type: 'submit' }, title);
  const stop = h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, t('cancel'));
  const body = h('div', { class: 'dialog-form' }, fields);
  const form = h('form', { class: 'dialog-form', method: 'dialog' }, h('h2', {}, title), body, error, h('div', { class: 'dialog-end' }, stop, go));
  const dialog = openDialog(title, form);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    go.disabled = true;
    setText(error, '');
    try {
      const shown = await give(new FormData(form));
      if (!shown) return dialog.close();
      body.replaceChildren(shown);
      go.remove();
      setText(stop, t('close'));
      stop.focus();
    } catch (e) {
      setText(error, why(t, e));
      go.disabled = false;
    }
    return undefined;
  });
}

export const field = (label, input) => h('label', {}, label, input);

/** table is a table of rows that load() gives, and refresh() to load them again. */
export function table(ctx, scope, label, columns, load, row, none = '') {
  const body = h('tbody');
  const note = h('p', { class: 'panel-note', role: 'status' });
  let shown = ''; // what is the same stays, with the focus in it
  const refresh = () => load().then((items) => {
    if (scope.isOver()) return;
    const all = JSON.stringify(items);
    if (all !== shown) body.replaceChildren(...items.map(row));
    shown = all;
    setText(note, items.length === 0 ? none : '');
  }, (e) => setText(note, why(ctx.t, e)));
  refresh();
  const head = h('tr', {}, columns.map((c) => h('th', { scope: 'col' }, c)));
  return { refresh, el: [note, h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': label }, h('table', { class: 'people-table' }, h('thead', {}, head), body))] };
}
