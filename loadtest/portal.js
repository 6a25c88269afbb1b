// Load on a running portal: CLIENTS WebSocket clients connect, 1,000 in 5 seconds, and stay for
// DURATION, with RATE REST requests a second. Of every twenty clients
//
//   nine  show the overview          dashboard's dialect: fleet, alerts, stats, gateways
//   four  show 5 to 20 devices       dashboard's dialect: device/…, alerts
//   one   shows a building           dashboard's dialect: building/…, a sensor of all devices, alerts
//   four  are other programs         simple dialect: 5 to 20 devices; one in twenty of these subscribes to all
//   two   read slowly                dashboard's dialect: everything, 3 seconds for each message
//
//   k6 run loadtest/portal.js
//   k6 run -e CLIENTS=5000 -e DURATION=120s loadtest/portal.js    with WEBSOCKET_MAX_CONNECTIONS=6000
//
// The pass criteria are in `thresholds`. Only slow readers may be closed (4008). Ages are
// differences between the clock of this machine and those of the gateways and the portal, so
// run everything on one machine. CPU and memory are those of the process behind /metrics,
// which in the all-in-one process is the whole product.
import http from 'k6/http';
import slow from 'k6/ws'; // it reads the next message when the handler has returned
import { check, fail, sleep } from 'k6';
import exec from 'k6/execution';
import { WebSocket } from 'k6/websockets';
import { Counter, Rate, Trend } from 'k6/metrics';

const API = __ENV.PORTAL || 'http://127.0.0.1:8080';
const SOCKET = __ENV.SOCKET || 'ws://127.0.0.1:8081/ws';
const CLIENTS = Number(__ENV.CLIENTS || 1000);
const DURATION = seconds(__ENV.DURATION || '60s');
const RATE = Number(__ENV.RATE || 20);
const AGE_P99 = Number(__ENV.AGE_P99 || 1000); // ms
const REST_P99 = Number(__ENV.REST_P99 || 1000); // ms
const PER_SECOND = 200; // connections: 1,000 in 5 s
const RAMP = CLIENTS / PER_SECOND;
const SLOW = Math.floor(CLIENTS / 10);
const FAST = CLIENTS - SLOW;
const PER_VU = 50; // clients that share one interpreter
const SAMPLE = Math.max(10, Math.round(CLIENTS / 50)); // one message in so many is checked: 200 a second at most, or k6 is what limits
const GRACE = 20; // seconds for the last connections to close
const DIALECT = 'iot.v1.json';
const SENSORS = ['temperature', 'humidity', 'pressure', 'current'];

const connected = new Rate('ws_connected');
const connectTime = new Trend('ws_connect_time', true);
const messages = new Counter('messages');
const bytes = new Counter('message_bytes');
const deviceAge = new Trend('age_device', true); // gateway's receipt → client, dashboard's dialect
const simpleAge = new Trend('age_simple', true); // device's time → client, simple dialect
const frameAge = new Trend('age_frame', true); // made by the portal → client: fleet, stats, buildings, sensors
const alerts = new Counter('alerts');
const gaps = new Counter('alert_gaps');
const lagged = new Counter('lagged');
const errors = new Counter('ws_errors');
const closedEarly = new Counter('ws_closed_early');
const slowClosed = new Counter('slow_closed');
const cpu = new Trend('portal_cpu_percent');
const rss = new Trend('portal_rss_mb');

const hold = `${Math.ceil(RAMP + DURATION + GRACE)}s`;

