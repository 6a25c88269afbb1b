// What is unusual, on a real plant that has learnt for days: core's detector, the history, the portal and the page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bandAt } from '../../src/model/anomaly.js';
import { accessible, launch, open, shot, until, within } from './page.js';
import { api, eventually, publish, reading, startPlant, store } from './plant.js';

const SHOTS = process.env.UI_SHOTS === '1';
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The devices of a room, which have sent every PAST for DAYS days, and do so every LIVE ms now. */
const COUNT = 10;
const DAYS = 3;
const PAST = MINUTE;
const LIVE = SECOND;
const FAULTY = 'pump_3';
const FAULT = 3; // A, well within what rules allow

let seed = 1;
/** noise is about normal, of deviation 1. */
function noise() {
  let sum = -6;
  for (let i = 0; i < 12; i++) {
    seed = (seed * 48_271) % 0x7fffffff;
    sum += seed / 0x7fffffff;
  }
  return sum;
}

/** A day is the same whenever the test runs: its load rises now. */
const NOON = Date.now() + DAY / 6;

/** measured is what device i sends at a time: its load follows the day, and its temperature the load. */
function measured(i, at) {
  const hour = (2 * Math.PI * (at - NOON)) / DAY;
  const load = Math.cos(hour) + 0.05 * noise();
  const round = (v) => Math.round(v * 100) / 100;
  return {
    temperature: round(45 + i + 4 * load + 0.3 * noise()),
    current: round(4 + 0.1 * i + 0.8 * load + 0.05 * noise()),
    humidity: round(50 - i - 3 * Math.sin(hour) + 0.5 * noise()),
  };
}

const ids = Array.from({ length: COUNT }, (_, i) => `pump_${i}`);
let plant;
let browser;
let beat;
let since = 0; // when the fault began

/** past stores what the devices have measured from one time to another. */
async function past(from, to, every) {
  let readings = [];
  for (let at = from; at < to; at += every) {
    ids.forEach((id, i) => readings.push(reading(id, measured(i, at), { timestamp: at })));
    if (readings.length + COUNT > 1000 || at + every >= to) {
      await store(readings);
      readings = [];
    }
  }
}

function send() {
  ids.forEach((id, i) => {
    const sensors = measured(i, Date.now());
    if (since && id === FAULTY) sensors.current += FAULT;
    publish(id, sensors);
  });
}

before(async () => {
  plant = await startPlant({ devices: 30, DETECT_MODE: 'on', EDGE_DEVICE_RATE: '0', EDGE_DEVICE_BYTES: '0' }) // three days in a minute;
  browser = await launch();
  const now = Date.now();
  await past(now - DAYS * DAY, now - 10 * MINUTE, PAST);
  await past(now - 10 * MINUTE, Date.now(), LIVE);
  beat = setInterval(send, LIVE);
});
after(async () => {
  clearInterval(beat);
  await browser?.close();
  await plant?.close();
});

const LOOKS = [['en-US', 1440, 'light'], ['zh-CN', 375, 'dark'], ...(SHOTS ? [['en-US', 375, 'light'], ['zh-CN', 1440, 'dark']] : [])];

async function show(t, hash, [lang, width, theme] = LOOKS[0]) {
  const { page, context, seen } = await open(browser, hash, { lang, width, theme, height: width < 600 ? 812 : 900 });
  t.after(() => context.close());
  await until(page, () => globalThis.iot?.state?.plant.liveness().state === 'live');
  return { page, seen };
}

const alarms = async () => (await api('/api/v1/alerts?source=anomaly')).items;
const anomalies = (to) => api(`/api/v1/devices/${FAULTY}/anomalies?from=${to - HOUR}&to=${to}&points=600`);

/** namedLate loads the page anew, which learns what its sensors are called once it has drawn the alarm. */
async function namedLate(page) {
  const held = [];
  let hold = true;
  await page.routeWebSocket(/\/ws$/, (ws) => ws.connectToServer().onMessage((m) => (hold && String(m).includes('"topic":"sensors"') ? held.push(() => ws.send(m)) : ws.send(m))));
  await page.reload();
  await page.locator('.drawer [data-what]', { hasText: 'current' }).waitFor();
  await eventually('their names having come', () => Promise.resolve(held.length > 0));
  hold = false;
  for (const send of held) send();
}

