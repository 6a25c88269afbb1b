// Load on a running portal: CLIENTS WebSocket clients in the simple dialect hold their
// connections for DURATION. One in twenty takes everything, the others 5 to 20 devices.
//
//   k6 run loadtest/portal.js
//   k6 run -e CLIENTS=200 -e DURATION=20s -e AGE_P95=500 loadtest/portal.js
//
// What counts as passed is in `thresholds`. Ages compare the clock of this machine with
// that of the devices, so they mean something when both are the same.
import http from 'k6/http';
import { fail } from 'k6';
import exec from 'k6/execution';
import { WebSocket } from 'k6/websockets';
import { Counter, Rate, Trend } from 'k6/metrics';

const API = __ENV.PORTAL || 'http://127.0.0.1:8080';
const SOCKET = __ENV.SOCKET || 'ws://127.0.0.1:8081/ws';
const CLIENTS = Number(__ENV.CLIENTS || 1000);
const DURATION = seconds(__ENV.DURATION || '60s');
const RAMP = seconds(__ENV.RAMP || '10s');
const AGE_P95 = Number(__ENV.AGE_P95 || 1000);
const TAKES_ALL = 0.05;
const SAMPLE = 10;
const GRACE = 15; // seconds for the last connections to close

const connected = new Rate('ws_connected');
const connectTime = new Trend('ws_connect_time', true);
const age = new Trend('reading_age', true);
const readings = new Counter('readings');
const fresh = new Counter('readings_fresh'); // sent by a device after the client subscribed
const alerts = new Counter('alerts');
const errors = new Counter('ws_errors');
const closedEarly = new Counter('ws_closed_early');

export const options = {
  scenarios: {
    clients: {
      executor: 'per-vu-iterations',
      vus: CLIENTS,
      iterations: 1,
      maxDuration: `${RAMP + DURATION + GRACE}s`,
      gracefulStop: '5s',
    },
  },
  thresholds: {
    ws_connected: ['rate==1'],
    ws_errors: ['count==0'],
    ws_closed_early: ['count==0'],
    reading_age: [`p(95)<${AGE_P95}`],
    readings_fresh: [`count>${CLIENTS}`], // or nothing was measured
  },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
};

// setup asks the portal which devices there are.
export function setup() {
  const res = http.get(`${API}/api/v1/devices?limit=1000`);
  if (res.status !== 200) {
    fail(`${API} answers ${res.status || res.error}: start the plant first (make demo)`);
  }
  const ids = res.json('items').map((device) => device.device_id);
  if (ids.length === 0) {
    fail('the portal knows no device: is a simulator running?');
  }
  return { ids, end: Date.now() + (RAMP + DURATION) * 1000 };
}

export default function ({ ids, end }) {
  const me = exec.vu.idInTest - 1;
  // Clients come one after the other over RAMP, not in one instant.
  setTimeout(() => client(ids, end, me), (me / CLIENTS) * RAMP * 1000);
}

function client(ids, end, me) {
  const started = Date.now();
  const ws = new WebSocket(SOCKET);
  const state = { since: 0, seen: 0, over: false };

  ws.onopen = () => {
    connected.add(true);
    connectTime.add(Date.now() - started);
    state.since = Date.now();
    ws.send(JSON.stringify(wish(ids, me)));
    setTimeout(() => {
      state.over = true;
      readings.add(state.seen % SAMPLE);
      ws.close(1000);
    }, Math.max(end - Date.now(), 0));
  };
  ws.onmessage = (event) => take(event.data, state);
  ws.onerror = (event) => {
    if (state.since === 0) {
      connected.add(false);
    }
    if (!state.over) { // the end of a connection that we close ourselves is no error
      wrong(event.error);
    }
  };
  ws.onclose = (event) => {
    if (!state.over && state.since !== 0) {
      closedEarly.add(1);
      console.error(`client ${me} was closed with ${event.code}`);
    }
  };
}

// wish is what client number me subscribes to.
function wish(ids, me) {
  if (me % Math.round(1 / TAKES_ALL) === 0) {
    return { type: 'subscribe_all' };
  }
  const count = Math.min(5 + (me % 16), ids.length);
  const device_ids = [];
  for (let i = 0; i < count; i++) {
    device_ids.push(ids[(me * 37 + i * 101) % ids.length]);
  }
  return { type: 'subscribe', device_ids };
}

// take counts a message. One reading in SAMPLE is looked into; doing that with all of them
// would measure this client more than the portal.
function take(data, state) {
  if (data.startsWith('{"type":"device_data"')) {
    state.seen++;
    if (state.seen % SAMPLE === 0) {
      readings.add(SAMPLE);
      inspect(data, state);
    }
  } else if (data.startsWith('{"type":"alert"')) {
    alerts.add(1);
  } else {
    wrong(data.slice(0, 200));
  }
}

function inspect(data, state) {
  const { payload } = JSON.parse(data);
  if (!payload || !payload.device_id || !payload.timestamp || !payload.sensors) {
    wrong(`not a reading: ${data.slice(0, 200)}`);
  } else if (payload.timestamp >= state.since) { // not what the portal already had
    age.add(Date.now() - payload.timestamp);
    fresh.add(SAMPLE);
  }
}

function wrong(what) {
  errors.add(1);
  console.error(what);
}

export function handleSummary(data) {
  const m = data.metrics;
  const count = (name) => (m[name] ? m[name].values.count : 0);
  const rate = (name) => (m[name] ? m[name].values.rate.toFixed(0) : '0');
  const trend = (name) => {
    if (!m[name]) return 'none';
    const v = m[name].values;
    return ['avg', 'med', 'p(95)', 'p(99)', 'max'].map((k) => `${k} ${v[k].toFixed(0)} ms`).join('  ');
  };
  const lines = [
    `clients         ${CLIENTS}, connected ${m.ws_connected ? (m.ws_connected.values.rate * 100).toFixed(1) : 0} %`,
    `connect time    ${trend('ws_connect_time')}`,
    `readings        ${count('readings')} (${rate('readings')}/s), about ${count('readings_fresh')} of them fresh; alerts ${count('alerts')}`,
    `reading age     ${trend('reading_age')}`,
    `errors          ${count('ws_errors')}, closed early ${count('ws_closed_early')}`,
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
