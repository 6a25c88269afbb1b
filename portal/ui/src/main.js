// The page: puts the parts together and keeps them fed, by the WebSocket in the dialect
// iot.v1.json, and by the REST API for everything else.
import { createChannel } from './core/channel.js';
import { h, setAttr, setClass } from './core/dom.js';
import * as format from './core/format.js';
import { chooseLanguage, FURTHER, LANGUAGES, translator } from './core/i18n.js';
import { listenToKeys, typing } from './core/keys.js';
import { later, sheet } from './core/later.js';
import { remembered } from './core/remembered.js';
import { createRouter, format as href } from './core/router.js';
import { csv, save } from './core/save.js';
import { createScheduler } from './core/scheduler.js';
import { createScopes } from './core/scope.js';
import { createAlarms } from './model/alarms.js';
import { alarmText, peakText } from './model/alarmtext.js';
import { createFleet, isWhole, STATES } from './model/fleet.js';
import { createPlant } from './model/plant.js';
import { createSensors, UNIT_UNKNOWN } from './model/sensors.js';
import { createOverview } from './pages/overview.js';
import { createCaller } from './parts/call.js';
import { createCommands, operator, signIn } from './parts/command.js';
import { createBanner, createTopbar } from './parts/frame.js';
import { createNav } from './parts/nav.js';
import { createPrintHead } from './parts/print.js';

const PAGES = {
  overview: createOverview,
  trends: later(() => import('./pages/trends.js').then((m) => m.createTrends)),
  alarms: later(() => import('./pages/alarms.js').then((m) => m.createAlarmsPage)),
  devices: later(() => import('./pages/devices.js').then((m) => m.createDevicesPage)),
  device: later(() => Promise.all([import('./pages/device.js'), sheet('plan'), texts('anomaly')]).then(([m]) => m.createDevicePage)),
  gateways: later(() => Promise.all([import('./pages/gateways.js'), texts('credentials')]).then(([m]) => m.createGatewaysPage)),
  system: later(() => Promise.all([import('./pages/system.js'), texts('system')]).then(([m]) => m.createSystemPage)),
  audit: later(() => Promise.all([import('./pages/audit.js'), texts('audit')]).then(([m]) => m.createAuditPage)),
  people: later(() => Promise.all([import('./pages/people.js'), texts('people'), sheet('people')]).then(([m]) => m.createPeoplePage)),
  report: later(() => Promise.all([import('./pages/report.js'), texts('report'), sheet('report')]).then(([m]) => m.createReportPage)),
  rules: later(() => Promise.all([import('./pages/rules.js'), texts('rules'), sheet('rules')]).then(([m]) => m.createRulesPage)),
  plan: later(() => Promise.all([import('./pages/plan.js'), sheet('plan')]).then(([m]) => m.createPlanPage)),
  shiftnotes: later(() => import('./pages/shiftnotes.js').then((m) => m.createShiftNotesPage)),
};
const further = new Set(); // pages whose texts have come, or are coming
let openFinder = null;
const finder = () => import('./parts/finder.js').then((m) => (openFinder = m.openFinder));
const LATEST = 2000; // ms after the start that what can wait waits for the alarms
const THEMES = ['auto', 'light', 'dark'];
const CARRIED = ['b']; // the building, on every page
const RESTS = 1000; // ms out of sight before the page rests
const FRESH = 30_000; // an alarm older than this is no news to read out

const fleet = createFleet();
const alarms = createAlarms();
const sensors = createSensors();
const plant = createPlant();
const scheduler = createScheduler({ raf: (f) => requestAnimationFrame(f), hidden: () => document.hidden, now: () => performance.now(), painted: () => ctx.screen?.painted() });