/** painted is how many pixels of a canvas are. */
const painted = (canvas) => canvas.evaluate((c) => {
  const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
  return data.filter((v, i) => i % 4 === 3 && v > 0).length;
});

test('what begins to be unusual is an alarm on the page within seconds, and no rule sees it', async (t) => {
  assert.deepEqual(await alarms(), [], 'three days and their end are usual');
  const { page, seen } = await show(t, '#/alarms');
  since = Date.now();
  const row = page.locator('[data-alert]', { hasText: FAULTY });
  await row.waitFor();
  within(t, 'alarm on the page', Date.now() - since, 5000);
  assert.match(await row.textContent(), /Current \d+\.\d σ above usual/);
  const list = await alarms();
  assert.equal(list.length, 1);
  const { device_id, severity, state, anomaly: a } = list[0];
  assert.deepEqual([device_id, severity, state, a.sensor, a.kind], [FAULTY, 'low', 'unacknowledged', 'current', 'spike']);
  assert.ok(a.low < a.expected && a.expected < a.high && a.high < a.value, JSON.stringify(a));
  const all = await api(`/api/v1/alerts?device_id=${FAULTY}`);
  assert.equal(all.total, 1, 'of rules there is none');
  assert.deepEqual(seen, { foreign: [], errors: [] });
});

test('the usual range holds what was usual, and nothing of the fault', async (t) => {
  await eventually('the spike staying for long enough', async () => {
    const { sensors } = await anomalies(Date.now());
    return sensors[0].anomalies[0]?.kind === 'level';
  });
  const asked = Date.now();
  const found = await anomalies(asked);
  within(t, 'three days shown to a detector', Date.now() - asked, 1000);
  assert.ok(found.learned_from < asked - DAYS * DAY + HOUR, 'it learned from the first reading on');
  assert.deepEqual(found.sensors.map((s) => [s.parameter, s.learning]), [['current', false], ['humidity', false], ['temperature', false]]);
  const series = (from, to) => api(`/api/v1/devices/${FAULTY}/series?from=${from}&to=${to}&points=600`);
  const [usual, odd] = [await series(asked - HOUR, since), await series(since + 1, asked)];
  for (const s of found.sensors) {
    /** rows are the values of the sensor for which there is a usual range: whether they are in it. */
    const rows = ({ time, values }) => {
      const { low, high } = bandAt(s, time);
      return values[s.parameter].mean.map((v, i) => (v === null || low[i] === null ? null : v >= low[i] && v <= high[i])).filter((inside) => inside !== null);
    };
    const [before, after] = [rows(usual), rows(odd)];
    assert.ok(before.length > 80 && after.length > 2, `${s.parameter}: ${before.length} and ${after.length} values`);
    const share = before.filter(Boolean).length / before.length;
    t.diagnostic(`${s.parameter}: ${(100 * share).toFixed(1)} % of ${before.length} values in the usual range`);
    assert.ok(share >= 0.95, `${s.parameter}: ${share}`);
    assert.deepEqual(new Set(after), new Set([s.parameter !== 'current']), s.parameter);
  }
});

