// The plant that the page is tested against: the all-in-one with its simulator, and a
// portal of its own beside it that can be killed.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';

const root = new URL('../../../../', import.meta.url).pathname;

/** The ports of this plant lie this far above the usual ones, so that two fit on one machine. */
const OFFSET = Number(process.env.UI_PORT_OFFSET || 20_000);
const port = (usual) => usual + OFFSET;

export const DEVICES = Number(process.env.UI_DEVICES || 10_000);
/** Enough devices for what does not depend on how many there are. */
export const FEW = process.env.UI_FULL === '1' ? DEVICES : Math.min(DEVICES, 300);
export const base = `http://127.0.0.1:${port(8090)}`;

/** How long tests wait for what has to happen, in ms: long enough for a machine that is slow or busy with other things too. */
export const PATIENCE = 180_000;

const env = (more) => ({ ...process.env, LOG_LEVEL: 'warn', ...more });

/** eventually waits until f resolves to something true, and returns it; what names it, or is a function that does. */
export async function eventually(what, f) {
  for (const end = Date.now() + PATIENCE; ;) {
    let why = null;
    const found = await f().catch((e) => void (why = e));
    if (found) return found;
    if (Date.now() > end) throw new Error(`${typeof what === 'function' ? what() : what}: not within ${PATIENCE / 1000} s`, { cause: why });
    await new Promise((done) => setTimeout(done, 100));
  }
}

const ready = (url) => async () => (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) })).ok;

export const api = async (path) => {
  const r = await fetch(base + path, { signal: AbortSignal.timeout(PATIENCE) });
  if (!r.ok) throw new Error(`${path}: ${r.status} ${await r.text()}`);
  return r.json();
};

/** startPlant starts a plant of devices that send at an interval; more are other variables of its programs. */
export async function startPlant({ devices = DEVICES, interval = '1s', ...more } = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'ui-plant-'));
  const children = [];
  // A file that takes too long is ended by the runner; its plant has to leave the ports to the next.
  process.once('SIGTERM', () => {
    for (const child of children) child.kill('SIGKILL');
    process.exit(1);
  });
  const run = (name, more) => {
    const child = spawn(join(root, 'bin', name), { cwd: dir, env: env(more), stdio: ['ignore', 'ignore', 'inherit'] });
    children.push(child);
    return child;
  };
  const close = async () => {
    await Promise.all(children.filter((c) => c.exitCode === null && c.signalCode === null).map((c) => {
      const gone = once(c, 'exit');
      c.kill('SIGTERM');
      return gone;
    }));
    await rm(dir, { recursive: true, force: true });
  };
  run('allinone', { DEMO_PORT_OFFSET: String(OFFSET), DEMO_DEVICES: String(devices), DEMO_INTERVAL: interval, DEMO_DATA_DIR: join(dir, 'data'), ...more });
  let portal = null;
  const plant = {
    port,
    /** startPortal starts the portal that the page is served by. */
    async startPortal() {
      portal = run('portal', {
        PORTAL_ADDR: `127.0.0.1:${port(8090)}`,
        WEBSOCKET_PORT: String(port(8091)),
        HUB_URL: `nats://127.0.0.1:${port(4230)}`,
        KAFKA_BROKERS: `127.0.0.1:${port(9092)}`,
        PORTAL_HISTORY_URL: `http://127.0.0.1:${port(9106)}`,
        PORTAL_STORE: join(dir, 'portal.db'),
      });
      await eventually('the portal being ready', ready(base));
    },
    /** killPortal ends it at once. */
    async killPortal() {
      const gone = once(portal, 'exit');
      portal.kill('SIGKILL');
      await gone;
    },
    /** revive starts the portal if it was left dead. */
    async revive() {
      if (portal.exitCode !== null || portal.signalCode !== null) await plant.startPortal();
    },
    publish,
    close,
  };
  try {
    await eventually('the plant being ready', ready(`http://127.0.0.1:${port(8080)}`));
    await plant.startPortal();
    await eventually('every device being known', async () => (await api('/api/v1/stats')).devices.online >= devices);
    await eventually('the plant having caught up with its own start', async () => {
      const { latency_ms: latency, kafka } = await api('/api/v1/stats');
      return (latency.to_portal?.p99 ?? Infinity) < 500 && kafka?.lag < Math.max(devices, 100);
    });
  } catch (e) {
    await close(); // or its processes keep the file of tests from ending
    throw e;
  }
  return plant;
}

let socket = null;
let answered = null; // takes the answer to the request on its way
let refused = null; // takes the gateway's word that something is not allowed
const inbox = '_INBOX.recorder'; // a device may hear inboxes only

async function connect() {
  if (socket) return;
  socket = net.connect(port(4222), '127.0.0.1');
  let text = '';
  socket.on('data', (data) => {
    text += data;
    for (let m; (m = /^(?:(PING)|MSG .*\r\n(.*)|-ERR (.*)|(?!MSG ).*)\r\n/.exec(text)); text = text.slice(m[0].length)) {
      if (m[1]) socket.write('PONG\r\n');
      if (m[2]) answered(JSON.parse(m[2]));
      if (m[3]) refused?.(new Error(`gateway: ${m[3]}`));
    }
  });
  socket.unref();
  await once(socket, 'connect');
  socket.write(`CONNECT {"verbose":false}\r\nSUB ${inbox} 1\r\n`);
}

/** reading is what a device sends. Devices of one kind stand in a building of their own, so that their alarms are no part of another's flood. */
export const reading = (id, sensors, more = {}) => ({
  device_id: id,
  timestamp: Date.now(),
  location: { building: `${id.replace(/_\d+$/, '')}栋`, floor: 99, room: '9901' },
  sensors: Object.fromEntries(Object.entries(sensors).map(([k, v]) => [k, typeof v === 'object' ? v : { value: v, unit: UNITS[k] }])),
  device_info: { model: 'TEST-PROBE', firmware: '1.0.0', battery: 90, signal_strength: -50 },
  ...more,
});

/** publish sends a reading as a device does, by NATS. */
export async function publish(id, sensors, more = {}) {
  await connect();
  const body = JSON.stringify(reading(id, sensors, more));
  socket.write(`PUB devices.${id}.telemetry ${Buffer.byteLength(body)}\r\n${body}\r\n`);
  return Date.now();
}

/** store sends up to 1,000 readings of several devices, and waits until their gateway has stored them. One call at a time. */
export async function store(readings) {
  await connect();
  const body = JSON.stringify(readings);
  const answer = new Promise((done, fail) => ([answered, refused] = [done, fail]));
  socket.write(`PUB concentrators.recorder.telemetry ${inbox} ${Buffer.byteLength(body)}\r\n${body}\r\n`);
  const { accepted } = await answer;
  if (accepted !== readings.length) throw new Error(`${accepted} of ${readings.length} readings accepted`);
}

const UNITS = { temperature: '°C', humidity: '%', pressure: 'hPa', current: 'A', co2: 'ppm' };
