// The page: puts the parts together and keeps them fed. Telemetry and alarms come over
// the WebSocket in the simple dialect, everything else from the REST API.
import { all, get } from './core/api.js';
import { h, setAttr, setClass } from './core/dom.js';
import { chooseLanguage, translator } from './core/i18n.js';
import { createScheduler } from './core/scheduler.js';
import { connect } from './core/socket.js';
import { createStore } from './core/store.js';
import { createAlarms } from './components/alarms/alarms.js';
import { createBanner } from './components/banner/banner.js';
import { createDevices } from './components/devices/devices.js';
import { createFigures } from './components/figures/figures.js';
import { createBuildings, createGateways } from './components/gateways/gateways.js';
import { createTopbar, THEMES } from './components/topbar/topbar.js';

const STATS_EVERY = 1000;
const ABSENT_EVERY = 5000;
const TICK = 500;

/** remembered reads and writes settings; a browser that forbids it forgets them. */
const remembered = {
  get(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch {
      // then it holds until the page is closed
    }
  },
};

const store = createStore();
const scheduler = createScheduler({
  raf: (f) => requestAnimationFrame(f),
  hidden: () => document.hidden,
  now: () => performance.now(),
});

/** wake tells components that something of a kind changed. */
const interested = new Map();
function wake(kind, urgent = false) {
  for (const dirty of interested.get(kind) ?? []) dirty(urgent);
}

const view = {
  text: '',
  building: '',
  severity: '',
  set(change) {
    Object.assign(view, change);
    wake('view', true);
  },
};

let lang = chooseLanguage(remembered.get('lang'), navigator.language);
let theme = THEMES.includes(remembered.get('theme')) ? remembered.get('theme') : 'auto';
const coarse = matchMedia('(pointer: coarse), (max-width: 599px)');
const newAlarm = [];

const ctx = {
  store,
  view,
  t: translator(lang),
  lang: () => lang,
  theme: () => theme,
  touch: () => coarse.matches,
  /** dimmed says that nothing on the page can be taken for current. */
  dimmed: () => ['stale', 'reconnecting', 'refused'].includes(store.liveness().state),
  setLanguage(next) {
    lang = next;
    remembered.set('lang', next);
    ctx.t = translator(next);
    document.documentElement.lang = next === 'zh' ? 'zh-CN' : 'en';
    scheduler.all();
  },
  setTheme(next) {
    theme = next;
    remembered.set('theme', next);
    setAttr(document.documentElement, 'data-theme', next === 'auto' ? null : next);
    scheduler.all();
  },
  /** component registers a draw function for the kinds of change it shows. */
  component(draw, kinds) {
    const dirty = scheduler.add(draw);
    for (const kind of kinds) {
      if (!interested.has(kind)) interested.set(kind, []);
      interested.get(kind).push(dirty);
    }
    return dirty;
  },
  onNewAlarm: (f) => newAlarm.push(f),
};

ctx.setTheme(theme);
ctx.setLanguage(lang);

const page = h('main', { class: 'page' },
  createFigures(ctx), h('div', { class: 'strips' }, createGateways(ctx), createBuildings(ctx)), createDevices(ctx), createAlarms(ctx));
document.getElementById('app').append(createTopbar(ctx), createBanner(ctx), page);
ctx.component(() => setClass(page, 'is-dim', ctx.dimmed()), ['socket', 'stats', 'tick']);
store.subscribe((kind) => wake(kind));

// ---- what is fetched ----

/** every runs a job at once and then again and again, one at a time, not while hidden. */
function every(ms, job) {
  const again = async () => {
    if (!document.hidden) {
      try {
        await job();
      } catch {
        // the banner tells how old the last answer is
      }
    }
    setTimeout(again, ms);
  };
  again();
}

let short = 0; // how often in a row the portal knew of more devices than we do
every(STATS_EVERY, async () => {
  const asked = Date.now();
  const stats = await get('/api/v1/stats');
  store.setStats(stats, asked);
  store.setGateways(await get('/api/v1/gateways'));
  short = stats.devices.total > store.devices.size ? short + 1 : 0;
  if (short > 4) {
    short = 0;
    await all('/api/v1/devices', store.takeDevice);
  }
  if (stats.alerts.active !== store.activeTotal() && !loadingAlerts) adrift++;
  else adrift = 0;
  if (adrift > 6) await loadAlerts();
});

every(ABSENT_EVERY, async () => {
  const absent = [];
  await all('/api/v1/devices?presence=offline', (d) => absent.push(d));
  await all('/api/v1/devices?presence=unknown', (d) => absent.push(d));
  store.setAbsent(absent);
});

let adrift = 0; // how often in a row our count of alarms was not the portal's
let loadingAlerts = null; // alerts that arrive meanwhile

/** loadAlerts reads the alarms anew: what cleared while we were away must not stay. */
async function loadAlerts() {
  if (loadingAlerts) return;
  loadingAlerts = [];
  adrift = 0;
  try {
    const list = [];
    await all('/api/v1/alerts?status=active', (a) => list.push(a));
    const cleared = await get('/api/v1/alerts?status=cleared&limit=50');
    store.setAlerts([...list, ...cleared.items, ...loadingAlerts]);
    store.setClearedKept(cleared.total);
  } catch {
    loadingAlerts.forEach(store.takeAlert);
  } finally {
    loadingAlerts = null;
  }
}

function takeMessage(m) {
  if (m.type === 'device_data') store.takeReading(m.payload);
  else if (m.type === 'alert') {
    if (loadingAlerts) loadingAlerts.push(m.payload);
    const fresh = store.takeAlert(m.payload);
    if (fresh && store.serverNow() - m.payload.timestamp < 30_000) newAlarm.forEach((f) => f(m.payload));
  }
}

const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
async function start() {
  const path = await socketPath();
  connect({
    url: `${scheme}://${location.host}${path}`,
    onOpen(ws) {
      ws.send('{"type":"subscribe_all"}');
      loadAlerts();
    },
    onMessage: takeMessage,
    onState: store.setSocket,
  });
}

/** socketPath asks where the WebSocket is; the portal says so with its figures. */
async function socketPath() {
  for (;;) {
    try {
      return (await get('/api/v1/stats')).websocket_path;
    } catch {
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}
start();

setInterval(() => wake('tick'), TICK);
document.addEventListener('visibilitychange', () => scheduler.all());
coarse.addEventListener('change', () => scheduler.all());
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => scheduler.all());
