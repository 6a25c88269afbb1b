// The dialog that chooses the columns of the table of devices.
import { h } from '../core/dom.js';
import { COLUMNS, nameOf, USUAL } from '../model/table.js';
import { openDialog } from './command.js';
import { headText } from './device-table.js';

/** chooseColumns shows the dialog; onChange(names) is called for each choice, at once. */
export function chooseColumns(ctx, chosen, onChange) {
  const { t } = ctx;
  const own = COLUMNS.filter((c) => c !== 'battery' && c !== 'signal_strength');
  const sensors = ctx.sensors.order([...new Set([...ctx.sensors.all().filter((s) => s.devices > 0).map((s) => s.name), 'battery', 'signal_strength'])]).map(nameOf);
  let names = [...chosen];
  const boxes = new Map();

  function box(name) {
    const input = h('input', { type: 'checkbox', 'data-column-box': name, onchange: () => {
      names = input.checked ? inOrder([...names, name]) : names.filter((x) => x !== name);
      if (names.length === 0) names = ['device'];
      give();
    } });
    boxes.set(name, input);
    return h('label', { class: 'check' }, input, headText(ctx, name));
  }

  /** inOrder puts a new column where the list has it; what was there stays in its order. */
  function inOrder(all) {
    const at = (name) => [...own.filter((c) => c !== 'values' && c !== 'age'), ...sensors, 'values', 'age'].indexOf(name);
    const added = all.pop();
    const i = all.findIndex((name) => at(name) > at(added));
    all.splice(i < 0 ? all.length : i, 0, added);
    return all;
  }

  function give() {
    for (const [name, input] of boxes) input.checked = names.includes(name);
    onChange(names);
  }

  const form = h('form', { class: 'dialog-form', method: 'dialog' },
    h('h2', {}, t('table.columns')),
    h('div', { class: 'column-list' }, own.map(box)),
    h('h3', {}, t('sensor')),
    h('div', { class: 'column-list' }, sensors.map(box)),
    h('div', { class: 'dialog-end' },
      h('button', { class: 'button', type: 'button', 'data-usual': true, onclick: () => ((names = [...USUAL]), give()) }, t('table.columns.usual')),
      h('button', { class: 'button is-primary', type: 'submit' }, t('close'))));
  for (const [name, input] of boxes) input.checked = names.includes(name);
  openDialog(t('table.columns'), form);
}