const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
const channel = createChannel({
  url: `${scheme}://${location.host}${document.documentElement.dataset.socket || '/ws'}`,
  onState(name, code) {
    plant.setSocket(name, code);
    wake('socket', true);
    if (code) guard(code).catch(() => {}); // the portal may be away: the next time
  },
  onFrame() {
    plant.heard();
    ctx.screen?.heard();
  },
  onDelta: (ts) => ctx.screen?.frame(ts),
  onHello(hello) {
    signIn(hello.operator ?? '');
    setAttr(document.documentElement, 'data-may', hello.permissions?.join(' ')); // the stylesheet hides what needs more
    plant.hello(hello);
  },
});
const { scope: newScope, wake } = createScopes({ scheduler, channel });

const coarse = matchMedia('(pointer: coarse), (max-width: 599px)');
const announcer = h('div', { class: 'sr-only', role: 'alert' });
const notice = h('div', { class: 'notice', role: 'status', onclick: () => (notice.textContent = '') });
let lang = chooseLanguage(remembered.get('lang'), navigator.language);
let theme = THEMES.includes(remembered.get('theme')) ? remembered.get('theme') : 'auto';
let scope = null;

const debug = { state: { fleet, alarms, plant, sensors } }; // what tests look at
globalThis.iot = debug;

let show; // keeps ctx.listed
const ctx = {
  fleet,
  alarms,
  plant,
  sensors,
  channel,
  wake,
  view: { building: '', paused: 0 },
  fmt: format,
  t: translator(await LANGUAGES[lang]()),
  lang: () => lang,
  theme: () => theme,
  touch: () => coarse.matches,
  typing,
  debug,
  screen: null, // comes later
  listed: new Promise((done) => { // the alarms are on the screen: what can wait comes now
    show = done;
    setTimeout(done, LATEST);
  }),
  go: (page, subject, params) => router.go(page, subject, params),
  setParams: (params) => router.set(params),
  route: () => router.current(),
  /** age of a moment of the server's clock, in words. */
  age: (ms) => format.age(plant.ageOf(ms), ctx.t),
  what: (a) => alarmText(a, ctx.words()),
  /** words is what texts about alarms are made of. */
  words: () => ({ t: ctx.t, name: ctx.sensorName, unit: (name) => sensors.get(name).unit, decimals: (name) => sensors.get(name).decimals ?? 2 }),
  /** asOfTime is the time of day of the last data when the page is cut off. */
  asOfTime: () => (plant.asOf() ? format.clock(plant.asOf(), plant.serverNow()) : ctx.t('unknown')),
  /** freshness says how old a value of that moment is, or when it was true if the page is cut off. */
  freshness: (ms) => (plant.asOf() ? ctx.t('asof', { time: format.clock(ms, plant.serverNow()) }) : ctx.t('age.ago', { age: ctx.age(ms) })),
  /** sensorName is a sensor's name in the page's language. */
  sensorName: (name) => (ctx.t.has(`param.${name}`) ? ctx.t(`param.${name}`) : sensors.get(name)[lang] || name),
  /** sensorLabel adds its unit. */
  sensorLabel: (name) => [ctx.sensorName(name), sensors.get(name).unit].filter((x) => x && x !== '1').join(' · '),
  /** quantity formats a number of a sensor's kind. */
  quantity: (name, value) => format.value({ value, unit: sensors.get(name).unit }, sensors.get(name).decimals),
  /** sensorText formats a sensor's value as it was sent: a number, a switch, or a text. */
  sensorText(name, s) {
    if (!s || s.value === null || s.value === undefined) return '–';
    if (typeof s.value === 'boolean') return ctx.t(s.value ? 'switch.on' : 'switch.off');
    if (typeof s.value === 'string') return s.value || '–';
    const known = sensors.get(name);
    return s.status === UNIT_UNKNOWN ? format.value(s) : format.value({ value: s.value, unit: s.unit ?? known.unit }, known.decimals);
  },
  /** deviceName is a device's name, its id if it has none. */
  deviceName: (id) => fleet.byID.get(id)?.name || id,
  typeText: (type) => (ctx.t.has(`type.${type}`) ? ctx.t(`type.${type}`) : type.startsWith('anomaly_') ? ctx.t('type.anomaly', { name: ctx.sensorName(type.slice(8)) }) : type),
  peak: (a) => peakText(a, ctx.words()),
  place: (d) => (!d?.building ? '' : isWhole(d) ? d.building : ctx.t('place', { building: d.building, floor: d.floor, room: d.room })),
  stateText: (d) => ctx.t(`state.${STATES[d.state]}`),
  deviceHref: (id) => href({ page: 'device', subject: id }),
  pageHref: (page, params = {}) => href({ page, params }),
  /** placeHref leads to a building, a floor of it, or a room; to all devices without any. */
  placeHref: ({ building = '', floor = '', room = '' }) => `${href({ page: 'devices', params: { b: building, floor, room } })}${building ? '' : '?b='}`,
  /** placeLink is where a device stands, as a link to the room. */
  placeLink: (d) => (d?.building ? h('a', { class: 'place-link', href: ctx.placeHref(d) }, ctx.place(d)) : null),
  alarmHref: (a) => href({ page: 'alarms', params: { alert: a.alert_id } }),
  /** deviceLink leads to a device; the alarms of gateways lead to the gateways. */
  deviceLink: (id, a) => h('a', { href: a?.alert_type?.startsWith('gateway_') ? '#/gateways' : ctx.deviceHref(id), title: id }, ctx.deviceName(id)),
  /** concerns tells whether an alarm is of the building that is looked at. */
  concerns: (a) => !ctx.view.building || a.location?.building === ctx.view.building,
  setBuilding(name) {
    ctx.view.building = name;
    router.set({ b: name });
    wake('view', true);
  },
  togglePause() {
    ctx.view.paused = ctx.view.paused ? 0 : plant.serverNow();
    wake('view', true);
    wake('tick', true);
  },
  async setLanguage(next) {
    const words = await Promise.all([LANGUAGES[next](), ...[...further].map((page) => FURTHER[page][next]())]);
    lang = next;
    remembered.set('lang', next);
    ctx.t = translator(Object.assign({}, ...words));
    document.documentElement.lang = next === 'zh' ? 'zh-CN' : 'en';
    render(router.current());
  },
  nextTheme() {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remembered.set('theme', theme);
    dress();
    render(router.current());
  },
  /** tell says something that needs no answer. */
  tell: (text) => (notice.textContent = text),
  help: () => import('./parts/help.js').then((m) => m.showHelp(ctx)),
  /** find opens the search for everything. */
  find: () => (openFinder ? openFinder(ctx) : finder().then(() => openFinder(ctx))),
  save,
  saveCSV: (name, columns, rows) => save(`${name}.csv`, new Blob([csv(columns, rows)], { type: 'text/csv' })),
};
ctx.texts = texts;
ctx.scope = newScope;
ctx.commands = createCommands(ctx);
ctx.call = createCaller(ctx);

