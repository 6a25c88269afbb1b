// The bar on top of every page: building, search, alarm chips, live mark, language, theme.
import { glyph, h, setAttr, setClass, setText } from '../../core/dom.js';
import { age, count } from '../../core/format.js';
import { SEVERITIES } from '../../core/store.js';

export const THEMES = ['auto', 'light', 'dark'];

export function createTopbar(ctx) {
  const { store, view } = ctx;
  const building = h('select', { class: 'bar-building', onchange: () => view.set({ building: building.value }) });
  const search = h('input', {
    class: 'bar-search',
    type: 'search',
    autocomplete: 'off',
    spellcheck: 'false',
    maxlength: 64,
    oninput: () => view.set({ text: search.value }),
    onkeydown: (e) => {
      if (e.key === 'Escape') {
        view.set({ text: '' });
        search.blur();
      }
    },
  });
  const chips = new Map();
  const chipBox = h('div', { class: 'bar-chips' });
  for (const s of SEVERITIES) {
    const n = h('span', { class: 'num' });
    const button = h('button', {
      type: 'button',
      class: `chip chip-${s}`,
      onclick: () => {
        view.set({ severity: view.severity === s ? '' : s });
        document.getElementById('alarms')?.scrollIntoView({ block: 'nearest' });
      },
    }, glyph(s), n);
    chips.set(s, { button, n });
    chipBox.append(button);
  }
  const mark = h('span', { class: 'live-dot', 'aria-hidden': 'true' });
  const liveText = h('span', { class: 'num' });
  const live = h('span', { class: 'live' }, mark, liveText);
  const language = h('button', { type: 'button', class: 'bar-button', onclick: () => ctx.setLanguage(ctx.lang() === 'zh' ? 'en' : 'zh') });
  const theme = h('button', { type: 'button', class: 'bar-button bar-theme', onclick: () => ctx.setTheme(THEMES[(THEMES.indexOf(ctx.theme()) + 1) % THEMES.length]) },
    h('span', { class: 'theme-icon', 'aria-hidden': 'true' }));
  const title = h('h1', { class: 'bar-title' });

  document.addEventListener('keydown', (e) => {
    if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
    e.preventDefault();
    search.focus();
    search.select();
  });

  let options = '';
  function drawBuildings() {
    const { t } = ctx;
    const names = (store.state.stats?.buildings ?? []).map((b) => b.building).filter(Boolean);
    const key = [ctx.lang(), ...names].join('\n');
    if (key !== options) {
      options = key;
      building.replaceChildren(h('option', { value: '' }, t('bar.buildings')), ...names.map((n) => h('option', { value: n }, n)));
    }
    if (building.value !== view.building) building.value = view.building;
  }

  function drawLive() {
    const { t } = ctx;
    const l = store.liveness();
    setText(liveText, t(`live.${l.state}`, { age: age(l.age, t) }));
    for (const s of ['live', 'stale', 'reconnecting', 'waiting', 'refused']) setClass(live, `is-${s}`, l.state === s);
  }

  function draw() {
    const { t } = ctx;
    setText(title, t('title'));
    drawBuildings();
    setAttr(building, 'aria-label', t('bar.building.label'));
    setAttr(search, 'placeholder', t('bar.search.hint'));
    setAttr(search, 'aria-label', t('bar.search'));
    if (search.value !== view.text) search.value = view.text;
    const by = store.activeBySeverity();
    for (const [s, { button, n }] of chips) {
      setText(n, count(by[s]));
      setClass(button, 'is-zero', by[s] === 0);
      setAttr(button, 'aria-pressed', view.severity === s);
      setAttr(button, 'aria-label', t('bar.alarms', { n: count(by[s]), severity: t(`severity.${s}`) }));
      setAttr(button, 'title', t('bar.alarms', { n: count(by[s]), severity: t(`severity.${s}`) }));
    }
    setAttr(live, 'title', t('live.title'));
    setText(language, t('bar.language'));
    setAttr(language, 'aria-label', t('bar.language.label'));
    setAttr(theme, 'aria-label', t('bar.theme', { mode: t(`theme.${ctx.theme()}`) }));
    setAttr(theme, 'title', t('bar.theme', { mode: t(`theme.${ctx.theme()}`) }));
    drawLive();
  }

  const el = h('header', { class: 'bar' }, title, building, search, h('span', { class: 'bar-space' }), chipBox, live, language, theme);
  ctx.component(draw, ['alarms', 'stats', 'socket', 'view', 'tick']);
  return el;
}
