// Ctrl-K: finds devices, places, gateways, alarms, rules, pages and views, by the keyboard alone.
import { get, query } from '../core/api.js';
import { glyph, h, setAttr, setText } from '../core/dom.js';
import { needsAttention, sortAlarms } from '../model/alarms.js';
import { find, placesOf } from '../model/finder.js';
import { viewHref } from '../model/views.js';
import { operator } from './command.js';
import { PAGES } from './nav.js';

const ALARMS = 1000; // the worst ones are looked through

/** openFinder shows it, with a text to begin with. */
export function openFinder(ctx, text = '') {
  const { t } = ctx;
  if (document.querySelector('dialog[open]')) return;
  const before = document.activeElement;
  const input = h('input', { class: 'control finder-input', type: 'text', role: 'combobox', 'aria-expanded': 'true', 'aria-controls': 'finder-list', 'aria-autocomplete': 'list', 'aria-label': t('finder.title'), placeholder: t('finder.hint'), autocomplete: 'off', spellcheck: 'false', 'data-finder': true, value: text });
  const list = h('ul', { class: 'finder-list', role: 'listbox', id: 'finder-list', 'aria-label': t('finder.title') });
  const note = h('p', { class: 'panel-note finder-note', role: 'status' });
  const dialog = h('dialog', { class: 'dialog finder', 'aria-label': t('finder.title') }, input, list, note);
  const places = placesOf(ctx.fleet.sorted()).map((p) => ({ ...p, ...placeOffer(ctx, p) }));
  const things = thingsOf(ctx);
  let offers = [];
  let at = 0;

  function look() {
    const from = performance.now();
    const q = input.value.trim();
    const found = find(q, { things, places, rows: ctx.fleet.sorted() });
    offers = found.offers.map((x) => (x.kind === 'device' ? { ...x, href: ctx.deviceHref(x.device.id), note: [x.device.name ? x.device.id : '', ctx.place(x.device)].filter(Boolean).join(' · ') } : x));
    if (found.devices > 1) offers.push({ kind: 'all', title: t('finder.all', { n: ctx.fmt.count(found.devices) }), note: q, href: ctx.pageHref('devices', { q }) });
    at = 0;
    list.replaceChildren(...offers.map(row));
    show();
    setText(note, offers.length === 0 ? t('finder.none') : t('finder.keys'));
    ctx.debug.finder = { took: performance.now() - from, offers };
  }

  function row(x, i) {
    return h('li', { class: 'finder-row', role: 'option', id: `finder-${i}`, 'data-kind': x.kind, 'data-title': x.title, onclick: () => open(i), onmousemove: () => at !== i && ((at = i), show()) },
      h('span', { class: 'finder-kind' }, t(`finder.kind.${x.kind}`)),
      h('span', { class: 'finder-title' }, x.severity ? glyph(x.severity) : null, x.title),
      h('span', { class: 'finder-where' }, x.note ?? ''));
  }

  function show() {
    [...list.children].forEach((el, i) => setAttr(el, 'aria-selected', String(i === at)));
    setAttr(input, 'aria-activedescendant', offers.length > 0 ? `finder-${at}` : null);
    list.children[at]?.scrollIntoView({ block: 'nearest' });
  }

  function open(i) {
    const chosen = offers[i];
    if (!chosen) return;
    dialog.close();
    location.hash = chosen.href;
  }

  input.addEventListener('input', look);
  input.addEventListener('keydown', (e) => {
    if (e.isComposing) return; // the keys are the input method's
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 8, PageUp: at - 8 }[e.key];
    if (to !== undefined) {
      at = offers.length === 0 ? 0 : e.key.startsWith('Page') ? Math.min(Math.max(to, 0), offers.length - 1) : (to + offers.length) % offers.length;
      show();
    } else if (e.key === 'Enter') open(at);
    else return;
    e.preventDefault();
  });
  dialog.addEventListener('click', (e) => e.target === dialog && dialog.close());
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  look();
  more(ctx).then((found) => {
    if (!dialog.open || found.length === 0) return;
    things.push(...found);
    look();
  });
}

function placeOffer(ctx, { kind, device: d }) {
  const { building, floor, room } = d;
  if (kind === 'building') return { title: building, href: ctx.placeHref({ building }) };
  if (kind === 'floor') return { title: `${building} · ${ctx.t('floor', { n: floor })}`, href: ctx.placeHref({ building, floor }) };
  return { title: ctx.place(d), href: ctx.placeHref({ building, floor, room }) };
}

/** thingsOf are what the page knows by itself. */
function thingsOf(ctx) {
  const pages = PAGES.map((name) => ({ kind: 'page', title: ctx.t(`nav.${name}`), also: name, href: ctx.pageHref(name) }));
  const gateways = ctx.plant.state.gateways.map((g) => ({ kind: 'gateway', title: g.gateway, also: g.building, note: g.building, href: ctx.pageHref('gateways') }));
  const alarms = sortAlarms(ctx.alarms.list(needsAttention)).slice(0, ALARMS).map((a) => ({
    kind: 'alarm', severity: a.severity, title: `${ctx.deviceName(a.device_id)} · ${ctx.typeText(a.alert_type)}`, also: `${a.device_id} ${a.alert_type} ${ctx.place(a.location)}`, note: ctx.place(a.location), href: ctx.alarmHref(a),
  }));
  const plans = placesOf(ctx.fleet.sorted()).filter((p) => p.kind === 'floor').map(({ device: d }) => {
    const at = `${d.building} · ${ctx.t('floor', { n: d.floor })}`;
    return { kind: 'plan', title: `${ctx.t('nav.plan')} · ${at}`, also: `plan ${at}`, href: ctx.pageHref('plan', { b: d.building, f: d.floor }) };
  });
  return [...pages, ...gateways, ...alarms, ...plans];
}

/** more is what the portal has to be asked for; what it does not have is not offered. */
async function more(ctx) {
  const lists = await Promise.all([
    get(`/api/v1/views${query({ by: operator(), limit: 1000 })}`).then((a) => a.items.map((v) => ({ kind: 'view', title: v.name, note: ctx.t(`nav.${v.page === 'device' ? 'devices' : v.page}`), href: viewHref(v) })), () => []),
    PAGES.includes('rules') ? get('/api/v1/rules').then((a) => (a.rules ?? a.items ?? []).map((r) => ({ kind: 'rule', title: ctx.typeText(r.type ?? r.id), also: r.id, note: r.id, href: ctx.pageHref('rules', { rule: r.id }) })), () => []) : [],
  ]);
  return lists.flat();
}