for (const look of LOOKS) {
  const [lang, width, theme] = look;
  const zh = lang === 'zh-CN';
  const name = `${lang.slice(0, 2)}-${width}-${theme}`;

  test(`the alarm says why, with the same hour of the days before (${name})`, async (t) => {
    const [{ alert_id: id }] = await alarms();
    const { page, seen } = await show(t, `#/alarms?alert=${id}`, look);
    if (zh) await namedLate(page);
    for (const part of ['.drawer-chart', '.anomaly-score', '.anomaly-days']) await page.waitForSelector(`.drawer ${part} canvas`);
    let text = ''; // an alarm that changes has its explanation made again
    await eventually(`${name}: the reasons in the drawer`, async () => {
      text = (await page.textContent('.drawer')).replace(/\s/g, ' ');
      return (zh ? ['电流比平常值高', '尖峰 → 水平跃变', '平常范围', '起学习', '温度'] : ['above usual', 'spike → step to another level', 'Usual range', 'Learned from', 'Temperature']).every((part) => text.includes(part));
    });
    if (zh) assert.doesNotMatch(text.replaceAll(FAULTY, ''), /[A-Za-z]{4,}/);
    await eventually('the day and those before it', async () => (await page.locator('.anomaly-days + .legend .legend-item').count()) === 1 + DAYS);
    await shot(page, `anomaly-days-drawer-${name}`);
    await page.locator('.anomaly-days + .legend').scrollIntoViewIfNeeded();
    await shot(page, `anomaly-days-drawer-end-${name}`);
    await accessible(page, '.drawer');
    assert.deepEqual(seen, { foreign: [], errors: [] });
  });

  test(`the trend draws the usual range, and hides it (${name})`, async (t) => {
    const { page, seen } = await show(t, `#/device/${FAULTY}?range=1d`, look);
    const toggle = page.locator('[data-usual]');
    await toggle.waitFor({ state: 'visible' });
    assert.equal(await toggle.textContent(), zh ? '平常范围' : 'usual range');
    const canvas = page.locator('[data-sensor=humidity] canvas');
    await canvas.waitFor();
    await page.locator('section[data-sensor=current]').evaluate((e) => e.scrollIntoView({ block: 'center' }));
    await shot(page, `anomaly-days-trend-${name}`);
    await accessible(page, '.device-range');
    const drawn = await painted(canvas);
    await toggle.click();
    assert.equal(await toggle.getAttribute('aria-pressed'), 'false');
    await eventually('the band being gone', async () => (await painted(canvas)) < 0.8 * drawn);
    await toggle.click();
    await eventually('the band being back', async () => (await painted(canvas)) > 0.95 * drawn);
    assert.deepEqual(seen, { foreign: [], errors: [] });
  });

  test(`the overview has it among the most unusual devices (${name})`, async (t) => {
    const { page, seen } = await show(t, '#/overview', look);
    const row = page.locator(`[data-unusual=${FAULTY}]`);
    await row.waitFor();
    assert.match(await row.textContent(), zh ? /电流跃变到 7\.\d+\sA/ : /Current stepped to 7\.\d+\sA/);
    await page.locator('.unusual').evaluate((e) => e.scrollIntoView({ block: 'center' }));
    await shot(page, `anomaly-days-overview-${name}`);
    await accessible(page, '.unusual');
    assert.deepEqual(seen, { foreign: [], errors: [] });
  });
}

test('"not an anomaly" ends the alarm, and what goes on is none any more', async (t) => {
  const [{ alert_id: id }] = await alarms();
  const { page, seen } = await show(t, `#/alarms?alert=${id}`);
  await page.getByRole('button', { name: 'Not an anomaly' }).click();
  await page.fill('dialog [name=note]', '试运行');
  await page.fill('dialog [name=by]', '李工');
  await page.click('dialog button[type=submit]');
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.locator('.alarm-table [data-alert]', { hasText: FAULTY }).waitFor({ state: 'detached' });
  const told = Date.now();
  await eventually('ten readings after it', async () => (await api(`/api/v1/devices/${FAULTY}`)).reading.timestamp > told + 10 * LIVE);
  const { items, instances } = await api('/api/v1/unusual');
  assert.equal(instances, 1);
  assert.deepEqual(items.filter((u) => u.device_id === FAULTY), []);
  const list = await alarms();
  assert.deepEqual(list.map((a) => [a.alert_id, a.status]), [[id, 'cleared']]);
  assert.match(await page.textContent('.drawer'), /not an anomaly · 李工 · “试运行”/);
  await page.locator('.drawer-list').last().scrollIntoViewIfNeeded();
  await shot(page, 'anomaly-days-over');
  assert.deepEqual(seen, { foreign: [], errors: [] });
});
