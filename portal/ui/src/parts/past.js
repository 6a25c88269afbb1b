// A list of what the portal's database keeps: a range, fields that select, pages on demand, a file.
import { get, query } from '../core/api.js';
import { h, setAttr, setText } from '../core/dom.js';
import { RANGES } from '../model/series.js';
import { createRange } from './range.js';

const PAGE = 100;
const MOST = 1000; // rows that are fetched anew at once
const PAUSE = 300; // ms of a person's silence before a text is looked for

/**
 * createPast makes the controls of the list at path, of the chosen building. fields are [{name, label,
 * options}]: a text, or one of the options. usual is the range without a choice. more() returns further
 * parameters, inFile has those of the file alone. shown() tells whether anybody sees the list. onChange() is called when there is something to draw.
 */
export function createPast(ctx, scope, params, { path, fields, usual = '1d', more = () => ({}), inFile = {}, shown = () => true, onChange }) {
  const { t } = ctx;
  const state = {
    range: RANGES[params.range] ? params.range : usual,
    from: Number(params.from) || 0,
    to: Number(params.to) || 0,
    items: null,
    total: 0,
    many: false,
    complete: true,
    error: '',
    asked: 0, // the end of the range when it was asked first
  };
  let turn = 0;
  let timer = 0;
  const range = createRange(ctx, state, changed);
  const inputs = fields.map((f) => {
    const on = f.options ? { onchange: changed } : { oninput: soon };
    const props = { class: 'control is-small', 'aria-label': f.label, title: f.label, 'data-field': f.name, ...on };
    const el = f.options
      ? h('select', props, h('option', { value: '' }, f.label), f.options.map(([value, text]) => h('option', { value }, text)))
      : h('input', { ...props, type: 'search', placeholder: f.label, maxlength: '128' });
    el.value = params[f.name] ?? '';
    return el;
  });
  const file = h('a', { class: 'button is-small', 'data-file': true, 'data-needs': 'investigate' }, t('export.csv'));
  const count = h('span', { class: 'panel-note num', 'data-past-count': true, role: 'status' });
  const next = h('button', { class: 'button is-small', 'data-more': true, hidden: true, onclick: () => load(false) }, t('past.more'));

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(changed, PAUSE);
  }

  function changed() {
    clearTimeout(timer);
    const live = state.from === 0;
    ctx.setParams({ range: state.range === usual ? '' : state.range, from: live ? '' : state.from, to: live ? '' : state.to, ...chosen() });
    state.items = null;
    load(true);
    onChange();
  }

  scope.onEnd(() => {
    clearTimeout(timer);
    turn++; // what is still on its way is for nobody
  });

  let building = ctx.view.building;
  scope.draw(() => {
    if (building !== ctx.view.building && shown()) changed();
    building = ctx.view.building;
  }, ['view']);

  const chosen = () => Object.fromEntries(inputs.map((el) => [el.dataset.field, el.value.trim()]));

  /** question is what is asked for; to is open while the range ends now. */
  function question() {
    const [from, to] = range.window();
    return { ...chosen(), building: ctx.view.building, ...more(), from: Math.round(from), to: state.from || ctx.view.paused ? Math.round(to) : '' };
  }

  /** load fetches the list anew, or what follows. */
  async function load(anew) {
    const mine = ++turn;
    const known = state.items ?? [];
    const q = question();
    if (!anew) q.to ||= state.asked;
    try {
      const a = await get(`${path}${query({ ...q, limit: anew ? Math.min(Math.max(known.length, PAGE), MOST) : PAGE, offset: anew ? 0 : known.length })}`);
      if (mine !== turn) return;
      if (anew) state.asked = a.time;
      Object.assign(state, { items: anew ? a.items : [...known, ...a.items], total: a.total, many: a.more, complete: a.complete ?? true, error: '' });
    } catch (e) {
      if (mine !== turn) return;
      state.error = t.has(`kept.${e.code}`) ? t(`kept.${e.code}`) : t('load.failed', { why: e.message });
    }
    onChange();
  }

  return {
    bar: h('div', { class: 'action-bar past-bar' }, range.el, inputs, file, count),
    next,
    items: () => state.items,
    changed,
    /** refresh fetches the list again, unless it is of a range that is over. */
    refresh: async () => {
      if (!state.from || state.items === null) await load(true);
    },
    /** draw shows the count and returns what to say below the list. */
    draw(empty) {
      const n = ctx.fmt.count(state.total);
      setText(count, state.items === null ? '' : t(state.many ? 'past.count.many' : 'past.count', { n }));
      next.hidden = state.items === null || (state.items.length >= state.total && !state.many);
      const { to, ...q } = question();
      setAttr(file, 'href', `${path}.csv${query({ ...q, to, lang: ctx.lang(), ...inFile })}`);
      if (state.error) return state.error;
      if (state.items === null) return t('load.wait');
      return [state.items.length === 0 ? empty : '', state.complete ? '' : t('past.incomplete')].filter(Boolean).join(' ');
    },
  };
}
