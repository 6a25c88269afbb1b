// The alarm list: what holds now, what is over and unseen, what is put aside, the journal of a time, and the
// worst offenders. Every choice is in the address.
import { get } from '../core/api.js';
import { h, setAttr, setText } from '../core/dom.js';
import { createSearch, holds, isOpen, isOverUnseen, isQuiet, isUnseen, SEVERITIES, sortAlarms, SORTS, stateOf } from '../model/alarms.js';
import { fold } from '../model/flood.js';
import { createChoice } from '../parts/alarmchoice.js';
import { createAlarmTable } from '../parts/alarmtable.js';
import { createDrawer } from '../parts/drawer.js';
import { createFloodBadge } from '../parts/floodbadge.js';
import { createPast } from '../parts/past.js';
import { createTop } from '../parts/topten.js';

/** The lists of alarms that are kept in the page: what belongs on each tab. */
const LISTS = { now: holds, over: isOverUnseen, aside: (a) => isOpen(a) && isQuiet(a) };
const TABS = [...Object.keys(LISTS), 'journal', 'top'];
const FORMER = { active: 'now', shelved: 'aside' }; // names in addresses that were saved
const PAGE = 100; // rows that a list begins with, and grows by

export function createAlarmsPage(ctx, scope, route) {
  const { t } = ctx;
  const asked = FORMER[route.params.tab] ?? route.params.tab;
  const state = {
    tab: TABS.includes(asked) ? asked : 'now',
    severity: new Set((route.params.severity ?? '').split(',').filter((s) => SEVERITIES.includes(s))),
    q: route.params.q ?? '',
    rule: route.params.rule ?? '', // whose alarms the journal has, '': all
    sort: SORTS.includes(route.params.sort) ? route.params.sort : SORTS[0],
    folded: route.params.fold !== '0',
    unfolded: new Set(),
    open: route.params.alert || route.subject,
    most: PAGE,
  };
  const search = createSearch((a) => `${ctx.deviceName(a.device_id)} ${ctx.typeText(a.alert_type)} ${ctx.what(a)}`);
  let listed = []; // the alarms of the tab after the filters, in their order
  let rows = []; // those that have a row, and groups
  const count = h('span', { class: 'panel-note num', 'data-count': true });
  const note = h('p', { class: 'panel-note list-note', role: 'status' });
  const drawer = createDrawer(ctx, scope, () => open(''));
  const flood = createFloodBadge(ctx, scope, (s) => top.take(s));
  const top = createTop(ctx, () => dirty(true));
  const choice = createChoice(ctx, {
    listed: () => listed,
    visible: () => rows.flatMap((r) => r.alarm ?? []),
    fallback: underCursor,
    onChange: () => dirty(true),
  });
  const table = createAlarmTable(ctx, {
    open,
    opened: () => state.open,
    choose: choice.choose,
    chooseVisible: choice.chooseVisible,
    isChosen: choice.has,
    isUnfolded: (key) => state.unfolded.has(key),
    unfold(key) {
      if (!state.unfolded.delete(key)) state.unfolded.add(key);
      dirty(true);
    },
    acknowledge: (alarms) => ctx.commands.ask('acknowledge', alarms),
  });
  const journal = createPast(ctx, scope, route.params, {
    path: '/api/v1/journal',
    fields: [{ name: 'q', label: t('alarms.search') }],
    more: () => ({ severity: [...state.severity].join(), rule: state.rule }),
    inFile: { zone: Intl.DateTimeFormat().resolvedOptions().timeZone },
    shown: () => state.tab === 'journal',
    onChange: () => dirty(true),
  });
  if (state.rule) journal.bar.prepend(ruleChip());
  const more = h('button', { class: 'button is-small', 'data-more-rows': true, hidden: true, onclick: grow }, t('past.more'));
  const scroller = h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': t('alarms.title') }, table.el, top.el, more, journal.next);
  const filters = listFilters();
  const tabs = tabBar();
  const file = h('button', { class: 'button is-small', 'data-csv': true, onclick: () => (state.tab === 'top' ? top.save() : ctx.saveCSV(`alarms-${state.tab}`, columnsOf(ctx), listed)) }, t('export.csv'));
  const el = h('div', { class: 'alarms-page' },
    h('section', { class: 'panel alarm-panel' },
      h('header', { class: 'panel-head' }, h('h1', { class: 'panel-title' }, t('alarms.title')), tabs.el, flood.el, h('span', { class: 'panel-space' }), chips(), file),
      h('div', { class: 'list-bar' }, choice.el, h('span', { class: 'panel-space' }), count, filters), journal.bar, note, scroller),
    drawer.el);

  /** ruleChip says that the journal is of one rule, and ends that. */
  function ruleChip() {
    const chip = h('button', { class: 'filter-chip', 'data-rule-chip': state.rule, 'aria-label': t('alarms.rule.remove', { id: state.rule }), onclick: () => {
      state.rule = '';
      ctx.setParams({ rule: '' });
      chip.remove();
      journal.changed();
    } }, `${t('alarms.rule', { id: state.rule })} ✕`);
    return chip;
  }

  function tabBar() {
    const parts = TABS.map((name) => {
      const n = h('span', { class: 'tab-count num' });
      const button = h('button', { class: 'button is-small', role: 'tab', 'data-tab': name, onclick: () => show(name) }, t(`alarms.tab.${name}`), LISTS[name] ? n : null);
      return { name, n, button };
    });
    return {
      el: h('span', { class: 'group', role: 'tablist', 'aria-label': t('alarms.tabs') }, parts.map((p) => p.button)),
      draw(of) {
        for (const p of parts) {
          setAttr(p.button, 'aria-selected', String(p.name === state.tab));
          if (LISTS[p.name]) setText(p.n, ctx.fmt.count(of[p.name]));
        }
      },
    };
  }

  function show(tab) {
    state.tab = tab;
    state.most = PAGE;
    choice.clear();
    ctx.setParams({ tab: tab === TABS[0] ? '' : tab });
    const field = journal.bar.querySelector('[data-field=q]');
    if (tab === 'journal' && field.value !== state.q) {
      field.value = state.q;
      journal.changed();
    } else if (tab === 'journal') refresh();
    scroller.scrollTop = 0;
    dirty(true);
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

  /** listFilters are the text, the order and the folding of the lists that are kept in the page. */
  function listFilters() {
    const choose = (more) => {
      Object.assign(state, more);
      state.most = PAGE;
      ctx.setParams({ q: state.q.trim(), sort: state.sort === SORTS[0] ? '' : state.sort, fold: state.folded ? '' : '0' });
      dirty(true);
    };
    const q = h('input', { class: 'control is-small', type: 'search', placeholder: t('alarms.search'), 'aria-label': t('alarms.search'), maxlength: '128', value: state.q, 'data-q': true, oninput: () => choose({ q: q.value }) });
    const sort = h('select', { class: 'control is-small', 'aria-label': t('alarms.sort'), 'data-sort': true, onchange: () => choose({ sort: sort.value }) },
      SORTS.map((s) => h('option', { value: s, selected: s === state.sort }, t(`alarms.sort.${s}`))));
    const folded = h('button', { class: 'button is-small', 'data-fold': true, 'aria-pressed': String(state.folded), title: t('fold.what'), onclick: () => {
      choose({ folded: !state.folded });
      setAttr(folded, 'aria-pressed', String(state.folded));
    } }, t('fold.switch'));
    return h('span', { class: 'list-filters' }, q, sort, folded);
  }

  /** divide looks at every alarm once and returns those of the building by tab. */
  function divide() {
    const by = { now: [], over: [], aside: [] };
    for (const a of ctx.alarms.all.values()) {
      if (!isOpen(a) || !ctx.concerns(a)) continue;
      for (const name in LISTS) if (LISTS[name](a)) by[name].push(a);
    }
    return by;
  }

  function filtered(list) {
    const chosen = state.severity.size === 0 ? list : list.filter((a) => state.severity.has(a.severity));
    return sortAlarms(search(chosen, state.q), state.sort);
  }

  function draw() {
    const by = divide();
    tabs.draw(Object.fromEntries(Object.entries(by).map(([name, list]) => [name, list.length])));
    const kept = Boolean(LISTS[state.tab]);
    const past = state.tab === 'journal';
    listed = kept ? filtered(by[state.tab]) : past ? (journal.items() ?? []).map((a) => ctx.alarms.all.get(a.alert_id) ?? a) : [];
    const every = kept && state.folded ? fold(listed, state.unfolded) : listed.map((alarm) => ({ alarm }));
    rows = past ? every : every.slice(0, state.most);
    table.el.hidden = state.tab === 'top';
    top.el.hidden = state.tab !== 'top';
    filters.hidden = !kept;
    journal.bar.hidden = !past;
    journal.next.hidden = true;
    file.hidden = past; // the journal's bar has one, for all that the portal keeps
    more.hidden = rows.length === every.length;
    table.draw(rows, { boxes: kept });
    choice.draw(state.tab);
    const unseen = listed.filter(isUnseen).length;
    setText(count, kept ? t(state.tab === 'over' ? 'alarms.count.over' : 'alarms.count', { n: ctx.fmt.count(listed.length), unseen: ctx.fmt.count(unseen) }) : '');
    setText(note, past ? journal.draw(t('alarms.journal.none')) : state.tab === 'top' ? top.draw() : listed.length === 0 ? emptyText() : '');
  }

  function emptyText() {
    if (state.severity.size > 0 || state.q.trim()) return t('alarms.none.filtered');
    if (state.tab !== 'now') return t(`alarms.${state.tab}.none`);
    const last = ctx.alarms.lastCleared();
    return last ? t('alarms.none.last', { age: ctx.age(last) }) : t('alarms.none');
  }

  function grow() {
    state.most += PAGE;
    dirty(true);
  }

  async function refresh() {
    if (state.tab === 'journal') await journal.refresh();
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

  /** underCursor are the alarms of the row that has the keyboard's focus. */
  function underCursor() {
    const row = table.focused();
    return row ? (row.group?.alarms ?? [ctx.alarms.all.get(row.alarm.alert_id) ?? row.alarm]) : [];
  }

  /** keys of the list; those of a field or a dialog are their own. */
  function key(event) {
    if (ctx.typing(event)) return;
    const row = table.focused();
    const inRow = row && !document.activeElement.closest('button,a,input');
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (step && (row || document.activeElement === document.body || document.activeElement === scroller || document.activeElement.id === 'page')) table.step(step);
    else if (event.key === ' ' && inRow && LISTS[state.tab]) choice.choose((row.group?.alarms ?? [row.alarm]).map((a) => a.alert_id), !(row.group?.alarms ?? [row.alarm]).every((a) => choice.has(a.alert_id)));
    else if (event.key === 'Enter' && inRow) row.group ? unfoldBy(row.group.key) : open(row.alarm.alert_id);
    else if (event.key === 'a' && LISTS[state.tab]) choice.ask('acknowledge');
    else if (event.key === 'Escape' && state.open) open('');
    else return;
    event.preventDefault();
  }

  function unfoldBy(key) {
    if (!state.unfolded.delete(key)) state.unfolded.add(key);
    dirty(true);
  }

  scope.listen(window, 'keydown', key);
  scope.listen(scroller, 'scroll', () => {
    if (!more.hidden && scroller.scrollTop + scroller.clientHeight > scroller.scrollHeight - 300) grow();
  });
  const dirty = scope.draw(draw, ['alarms', 'view', 'slow', 'sensors']);
  scope.every(15_000, refresh);
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
    ['message', ctx.what],
  ];
}