export const options = {
  scenarios: {
    fast: { executor: 'per-vu-iterations', exec: 'fast', vus: Math.ceil(FAST / PER_VU), iterations: 1, maxDuration: hold, gracefulStop: '5s' },
    slow: { executor: 'per-vu-iterations', exec: 'slowly', vus: Math.max(SLOW, 1), iterations: 1, maxDuration: hold, gracefulStop: '5s' },
    rest: {
      executor: 'constant-arrival-rate', exec: 'rest', rate: RATE, timeUnit: '1s', duration: `${Math.ceil(RAMP + DURATION)}s`,
      preAllocatedVUs: Math.max(RATE, 5), gracefulStop: '5s',
    },
    sampler: { executor: 'per-vu-iterations', exec: 'sampler', vus: 1, iterations: 1, maxDuration: hold, gracefulStop: '5s' },
  },
  thresholds: {
    ws_connected: ['rate==1'],
    ws_errors: ['count==0'],
    ws_closed_early: ['count==0'],
    alert_gaps: ['count==0'],
    age_device: [`p(99)<${AGE_P99}`],
    age_simple: [`p(99)<${AGE_P99}`],
    age_frame: [`p(99)<${AGE_P99}`],
    messages: [`count>${CLIENTS * 5}`], // or nothing was measured
    'http_req_failed{scenario:rest}': ['rate<0.01'],
    'http_req_duration{scenario:rest}': [`p(99)<${REST_P99}`],
  },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
  discardResponseBodies: false,
};

// setup gets the devices and buildings from the portal.
export function setup() {
  const stats = http.get(`${API}/api/v1/stats`);
  const list = http.get(`${API}/api/v1/devices?limit=1000`);
  if (stats.status !== 200 || list.status !== 200) {
    fail(`${API} answers ${stats.status || stats.error}: start it first (make demo)`);
  }
  const ids = list.json('items').map((device) => device.device_id);
  const limit = stats.json('clients.limit');
  if (ids.length === 0) {
    fail('the portal has no devices: is a simulator running?');
  }
  if (limit < CLIENTS) {
    fail(`the portal accepts ${limit} connections: start it with WEBSOCKET_MAX_CONNECTIONS=${CLIENTS + 100}`);
  }
  const buildings = stats.json('buildings').map((b) => b.building);
  return { ids, buildings, start: Date.now(), end: Date.now() + (RAMP + DURATION) * 1000 };
}

// ---- clients that keep up ---------------------------------------------------------

export function fast(target) {
  const first = (exec.scenario.iterationInTest || 0) * PER_VU;
  for (let me = first; me < Math.min(first + PER_VU, FAST); me++) {
    setTimeout(() => client(target, me), (me / FAST) * RAMP * 1000);
  }
}

function client(target, me) {
  const started = Date.now();
  const wish = wishOf(target, me);
  const ws = wish.dialect ? new WebSocket(SOCKET, wish.dialect) : new WebSocket(SOCKET);
  const state = { open: 0, over: false, seen: 0, bytes: 0, seq: {}, lag: {} };
  const count = () => {
    messages.add(state.seen);
    bytes.add(state.bytes);
    state.seen = state.bytes = 0;
  };

  ws.onopen = () => {
    state.open = Date.now();
    connected.add(true);
    connectTime.add(state.open - started);
    ws.send(JSON.stringify(wish.subscribe));
    setTimeout(() => {
      state.over = true;
      count();
      ws.close(1000);
    }, Math.max(target.end - Date.now(), 0));
  };
  ws.onmessage = (event) => {
    state.seen++;
    state.bytes += event.data.length;
    if (wish.dialect) {
      readDashboard(event.data, state);
    } else {
      readSimple(event.data, state);
    }
    if (state.seen >= 100) count();
  };
  ws.onerror = (event) => {
    if (state.open === 0) connected.add(false);
    if (!state.over) wrong(event.error); // closing a connection ourselves is no error
  };
  ws.onclose = (event) => {
    if (!state.over && state.open !== 0) {
      closedEarly.add(1);
      console.error(`client ${me} was closed with ${event.code}`);
    }
  };
}

