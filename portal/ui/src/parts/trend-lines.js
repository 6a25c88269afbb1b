// Which lines the trends page shows: a chip for each, and a field that finds more.
import { series } from '../chart/palette.js';
import { h, setText } from '../core/dom.js';
import { buildingOf, find, MOST } from '../model/lines.js';

const OFFERED = 20;

/** createTrendLines makes the chips and the field. onChange(keys) is what a person chose. */
export function createTrendLines(ctx, onChange) {
  const { t } = ctx;
  let keys = [];
  const chips = h('div', { class: 'trend-chips' });
  const names = h('datalist', { id: 'trend-devices' });
  const note = h('span', { class: 'panel-note', role: 'status' });
  const field = h('input', {
    class: 'control is-small', type: 'search', list: 'trend-devices', placeholder: t('trends.add'), 'aria-label': t('trends.add'), title: t('trends.add'), 'data-add': true,
    oninput: suggest, onchange: () => add(field.value),
    onpaste: (e) => {
      const text = e.clipboardData?.getData('text') ?? '';
      if (!/[\s,;，；、]/.test(text.trim())) return; // one id: it can be edited
      e.preventDefault();
      add(text);
    },
  });

  function suggest() {
    const q = field.value.trim().toLowerCase();
    const has = (s) => s.toLowerCase().includes(q);
    const buildings = ctx.fleet.distinct('building').filter(has).map((b) => h('option', { value: b, label: t('trends.building') }));
    const devices = ctx.fleet.sorted().filter((d) => has(d.id) || has(d.name)).slice(0, OFFERED).map((d) => h('option', { value: d.id, label: d.name || null }));
    names.replaceChildren(...[...buildings, ...devices].slice(0, OFFERED));
  }

  function add(text) {
    if (!text.trim()) return;
    const { byID } = ctx.fleet;
    const { keys: found, unknown } = find(text, {
      isDevice: (id) => byID.has(id) || (ctx.fleet.size() === 0 && /^[\w-]+$/.test(id)),
      byName: (name) => ctx.fleet.rows.find((d) => d?.name === name)?.id,
      buildings: ctx.fleet.distinct('building'),
    });
    const next = [...new Set([...keys, ...found])];
    const over = next.length > MOST ? t('trends.most', { n: MOST }) : '';
    setText(note, [unknown.length > 0 ? t('trends.unknown', { id: unknown.join(', ') }) : '', over].filter(Boolean).join(' '));
    field.value = unknown.length > 0 ? unknown.join(', ') : '';
    if (next.length > keys.length && keys.length < MOST) onChange(next.slice(0, MOST));
  }

  function chip(key, i) {
    const mark = h('span', { class: 'swatch', 'aria-hidden': 'true' });
    mark.style.background = series(i).color;
    const name = nameOf(ctx, key);
    const link = buildingOf(key) ? h('span', { title: t('trends.means') }, name) : h('a', { href: ctx.deviceHref(key), title: key }, name);
    return h('span', { class: 'trend-chip', 'data-line': key }, mark, link, h('button', { class: 'link chip-remove', 'aria-label': t('trends.remove', { id: name }), onclick: () => onChange(keys.filter((k) => k !== key)) }, '✕'));
  }

  let drawn = '';
  return {
    el: h('span', { class: 'trend-lines' }, chips, field, names, note),
    show(next) {
      keys = next;
      const now = keys.map((k) => `${k} ${nameOf(ctx, k)}`).join('\n');
      if (now === drawn) return;
      drawn = now;
      chips.replaceChildren(...keys.map(chip));
    },
  };
}

/** nameOf is how a line is called. */
export const nameOf = (ctx, key) => (buildingOf(key) ? ctx.t('trends.mean', { building: buildingOf(key) }) : ctx.deviceName(key));

/** buildingsOf returns the buildings that are looked at. */
export const buildingsOf = (ctx) => (ctx.view.building ? [ctx.view.building] : ctx.fleet.distinct('building'));