/** texts adds those of a page to the dictionary; a language that is chosen meanwhile has them, too. */
function texts(page) {
  further.add(page);
  return FURTHER[page][lang]().then(ctx.t.add);
}

const dark = matchMedia('(prefers-color-scheme: dark)');

/** dress puts the theme on the page: the chosen one, or the system's. */
function dress() {
  document.documentElement.dataset.theme = theme === 'auto' ? (dark.matches ? 'dark' : 'light') : theme;
}

/** render shows a page: everything of the one before is given back first. */
function render(route) {
  scope?.end();
  scope = newScope();
  if (gate) return document.getElementById('app').replaceChildren(gate(), notice);
  ctx.view.building = route.params.b ?? '';
  const make = PAGES[route.page] ?? PAGES.overview;
  const known = PAGES[route.page] ? route : { page: 'overview', subject: '', params: {} };
  const main = h('main', { class: 'page', id: 'page', tabindex: '-1' });
  ctx.call.name(`${ctx.t(`nav.${known.page === 'device' ? 'devices' : known.page}`)} · ${ctx.t('title')}`);
  const app = document.getElementById('app');
  const pieces = [createTopbar(ctx, scope), createBanner(ctx, scope), h('div', { class: 'frame' }, createNav(ctx, scope, known), main)];
  app.replaceChildren(h('a', { class: 'skip', href: '#page', onclick: (e) => (e.preventDefault(), main.focus()) }, ctx.t('skip')), ...pieces, announcer, notice);
  main.append(createPrintHead(ctx, scope), make(ctx, scope, known));
  scope.draw(() => setClass(document.body, 'is-stale', plant.liveness().state !== 'live'), ['tick', 'socket']);
}

