// The shift log: what one shift tells the next. A note is never changed: it is corrected by another one,
// and signed by those who have read it.
import { post } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { askBy } from '../parts/command.js';
import { createPast } from '../parts/past.js';
import { local } from '../parts/range.js';
import { failure } from '../parts/views.js';

const MOST = 4096; // bytes of a text, as the portal checks it

export function createShiftNotesPage(ctx, scope, route) {
  const { t } = ctx;
  const body = h('tbody');
  const note = h('p', { class: 'panel-note', role: 'status' });
  const past = createPast(ctx, scope, route.params, {
    path: '/api/v1/shiftnotes',
    fields: [
      { name: 'q', label: t('shift.search') },
      { name: 'priority', label: t('shift.all'), options: [['true', t('shift.priority.only')]] },
      { name: 'current', label: t('shift.corrected'), options: [['true', t('shift.current')]] },
    ],
    usual: '7d',
    onChange: () => draw(true),
  });
  const head = h('tr', {}, ['time', 'place', 'text', 'by', 'signed', 'do'].map((c) => h('th', { scope: 'col' }, t(`shift.col.${c}`))));

  function row(n) {
    const now = ctx.plant.serverNow();
    const signed = (n.signatures ?? []).map((s) => h('span', { class: 'signature', title: ctx.fmt.utc(s.at) }, s.by));
    const old = Boolean(n.replaced_by);
    return h('tr', { class: old ? 'is-replaced' : '', 'data-note': n.id },
      h('td', { class: 'num col-time', title: ctx.fmt.utc(n.shift_start) }, ctx.fmt.moment(n.shift_start, now, ctx.lang())),
      h('td', { class: 'col-place' }, n.building || t('shift.plant')),
      h('td', { class: 'col-text' }, n.priority ? h('strong', { class: 'tag' }, t('shift.priority')) : null, h('span', { class: 'note-text' }, n.text),
        old ? h('span', { class: 'sub' }, t('shift.replaced')) : n.replaces ? h('span', { class: 'sub' }, t('shift.replaces')) : null),
      h('td', { class: 'col-by' }, n.created_by, h('span', { class: 'sub', title: ctx.fmt.utc(n.created_at) }, ctx.fmt.moment(n.created_at, now, ctx.lang()))),
      h('td', { class: 'col-signed' }, signed.length > 0 ? h('span', { class: 'narrow' }, t('shift.col.signed')) : null, signed),
      h('td', { class: 'col-do' }, old ? null : [
        h('button', { class: 'button is-small', 'data-sign': n.id, 'data-needs': 'keep_notes', onclick: () => sign(n) }, t('shift.sign')),
        h('button', { class: 'button is-small', 'data-correct': n.id, 'data-needs': 'keep_notes', onclick: () => write(n) }, t('shift.correct')),
      ]));
  }

  /** dialog asks for a name, with the fields, and shows what give() made of the log. */
  function dialog(title, subject, fields, give) {
    const kept = async (by) => {
      const a = await give(by);
      past.changed();
      return a;
    };
    return askBy(ctx, title, subject, fields, kept, (e) => failure(ctx, e));
  }

  function sign(n) {
    dialog(t('shift.sign'), n.text, [h('p', { class: 'panel-note' }, t('shift.sign.what'))],
      (by) => post(`/api/v1/shiftnotes/${encodeURIComponent(n.id)}/sign`, { by })).focus();
  }

  /** write asks for a note, or for the one that corrects another. Sent again it is the same one. */
  function write(old) {
    const id = `n-${crypto.randomUUID?.() ?? `${Date.now()}-${Math.floor(Math.random() * 1e9)}`}`;
    const at = old?.building ?? ctx.view.building;
    const buildings = new Set([at, ...ctx.fleet.distinct('building')].filter(Boolean));
    const building = h('select', { class: 'control', name: 'building' }, h('option', { value: '' }, t('shift.plant')), ...[...buildings].map((b) => h('option', { value: b }, b)));
    building.value = at;
    const start = h('input', { class: 'control', type: 'datetime-local', name: 'shift_start', step: 60, required: true, value: local(old?.shift_start ?? ctx.plant.serverNow()).slice(0, 16) });
    const text = h('textarea', { class: 'control', name: 'text', rows: '6', maxlength: MOST, required: true }, old?.text ?? '');
    const priority = h('input', { type: 'checkbox', name: 'priority' });
    priority.checked = old?.priority ?? false;
    dialog(t(old ? 'shift.correct' : 'shift.write'), '', [
      h('label', {}, t('shift.col.place'), building), h('label', {}, t('shift.col.time'), start), h('label', {}, t('shift.col.text'), text),
      h('label', { class: 'check' }, priority, t('shift.priority.what')),
    ], (by) => post('/api/v1/shiftnotes', {
      id, by, building: building.value, text: text.value.trim(), priority: priority.checked, replaces: old?.id ?? '',
      shift_start: old && start.value === local(old.shift_start).slice(0, 16) ? old.shift_start : Date.parse(start.value),
    }));
    text.focus();
  }

  const draw = scope.draw(() => {
    body.replaceChildren(...(past.items() ?? []).map(row));
    setText(note, past.draw(t('shift.none')));
  }, ['slow']);
  scope.every(15_000, past.refresh);
  return h('div', { class: 'alarms-page' },
    h('section', { class: 'panel alarm-panel' },
      h('header', { class: 'panel-head' }, h('h1', { class: 'panel-title' }, t('shift.title')),
        h('button', { class: 'button is-primary is-small', 'data-write': true, 'data-needs': 'keep_notes', onclick: () => write(null) }, t('shift.write'))),
      past.bar, note,
      h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': t('shift.title') },
        h('table', { class: 'alarm-table shift-table' }, h('thead', {}, head), body), past.next)));
}