// wishOf returns the dialect and subscriptions of client number me.
function wishOf({ ids, buildings }, me) {
  const role = me % 18; // the other two of twenty are slow
  const list = [];
  for (let i = 0; i < Math.min(5 + (me % 16), ids.length); i++) {
    list.push(ids[(me * 37 + i * 101) % ids.length]);
  }
  const topics = (...names) => ({ dialect: DIALECT, subscribe: { type: 'subscribe', id: '1', topics: names } });
  if (role < 9) return topics('fleet', 'alerts', 'stats', 'gateways');
  if (role < 13) return topics('alerts', ...new Set(list.map((id) => `device/${id}`)));
  if (role < 14) return topics('alerts', `building/${buildings[me % buildings.length]}`, `sensor/${SENSORS[me % SENSORS.length]}`);
  if (me % (18 * 5) === 14) return { subscribe: { type: 'subscribe_all' } };
  return { subscribe: { type: 'subscribe', device_ids: list } };
}

function readDashboard(data, state) {
  if (data.startsWith('{"type":"delta","topic":"alerts"')) {
    alerts.add(1);
    const seq = Number(/"seq":(\d+)/.exec(data)[1]);
    if (state.seq.alerts !== undefined && seq !== state.seq.alerts + 1) {
      gaps.add(1);
      console.error(`alert ${state.seq.alerts} was followed by ${seq}`);
    }
    state.seq.alerts = seq;
  } else if (data.startsWith('{"type":"snapshot"')) {
    if (data.startsWith('{"type":"snapshot","topic":"alerts"')) {
      state.seq.alerts = Number(/"seq":(\d+)/.exec(data)[1]);
    }
  } else if (data.startsWith('{"type":"delta"')) {
    if (state.seen % SAMPLE === 0) inspect(data, state);
  } else if (data.startsWith('{"type":"lagged"')) {
    lagged.add(1);
  } else if (!data.startsWith('{"type":"hello"') && !data.startsWith('{"type":"ack"')) {
    wrong(data.slice(0, 200));
  }
}

function inspect(data, state) {
  if (!data.startsWith('{"type":"delta","topic":"device/')) { // these can be large: only head and end are looked at
    const ts = /"ts":(\d+)/.exec(data.slice(0, 500));
    if (ts && data.endsWith('}')) frameAge.add(Date.now() - Number(ts[1]));
    else wrong(`not a frame: ${data.slice(0, 200)}`);
    return;
  }
  const m = JSON.parse(data);
  if (!m.data.reading || !m.data.reading.sensors) {
    wrong(`not a reading: ${data.slice(0, 200)}`);
  } else if (!m.data.backfill && m.data.received >= state.open) {
    deviceAge.add(Date.now() - m.data.received);
  }
}

function readSimple(data, state) {
  if (data.startsWith('{"type":"device_data"')) {
    if (state.seen % SAMPLE !== 0) return;
    const { payload } = JSON.parse(data);
    if (!payload || !payload.device_id || !payload.timestamp || !payload.sensors) {
      wrong(`not a reading: ${data.slice(0, 200)}`);
    } else if (payload.timestamp >= state.open) { // not from the portal's initial state
      simpleAge.add(Date.now() - payload.timestamp);
    }
  } else if (data.startsWith('{"type":"alert"')) {
    alerts.add(1);
  } else {
    wrong(data.slice(0, 200));
  }
}

function wrong(what) {
  errors.add(1);
  console.error(what);
}

// ---- clients that do not ------------------------------------------------------------

export function slowly(target) {
  const me = exec.scenario.iterationInTest || 0;
  if (me >= SLOW) return;
  sleep((me / SLOW) * RAMP);
  const topics = ['fleet', 'alerts', 'stats', 'gateways', ...SENSORS.map((name) => `sensor/${name}`), ...target.ids.slice(0, 200).map((id) => `device/${id}`)];
  const params = { headers: { 'Sec-WebSocket-Protocol': DIALECT } };
  let seen = 0;
  const response = slow.connect(SOCKET, params, (socket) => {
    socket.on('open', () => socket.send(JSON.stringify({ type: 'subscribe', id: '1', topics })));
    socket.on('message', () => {
      seen++;
      if (Date.now() >= target.end) {
        socket.close();
      } else {
        sleep(3);
      }
    });
    socket.on('close', (code) => {
      if (code === 4008) slowClosed.add(1);
    });
    socket.setTimeout(() => socket.close(), Math.max(target.end - Date.now(), 1));
  });
  connected.add(response !== null && response.status === 101);
  messages.add(seen);
}