let gate = null; // shows the sign-in in place of the pages

/** guard looks, after a connection failed or ended with a code, whether a person has to sign in. */
async function guard(code) {
  const [m] = await Promise.all([import('./parts/signin.js'), texts('people'), sheet('people')]);
  const s = await m.session();
  if (gate || !m.needed(s)) return;
  gate = () => m.createSignIn(ctx, { ...s, ended: code === 4003 });
  render(router.current());
}

/** announce reads out new critical alarms, and nothing else. */
function announce(a) {
  if (a.severity !== 'critical' || plant.serverNow() - (a.detected_at || a.timestamp) > FRESH) return;
  announcer.textContent = ctx.t('alarms.new', { device: ctx.deviceName(a.device_id), what: ctx.what(a) });
}

const listed = scheduler.add(() => alarms.version() > 0 && setTimeout(show)); // painted by then
channel.subscribe('fleet', (m) => {
  fleet.apply(m);
  wake('fleet');
});
channel.subscribe('sensors', (m) => {
  sensors.apply(m);
  wake('sensors');
});
channel.subscribe('alerts', (m) => {
  const fresh = alarms.apply(m);
  if (fresh) announce(fresh);
  ctx.call.take(m);
  wake('alarms', m.kind === 'snapshot'); // at once: a person waits for it
  if (m.kind === 'snapshot') listed(true);
});
channel.subscribe('stats', (m) => {
  if (m.kind !== 'lagged') plant.takeStats(m);
  wake('stats');
});
channel.subscribe('gateways', (m) => {
  if (m.kind !== 'lagged') plant.takeGateways(m);
  wake('gateways');
});

const router = createRouter(render, CARRIED);
dress();
document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en';
if (router.current().params.kiosk) document.body.classList.add('is-kiosk');
router.start();
channel.present(operator());
channel.start();
ctx.listed.then(prefetch);
listenToKeys(window, {
  go: (page) => router.go(page),
  pause: ctx.togglePause,
  help: ctx.help,
  kiosk: () => document.body.classList.toggle('is-kiosk'),
  search: ctx.find,
});

/** noticeSilence redraws what shows ages when data stops coming, or comes again. */
let liveness = '';
function noticeSilence() {
  const { state } = plant.liveness();
  if (state === liveness) return;
  liveness = state;
  wake('liveness', true);
}

/** prefetch loads what can be opened by a key, and then the other pages, one after the other. */
async function prefetch() {
  import('./core/screen.js').then((m) => (ctx.screen = debug.screen = m.createScreen(channel)), () => {});
  await Promise.all([PAGES.alarms.prefetch(), finder().catch(() => {})]);
  for (const page of Object.values(PAGES)) await page.prefetch?.();
  ctx.debug.prefetched = true;
}

let ticks = 0;
setInterval(() => {
  if (document.hidden) return;
  ticks++;
  setClass(document.body, 'is-beat', ticks % 2 === 0); // unacknowledged badges pulse
  wake('tick');
  noticeSilence();
  if (ticks % 2 === 0) wake('second');
  if (ticks % 10 === 0) wake('slow');
}, 500);
// A hidden page subscribes to alarms only, and to everything again once it is visible.
let resting = 0;
document.addEventListener('visibilitychange', () => {
  clearTimeout(resting);
  if (document.hidden) resting = setTimeout(() => channel.rest(true), RESTS);
  else channel.rest(false);
  scheduler.all();
});
dark.addEventListener('change', () => {
  dress();
  wake('theme', true);
  if (theme === 'auto') render(router.current());
});
