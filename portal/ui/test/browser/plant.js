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

const env = (more) => ({ ...process.env, LOG_LEVEL: 'warn', ...more });

async function until(what, f, within = 120_000) {
  const end = Date.now() + within;
  for (;;) {
    const last = await f().catch((e) => e);
    if (last === true) return;
    if (Date.now() > end) throw new Error(`${what} did not happen within ${within / 1000} s: ${last?.message ?? last}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

const ready = (url) => async () => (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) })).ok;

export const api = async (path) => {
  const r = await fetch(base + path, { signal: AbortSignal.timeout(15_000) });
  if (!r.ok) throw new Error(`${path}: ${r.status} ${await r.text()}`);
  return r.json();
};

/** startPlant starts a plant of devices that send at an interval. */
export async function startPlant({ devices = DEVICES, interval = '1s' } = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'ui-plant-'));
  const children = [];
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
  run('allinone', { DEMO_PORT_OFFSET: String(OFFSET), DEMO_DEVICES: String(devices), DEMO_INTERVAL: interval, DEMO_DATA_DIR: join(dir, 'data') });
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
      await until('the portal being ready', ready(base));
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
    await until('the plant being ready', ready(`http://127.0.0.1:${port(8080)}`));
    await plant.startPortal();
    await until('every device being known', async () => (await api('/api/v1/stats')).devices.online >= devices);
    await until('the plant having caught up with its own start', async () => {
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

/** publish sends a reading as a device does, by NATS. Devices of one kind stand in a building of their own, so that their alarms are no part of another's flood. */
export async function publish(id, sensors, more = {}) {
  if (!socket) {
    socket = net.connect(port(4222), '127.0.0.1');
    socket.on('data', (data) => String(data).includes('PING') && socket.write('PONG\r\n'));
    socket.unref();
    await once(socket, 'connect');
    socket.write('CONNECT {"verbose":false}\r\n');
  }
  const body = JSON.stringify({
    device_id: id,
    timestamp: Date.now(),
    location: { building: `${id.replace(/_\d+$/, '')}栋`, floor: 99, room: '9901' },
    sensors: Object.fromEntries(Object.entries(sensors).map(([k, v]) => [k, typeof v === 'object' ? v : { value: v, unit: UNITS[k] }])),
    device_info: { model: 'TEST-PROBE', firmware: '1.0.0', battery: 90, signal_strength: -50 },
    ...more,
  });
  socket.write(`PUB devices.${id}.telemetry ${Buffer.byteLength(body)}\r\n${body}\r\n`);
  return Date.now();
}

const UNITS = { temperature: '°C', humidity: '%', pressure: 'hPa', current: 'A', co2: 'ppm' };
