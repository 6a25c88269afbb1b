// The alarm list: open alarms of any age, the journal of a time, those set aside, and the worst offenders.
import { get } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { FLOOD, fold, isOpen, isQuiet, isUnseen, needsAttention, SEVERITIES, sortAlarms, stateOf } from '../model/alarms.js';
import { badge } from '../parts/badge.js';
import { createDrawer } from '../parts/drawer.js';
import { createPast } from '../parts/past.js';

const TABS = ['active', 'journal', 'shelved', 'top'];
const SHOWN = 200; // most rows of open alarms; the count has the total

export function createAlarmsPage(ctx, scope, route) {
  const { t } = ctx;
  const state = {
    tab: TABS.includes(route.params.tab) ? route.params.tab : 'active',
    severity: new Set((route.params.severity ?? '').split(',').filter((s) => SEVERITIES.includes(s))),
    selected: new Set(),
    open: route.params.alert || route.subject,
    unfolded: new Set(),
    summary: null,
    error: '',
  };
  const count = h('span', { class: 'panel-note num', 'data-count': true });
  const flood = h('span', { class: 'flood-badge', hidden: true, role: 'status' });
  const body = h('tbody');
  const head = h('thead');
  const table = h('table', { class: 'alarm-table' }, head, body);
  const note = h('p', { class: 'panel-note', role: 'status' });
  const drawer = createDrawer(ctx, scope, () => open(''));
  const bar = actions();
  const journal = createPast(ctx, scope, route.params, {
    path: '/api/v1/journal',
    fields: [{ name: 'q', label: t('alarms.search') }],
    more: () => ({ severity: [...state.severity].join() }),
    shown: () => state.tab === 'journal',
    onChange: () => dirty(true),
  });
  const scroller = h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': t('alarms.title') }, table, journal.next);
  const file = csv();
  const el = h('div', { class: 'alarms-page' },
    h('section', { class: 'panel alarm-panel' },
      h('header', { class: 'panel-head' }, h('h1', { class: 'panel-title' }, t('alarms.title')), tabs(), count, flood, h('span', { class: 'panel-space' }), chips(), file),
      bar, journal.bar, note, scroller),
    drawer.el);

  function tabs() {
    return h('span', { class: 'group', role: 'tablist' }, TABS.map((name) =>
      h('button', { class: 'button is-small', role: 'tab', 'aria-selected': String(name === state.tab), onclick: (e) => {
        state.tab = name;
        state.selected.clear();
        for (const b of e.target.parentElement.children) b.setAttribute('aria-selected', String(b === e.target));
        ctx.setParams({ tab: name === 'active' ? '' : name });
        fetchTab();
        dirty(true);
      } }, t(`alarms.tab.${name}`))));
  }

  function chips() {
    return h('span', { class: 'group', role: 'group', 'aria-label': t('alarms.filter') }, SEVERITIES.map((s, i) =>
      h('button', { class: `button is-small chip-${s}`, 'aria-pressed': String(state.severity.has(s)), onclick: (e) => {
        if (!state.severity.delete(s)) state.severity.add(s);
        e.currentTarget.setAttribute('aria-pressed', String(state.severity.has(s)));
        ctx.setParams({ severity: [...state.severity].join() });
        if (state.tab === 'journal') journal.changed();
        dirty(true);
      } }, `${i + 1} ${t(`severity.${s}`)}`)));
  }

  function csv() {
    return h('button', { class: 'button is-small', onclick: () => ctx.saveCSV('alarms', columnsOf(ctx), listed()) }, t('export.csv'));
  }

  function actions() {
    const chosen = h('span', { class: 'panel-note num' });
    const buttons = ['acknowledge', 'shelve', 'unshelve', 'comment'].map((action) =>
      h('button', { class: 'button is-small', 'data-action': action, onclick: () => command(action) }, t(`command.${action}`)));
    const row = h('div', { class: 'action-bar' }, buttons, chosen);
    row.update = () => {
      const n = chosenAlarms().length;
      for (const b of buttons) b.disabled = n === 0;
      setText(chosen, n > 0 ? t('alarms.chosen', { n }) : t('alarms.choose'));
    };
    return row;
  }

  const chosenAlarms = () => [...state.selected].map((id) => ctx.alarms.all.get(id)).filter(Boolean);
  const command = (action) => ctx.commands.ask(action, chosenAlarms());

  /** listed are the alarms of the tab, after the filters. */
  function listed() {
    const passes = (a) => ctx.concerns(a) && (state.severity.size === 0 || state.severity.has(a.severity));
    if (state.tab === 'journal') return (journal.items() ?? []).map((a) => ctx.alarms.all.get(a.alert_id) ?? a);
    if (state.tab === 'shelved') return sortAlarms(ctx.alarms.list((a) => isOpen(a) && isQuiet(a) && passes(a)));
    return sortAlarms(ctx.alarms.list((a) => needsAttention(a) && passes(a)));
  }

  function draw() {
    for (const id of state.selected) if (!ctx.alarms.all.has(id)) state.selected.delete(id);
    bar.hidden = state.tab === 'journal' || state.tab === 'top';
    journal.bar.hidden = state.tab !== 'journal';
    file.hidden = state.tab === 'journal';
    journal.next.hidden = true;
    flood.hidden = true;
    if (state.tab === 'top') drawTop();
    else drawList();
    bar.update();
  }

  function drawList() {
    const all = listed();
    const now = ctx.plant.serverNow();
    const past = state.tab === 'journal';
    setText(count, past ? '' : t('alarms.count', { n: ctx.fmt.count(all.length), unseen: ctx.fmt.count(all.filter(isUnseen).length) }));
    const shown = (state.tab === 'active' ? fold(all, now) : all.map((alarm) => ({ alarm }))).slice(0, past ? all.length : SHOWN);
    const floods = shown.filter((r) => r.flood);
    if (floods.length > 0) {
      flood.hidden = false;
      setText(flood, t('flood.badge', { n: ctx.fmt.count(floods.reduce((n, r) => n + r.flood.alarms.length, 0)), limit: FLOOD }));
    }
    const rows = [];
    for (const r of shown) {
      if (r.alarm) rows.push(alarmRow(r.alarm));
      else {
        rows.push(floodRow(r.flood, now));
        if (state.unfolded.has(r.flood.building)) for (const a of r.flood.alarms.slice(0, SHOWN)) rows.push(alarmRow(a, true));
      }
    }
    keepFocus(() => {
      head.replaceChildren(listHead(all));
      body.replaceChildren(...rows);
    });
    setText(note, past ? journal.draw(t('alarms.journal.none')) : rows.length === 0 ? emptyText() : '');
  }

  function emptyText() {
    if (state.tab === 'shelved') return t('alarms.shelved.none');
    if (state.severity.size > 0) return t('alarms.none.filtered');
    const last = ctx.alarms.lastCleared();
    return last ? t('alarms.none.last', { age: ctx.age(last) }) : t('alarms.none');
  }

  /** keepFocus keeps the keyboard focus when the list changes. */
  function keepFocus(f) {
    const at = document.activeElement?.closest?.('[data-key]');
    const key = at?.getAttribute('data-key');
    f();
    if (key) body.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }

  function listHead(all) {
    const every = all.length > 0 && all.every((a) => state.selected.has(a.alert_id));
    const box = h('input', { type: 'checkbox', 'aria-label': t('alarms.all'), 'data-key': 'all', onchange: () => {
      state.selected = new Set(every ? [] : all.map((a) => a.alert_id));
      dirty(true);
    } });
    box.checked = every;
    return h('tr', {}, h('th', { class: 'col-box' }, state.tab === 'journal' ? '' : box),
      ...['priority', 'device', 'what', 'since', 'lasted', 'peak', 'times', 'seen'].map((c) => h('th', { class: `col-${c}`, scope: 'col' }, t(`col.${c}`))));
  }

  function alarmRow(a, inFlood = false) {
    const box = h('input', { type: 'checkbox', 'aria-label': t('alarms.pick', { device: a.device_id }), 'data-key': `box-${a.alert_id}`, onchange: () => {
      if (!state.selected.delete(a.alert_id)) state.selected.add(a.alert_id);
      dirty(true);
    } });
    box.checked = state.selected.has(a.alert_id);
    const raised = a.raised_at || a.timestamp;
    const lasted = a.status === 'active' ? ctx.age(raised) : ctx.fmt.age((a.cleared_at || a.timestamp) - raised, t);
    return h('tr', {
      class: `alarm-row is-${stateOf(a)}${inFlood ? ' is-folded' : ''}${state.open === a.alert_id ? ' is-open' : ''}`,
      'data-alert': a.alert_id,
      onclick: (e) => !e.target.closest('a,button,input') && open(a.alert_id),
    },
    h('td', { class: 'col-box' }, state.tab === 'journal' ? null : box),
    h('td', { class: 'col-priority' }, badge(a, t)),
    h('td', { class: 'col-device' }, ctx.deviceLink(a.device_id, a), h('span', { class: 'sub' }, ctx.placeLink(a.location))),
    h('td', { class: 'col-what' }, h('button', { class: 'link', 'data-key': `row-${a.alert_id}`, onclick: () => open(a.alert_id) }, ctx.what(a)), h('span', { class: 'sub' }, remarks(a))),
    h('td', { class: 'col-since num', title: ctx.fmt.utc(raised) }, ctx.fmt.clock(raised, ctx.plant.serverNow())),
    h('td', { class: 'col-lasted num' }, lasted),
    h('td', { class: 'col-peak num' }, ctx.peak(a)),
    h('td', { class: 'col-times num' }, ctx.fmt.count(a.occurrence_count || 1)),
    h('td', { class: 'col-seen' }, a.ack ? h('span', { title: a.ack.note ?? '' }, a.ack.by) : '–'));
  }

  /** remarks returns an alarm's special conditions. */
  function remarks(a) {
    const out = [];
    if (a.shelved) out.push(t('remark.shelved', { by: a.shelved.by, time: ctx.fmt.clock(a.shelved.until, ctx.plant.serverNow()) }));
    if (a.suppressed) out.push(t('remark.suppressed'));
    if (a.out_of_service) out.push(t('remark.out_of_service', { by: a.out_of_service.by }));
    if (a.chattering) out.push(t('remark.chattering'));
    if (a.stale) out.push(t('remark.stale'));
    if (a.historical) out.push(t('remark.historical'));
    if (a.assignee) out.push(t('remark.assignee', { name: a.assignee }));
    if (a.comments?.length) out.push(`“${a.comments.at(-1).text}”`);
    return out.join(' · ');
  }

  function floodRow(f, now) {
    const unfolded = state.unfolded.has(f.building);
    const worst = sortAlarms(f.alarms)[0];
    return h('tr', { class: 'flood-row' },
      h('td', { class: 'col-box' }, h('input', { type: 'checkbox', 'aria-label': t('alarms.all'), 'data-key': `flood-${f.building}`, onchange: (e) => {
        for (const a of f.alarms) state.selected[e.target.checked ? 'add' : 'delete'](a.alert_id);
        dirty(true);
      } })),
      h('td', { class: 'col-priority' }, badge(worst, t)),
      h('td', { colspan: '7' }, h('button', { class: 'link', 'aria-expanded': String(unfolded), 'data-key': `fold-${f.building}`, onclick: () => {
        if (!state.unfolded.delete(f.building)) state.unfolded.add(f.building);
        dirty(true);
      } }, `${unfolded ? '▾' : '▸'} ${t('flood.row', { n: ctx.fmt.count(f.alarms.length), building: f.building, age: ctx.fmt.age(now - f.from, t) })}`)));
  }

  function drawTop() {
    const list = state.summary?.bad_actors ?? [];
    head.replaceChildren(h('tr', {}, ...['device', 'what', 'times'].map((c) => h('th', { scope: 'col' }, t(`col.${c}`)))));
    body.replaceChildren(...list.map((b) => h('tr', {},
      h('td', {}, ctx.deviceLink(b.device_id)),
      h('td', {}, ctx.typeText(b.alert_type)),
      h('td', { class: 'num' }, ctx.fmt.count(b.occurrences)))));
    setText(count, '');
    setText(note, state.error || (list.length === 0 ? t(state.summary ? 'alarms.top.none' : 'load.wait') : ''));
  }

  async function fetchTab() {
    state.error = '';
    try {
      if (state.tab === 'journal') await journal.refresh();
      else if (state.tab === 'top') state.summary = await get('/api/v1/alerts/summary');
    } catch (e) {
      state.error = t('load.failed', { why: e.message });
    }
    dirty(true);
  }

  async function open(id) {
    state.open = id;
    ctx.setParams({ alert: id });
    let alarm = ctx.alarms.all.get(id) ?? journal.items()?.find((a) => a.alert_id === id) ?? null;
    if (id && !alarm) {
      alarm = await get(`/api/v1/alerts/${encodeURIComponent(id)}`).then((a) => a.alert, () => null); // it is over, or unknown
      if (state.open !== id) return;
    }
    drawer.show(alarm);
    dirty(true);
  }

  scope.listen(window, 'keydown', (event) => {
    if (ctx.typing(event)) return;
    if (event.key === 'a') command('acknowledge');
    if (event.key === 'Escape' && state.open) open('');
  });
  const dirty = scope.draw(draw, ['alarms', 'view', 'slow']);
  scope.every(15_000, fetchTab);
  if (state.open) queueMicrotask(() => open(state.open));
  return el;
}

function columnsOf(ctx) {
  return [
    ['alert_id', (a) => a.alert_id],
    ['device_id', (a) => a.device_id],
    ['building', (a) => a.location?.building],
    ['floor', (a) => a.location?.floor],
    ['room', (a) => a.location?.room],
    ['alert_type', (a) => a.alert_type],
    ['severity', (a) => a.severity],
    ['state', stateOf],
    ['raised_at', (a) => new Date(a.raised_at || a.timestamp).toISOString()],
    ['cleared_at', (a) => (a.cleared_at ? new Date(a.cleared_at).toISOString() : '')],
    ['peak_value', (a) => a.peak_value],
    ['occurrence_count', (a) => a.occurrence_count],
    ['acknowledged_by', (a) => a.ack?.by],
    ['message', (a) => a.message],
  ];
}