// ---- the rest ---------------------------------------------------------------------------

export function rest({ ids }) {
  const n = exec.scenario.iterationInTest;
  const path = [
    '/api/v1/stats',
    `/api/v1/devices?limit=100&offset=${(n * 100) % Math.max(ids.length, 100)}&sort=alerts`,
    `/api/v1/devices/${ids[(n * 13) % ids.length]}`,
    '/api/v1/alerts?status=active&limit=100',
    '/api/v1/gateways',
  ][n % 5];
  const response = http.get(API + path, { tags: { name: path.split('?')[0].replace(/device_.*/, '{id}') } });
  check(response, { 'REST answers 200': (r) => r.status === 200 });
}

// sampler records the portal's CPU and memory every few seconds.
export function sampler(target) {
  let before = null;
  while (Date.now() < target.end) {
    const text = http.get(`${API}/metrics`).body || '';
    const value = (name) => {
      const match = new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+-]+)$`, 'm').exec(text);
      return match ? Number(match[1]) : NaN;
    };
    const now = { at: Date.now(), cpu: value('process_cpu_seconds_total') };
    if (before) cpu.add(((now.cpu - before.cpu) / (now.at - before.at)) * 100_000);
    rss.add(value('process_resident_memory_bytes') / 1e6);
    before = now;
    sleep(3);
  }
}

export function handleSummary(data) {
  const m = data.metrics;
  const count = (name) => (m[name] ? m[name].values.count : 0);
  const perSecond = (name) => (count(name) / (RAMP + DURATION)).toFixed(0);
  const trend = (name, unit) => {
    if (!m[name]) return 'none';
    const v = m[name].values;
    return [['p50', 'med'], ['p99', 'p(99)'], ['max', 'max'], ['mean', 'avg']].map(([word, key]) => `${word} ${v[key].toFixed(0)} ${unit}`).join('  ');
  };
  const lines = [
    `connections       ${CLIENTS} (${SLOW} of them slow), connected ${m.ws_connected ? (m.ws_connected.values.rate * 100).toFixed(1) : 0} %`,
    `connect time      ${trend('ws_connect_time', 'ms')}`,
    `messages          ${count('messages')} (${perSecond('messages')}/s), ${(count('message_bytes') / 1e6).toFixed(0)} MB; alerts ${count('alerts')}; lagged ${count('lagged')}`,
    `age, device/…     ${trend('age_device', 'ms')}`,
    `age, simple       ${trend('age_simple', 'ms')}`,
    `age, others       ${trend('age_frame', 'ms')}`,
    `REST              ${trend('http_req_duration{scenario:rest}', 'ms')}`,
    `errors            ${count('ws_errors')}, closed early ${count('ws_closed_early')}, alert gaps ${count('alert_gaps')}; slow ones closed with 4008: ${count('slow_closed')}`,
    `portal CPU        ${trend('portal_cpu_percent', '%')} of one core`,
    `portal RSS        ${trend('portal_rss_mb', 'MB')}`,
    '',
  ];
  for (const [name, metric] of Object.entries(m)) {
    for (const [rule, result] of Object.entries(metric.thresholds || {})) {
      lines.push(`${result.ok ? 'ok    ' : 'FAILED'}  ${name} ${rule}`);
    }
  }
  return { stdout: `\n${lines.join('\n')}\n` };
}

function seconds(text) {
  const match = /^(\d+)(s|m)$/.exec(text);
  if (!match) {
    throw new Error(`${text}: want seconds or minutes, as in 60s or 2m`);
  }
  return Number(match[1]) * (match[2] === 'm' ? 60 : 1);
}
