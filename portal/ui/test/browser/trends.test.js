// Trends in a real browser: the page from dist, and a portal whose readings, rules and alarms are made up here.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { quantile, watch, within } from './page.js';
import { standIn } from './standin.js';

const FULL = process.env.UI_FULL === '1';
const MIN = 60_000;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;

let portal;
let asked = [];
let world;

/** usual is a plant that has two devices in two buildings, months of readings, two rules and no alarm. */
function usual() {
  return {
    begins: Date.now() - 40 * DAY,
    interval: 1000,
    value: (id, sensor, at) => 20 + id.charCodeAt(id.length - 1) % 10 + Math.sin(at / 300_000),
    sensors: ['temperature', 'humidity', 'current'],
    devices: [['d1', 'A栋', 'Pump 3'], ['d2', 'B栋', '']],
    alerts: [],
    journal: [],
    rules: [],
    series: null, // an answer of a test's own
  };
}

/** seriesOf answers as the portal does: single readings, or steps if there would be too many. */
function seriesOf(id, q) {
  const names = q.parameters || world.sensors;
  if (world.series) return world.series(id, q, names);
  const ends = [1, 2, 5, 10, 15, 30, 60, 120, 300, 900, 1800, 3600, 7200].map((s) => s * 1000);
  const single = (q.to - q.from) / world.interval <= q.points;
  const step = single ? world.interval : ends.find((s) => (q.to - q.from) / s < q.points);
  const time = [];
  for (let at = Math.ceil(Math.max(q.from, world.begins) / step) * step; at <= q.to; at += step) time.push(at);
  const values = Object.fromEntries(names.map((s) => {
    const mean = time.map((at) => world.value(id, s, at));
    return [s, { unit: '', mean, min: mean.map((v) => v - (single ? 0 : 0.5)), max: mean.map((v) => v + (single ? 0 : 0.5)) }];
  }));
  return { device_id: id, from: q.from, to: q.to, step_ms: single ? 0 : step, begins: world.begins, time, values };
}

function answer({ pathname, searchParams }) {
  const series = /^\/api\/v1\/(devices|buildings)\/([^/]+)\/series$/.exec(pathname);
  if (series) {
    const q = { id: decodeURIComponent(series[2]), building: series[1] === 'buildings', ...Object.fromEntries(['from', 'to', 'points'].map((k) => [k, Number(searchParams.get(k))])), parameters: searchParams.get('parameters')?.split(',') };
    asked.push(q);
    return [200, seriesOf(q.id, q)];
  }
  if (pathname === '/api/v1/rules') return [200, { rules: world.rules }];
  if (pathname === '/api/v1/journal') {
    const items = world.journal.filter((a) => a.device_id === searchParams.get('device_id'));
    return [200, { total: items.length, count: items.length, offset: 0, time: Date.now(), items, more: false, complete: true }];
  }
  if (pathname.endsWith('/explain')) return [200, { explanation: world.explanation }];
  return null;
}

const infoOf = (name) => ({ name, kind: name, value: 'number', unit: { temperature: '°C', humidity: '%', current: 'A' }[name] ?? '', en: name[0].toUpperCase() + name.slice(1), zh: name, decimals: 1, min: null, max: null, devices: 2, limits: [] });

/** snapshotOf is what a topic of the socket begins with. */
function snapshotOf(topic) {
  if (topic === 'fleet') return { devices: world.devices.map(([id, building, name], i) => [i, id, building, 1, '101', 'M', 'gw', 1, 0, 0, name, []]) };
  if (topic === 'sensors') return { items: world.sensors.map(infoOf) };
  if (topic === 'alerts') return { alerts: world.alerts };
  return null;
}

/** live gives the page a socket; send(topic, data) sends a delta to it. */
async function live(page) {
  let socket = null;
  let seq = 1;
  const say = (m) => socket?.send(JSON.stringify(m));
  await page.routeWebSocket(/\/ws$/, (ws) => {
    socket = ws;
    ws.onMessage((text) => {
      const m = JSON.parse(text);
      if (m.type === 'ping') say({ type: 'pong', id: m.id, server_time: Date.now() });
      if (m.type !== 'subscribe') return;
      say({ type: 'ack', id: m.id, topics: m.topics, recovered: {} });
      for (const topic of m.topics) {
        const data = snapshotOf(topic);
        if (data) say({ type: 'snapshot', topic, seq: seq++, ts: Date.now(), part: 1, parts: 1, data });
      }
    });
    setTimeout(() => say({ type: 'hello', session: 's', epoch: 'e', server_time: Date.now(), limits: {} }), 0);
  });
  page.push = (topic, data) => say({ type: 'delta', topic, seq: seq++, ts: Date.now(), data });
}

async function open(t, hash, change = {}, options = {}) {
  world = { ...usual(), ...change };
  asked = [];
  const page = await portal.open(t, hash, { ...options, ready: async (p) => {
    await live(p);
    await options.before?.(p);
  } });
  return page;
}

const filled = (page, sensor = 'temperature') => page.waitForFunction((s) => globalThis.iot?.trends?.get(s)?.data?.time.length > 0 && globalThis.iot.trends.get(s).chart.shown(), sensor);
const chart = (page, f, arg) => page.evaluate(`(${f})(globalThis.iot.trends.get('temperature'), ${JSON.stringify(arg ?? null)})`);
const area = (page, n = 0) => page.locator('.trend .u-over').nth(n).boundingBox();
const windowOf = async (page) => Object.fromEntries([...new URLSearchParams((await page.evaluate(() => location.hash)).split('?')[1])]);
const settled = (page) => page.waitForFunction(() => /from=\d+/.test(location.hash));

/** painted tells whether a pixel near a value and time of the chart is clearly not the panel. */
const painted = (page, at, value) => chart(page, `(c, [at, value]) => {
  const [from, to] = [c.data.time[0], c.data.time.at(-1)];
  const canvas = c.chart.canvas();
  const over = canvas.parentElement.querySelector('.u-over');
  const { min, max } = c.chart.shown();
  const x = over.offsetLeft + ((at - Number(over.dataset.from ?? c.range[0])) / (c.range[1] - c.range[0])) * over.clientWidth;
  const y = over.offsetTop + (1 - (value - min) / (max - min)) * over.clientHeight;
  const { data } = canvas.getContext('2d').getImageData(Math.round(x) - 2, Math.round(y) - 2, 5, 5);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 60 && Math.min(data[i], data[i + 1], data[i + 2]) < 205) n++;
  return n > 0;
}`, [at, value]);

before(async () => {
  portal = await standIn(answer);
});

after(() => portal?.close());

test('a spike between two points is drawn, and the cursor says what it was between', async (t) => {
  let spike = 0;
  const series = (id, q, names) => {
    const time = Array.from({ length: 360 }, (_, i) => q.from + (i + 0.5) * 10_000);
    spike = time[200];
    const mean = time.map((_, i) => (id === 'd1' && i === 200 ? 49.7 : 25));
    const column = { unit: '°C', mean, min: time.map(() => 25), max: time.map((_, i) => (id === 'd1' && i === 200 ? 99 : 25)) };
    return { device_id: id, from: q.from, to: q.to, step_ms: 10_000, begins: q.from - DAY, time, values: Object.fromEntries(names.map((s) => [s, column])) };
  };
  const page = await open(t, '#/trends?devices=d1,d2&sensors=temperature&range=1h', { series });
  await filled(page);
  await page.waitForFunction(() => globalThis.iot.trends.get('temperature').chart.shown()?.max >= 99); // in view
  await page.keyboard.press('p');
  await page.waitForFunction(() => document.querySelector('.trend-tools').textContent.includes('Follow')); // time stands still
  assert.ok(await painted(page, spike, 95), 'painted');
  const box = await area(page);
  const [from, to] = await chart(page, '(c) => c.range');
  await page.mouse.move(box.x + ((spike - from) / (to - from)) * box.width, box.y + 60);
  await page.waitForFunction(() => document.querySelector('[data-legend=temperature] [data-device=d1]').textContent.includes('(25.0–99.0)'));
});

test('a range that shows no more than a shorter one is disabled and says why', async (t) => {
  const page = await open(t, '#/trends?devices=d1&sensors=temperature', { begins: Date.now() - 2 * HOUR });
  await filled(page);
  await page.waitForFunction(() => document.querySelector('[data-range="7d"]').disabled);
  for (const [range, off] of [['1m', false], ['5m', false], ['1h', false], ['1d', false], ['7d', true], ['30d', true]]) {
    const b = page.locator(`[data-range="${range}"]`);
    assert.equal(await b.isDisabled(), off, range);
    assert.equal(/Held since/.test((await b.getAttribute('title')) ?? ''), off, range);
  }
  for (const day of ['1d', '7d']) {
    assert.equal(await page.locator(`[data-compare="${day}"]`).isDisabled(), true);
    assert.match(await page.locator(`[data-compare="${day}"]`).getAttribute('title'), /held since/);
  }
  assert.match(await page.locator('[data-about]').textContent(), /held since/, 'also in words');
});

test('every range is filled from what is kept, and yesterday is what the portal has, a day later', async (t) => {
  const page = await open(t, '#/trends?devices=d1,building:A栋&sensors=temperature&range=1h');
  await filled(page);
  for (const [range, span] of [['1m', MIN], ['5m', 5 * MIN], ['1d', DAY], ['7d', 7 * DAY], ['30d', 30 * DAY], ['1h', HOUR]]) {
    await page.click(`[data-range="${range}"]`);
    await page.waitForFunction((ms) => {
      const { time } = globalThis.iot.trends.get('temperature').data;
      return time.length > 10 && Math.abs(time.at(-1) - time[0] - ms) < ms / 20;
    }, span);
  }
  for (const [day, shift] of [['1d', DAY], ['7d', 7 * DAY]]) {
    await page.click(`[data-compare="${day}"]`);
    await page.waitForFunction(() => globalThis.iot.trends.get('temperature')?.data?.lines[2]?.some((v) => v > 0));
    assert.equal((await windowOf(page)).compare, day);
    const q = asked.findLast((x) => x.to < Date.now() - shift + HOUR && x.id === 'd1');
    const { time, values } = seriesOf('d1', q);
    const said = new Map(time.map((at, i) => [at + shift, values.temperature.mean[i]]));
    const data = await chart(page, '(c) => ({ time: c.data.time, line: c.data.lines[2] })');
    const drawn = data.time.flatMap((at, i) => (typeof data.line[i] === 'number' ? [[at, data.line[i]]] : []));
    assert.ok(drawn.length > 100);
    for (const [at, v] of drawn) assert.equal(v, said.get(at));
    await page.waitForSelector('[data-legend=temperature] [data-compare=d1]');
  }
  await page.reload();
  await page.waitForFunction(() => document.querySelector('[data-compare="7d"]')?.getAttribute('aria-pressed') === 'true');
});

test('the wheel zooms to single readings, and one button takes it back', async (t) => {
  const page = await open(t, '#/trends?devices=d1&sensors=temperature&range=1h');
  await filled(page);
  assert.equal(asked.at(-1).to - asked.at(-1).from, HOUR);
  const box = await area(page);
  await page.mouse.move(box.x + box.width / 2, box.y + 60);
  const [a, b] = await chart(page, '(c) => c.range');
  for (let i = 0; i < 19; i++) await page.mouse.wheel(0, -100);
  await page.waitForFunction(() => {
    const p = new URLSearchParams(location.hash.split('?')[1]);
    return p.get('to') - p.get('from') <= 60_000 && p.get('from') > 0;
  });
  const [from, to] = [Number((await windowOf(page)).from), Number((await windowOf(page)).to)];
  assert.ok(Math.abs((from + to) / 2 - (a + b) / 2) < 30_000, 'at the cursor');
  await page.waitForFunction(() => {
    const { time } = globalThis.iot.trends.get('temperature').data;
    return time.length > 20 && time[1] - time[0] <= 1000;
  });
  assert.match(await page.locator('[data-about]').textContent(), /single readings/);
  assert.equal(await page.locator('[data-reset]:visible').count(), 1);
  const before = await page.evaluate(() => location.hash);
  await page.reload();
  await filled(page);
  assert.equal(await page.evaluate(() => location.hash), before);
  assert.deepEqual(await chart(page, '(c) => c.range'), [from, to], 'a reload shows the same');
  await page.click('[data-reset]');
  await page.waitForFunction(() => !location.hash.includes('from='));
  assert.equal(await page.locator('[data-reset]').isVisible(), false);
});

test('wheel and drag with Shift, keys and the strip move what is shown', async (t) => {
  const to = Date.now() - HOUR;
  const page = await open(t, `#/trends?devices=d1&sensors=temperature&range=1d&from=${to - HOUR}&to=${to}`);
  await filled(page);
  const box = await area(page);
  let last = [to - HOUR, to];
  /** moved waits for the address to change and returns by how much either end did, in minutes. */
  const moved = async (what) => {
    await page.waitForFunction(([f, u]) => !location.hash.includes(`from=${f}&to=${u}`) && location.hash.includes('from='), last);
    await page.waitForFunction(() => {
      const p = new URLSearchParams(location.hash.split('?')[1]);
      const { range } = globalThis.iot.trends.get('temperature');
      return range[0] === Number(p.get('from')) && range[1] === Number(p.get('to'));
    });
    const p = await windowOf(page);
    const next = [Number(p.from), Number(p.to)];
    const by = next.map((v, i) => (v - last[i]) / MIN);
    t.diagnostic(`${what}: ${by.map((n) => n.toFixed(1))} min`);
    last = next;
    return by;
  };
  const isNear = (got, want, what) => got.forEach((n, i) => assert.ok(Math.abs(n - want[i]) < 2.5, `${what}: ${got}, want ${want}`));
  await page.mouse.move(box.x + box.width / 2, box.y + 60);
  await page.keyboard.down('Shift');
  await page.mouse.wheel(0, -100);
  isNear(await moved('wheel'), [-6, -6], 'Shift and wheel');
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 4, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.keyboard.up('Shift');
  isNear(await moved('drag'), [15, 15], 'Shift and drag');
  await page.mouse.move(5, 5);
  await page.keyboard.press('ArrowLeft');
  isNear(await moved('left'), [-15, -15], 'arrow');
  await page.keyboard.press('ArrowRight');
  isNear(await moved('right'), [15, 15], 'arrow');
  await page.keyboard.press('+');
  isNear(await moved('+'), [15, -15], 'plus');
  await page.keyboard.press('-');
  isNear(await moved('-'), [-15, 15], 'minus');
  const strip = await page.locator('.trend-strip canvas').boundingBox();
  const x = (at) => strip.x + ((at - (Date.now() - DAY)) / DAY) * strip.width;
  const y = strip.y + strip.height / 2;
  await page.mouse.move(x((last[0] + last[1]) / 2), y);
  await page.mouse.down();
  await page.mouse.move(x((last[0] + last[1]) / 2 - HOUR), y, { steps: 5 });
  await page.mouse.up();
  isNear(await moved('strip'), [-60, -60], 'strip');
  await page.mouse.move(x(last[0]), y);
  await page.mouse.down();
  await page.mouse.move(x(last[0] - 2 * HOUR), y, { steps: 5 });
  await page.mouse.up();
  isNear(await moved('edge'), [-120, 0], 'edge of the strip');
});

test('two fingers zoom and one pans', async (t) => {
  const to = Date.now() - HOUR;
  const page = await open(t, `#/trends?devices=d1&sensors=temperature&range=1d&from=${to - HOUR}&to=${to}`, {}, { width: 390, height: 844, hasTouch: true });
  await filled(page);
  await page.locator('.trend .u-over').scrollIntoViewIfNeeded();
  const box = await area(page);
  const cdp = await page.context().newCDPSession(page);
  const touch = (type, ...xs) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: xs.map((x, id) => ({ x: box.x + box.width * x, y: box.y + 50, id })) });
  const span = () => page.evaluate(() => {
    const [a, b] = globalThis.iot.trends.get('temperature').range;
    return [b - a, a];
  });
  await touch('touchStart', 0.4, 0.6);
  for (const d of [0.02, 0.05, 0.1]) await touch('touchMove', 0.4 - d, 0.6 + d);
  await touch('touchEnd');
  await page.waitForFunction((u) => !location.hash.includes(`to=${u}`), to);
  const [zoomed, start] = await span();
  assert.ok(Math.abs(zoomed - HOUR / 2) < HOUR / 10, `half an hour, not ${zoomed / MIN} min`);
  await touch('touchStart', 0.5);
  for (const x of [0.55, 0.6, 0.75]) await touch('touchMove', x);
  await touch('touchEnd');
  await page.waitForFunction((a) => globalThis.iot.trends.get('temperature').range[0] < a - 60_000 * 5, start);
  assert.ok(Math.abs((await span())[0] - zoomed) < 2);
});

test('a page whose code cannot be loaded says so and can be tried again', async (t) => {
  const page = await open(t, '#/gateways', {}, { before: (p) => p.route('**/trends-*.js', (r) => r.abort()) });
  await page.waitForSelector('.nav-link');
  await page.evaluate(() => (location.hash = '#/trends?devices=d1&sensors=temperature'));
  await page.waitForFunction(() => /Loading failed/.test(document.querySelector('#page').textContent));
  await page.unroute('**/trends-*.js');
  await page.click('#page button');
  await filled(page);
});

const alarm = (id, device, at, more = {}) => ({ alert_id: id, device_id: device, alert_type: 'temperature_high', severity: 'high', status: 'active', state: 'unacknowledged', revision: 1, raised_at: at, timestamp: at, message: '', source: 'rule', threshold: { parameter: 'temperature', operator: '>', value: 80 }, current_value: 85, location: { building: 'A栋' }, ...more });

test('somebody who comes for the first time sees the buildings and the newest alarms', async (t) => {
  const now = Date.now();
  const page = await open(t, '#/trends', { alerts: [alarm('1', 'd1', now - HOUR), alarm('2', 'd2', now - MIN)] });
  await filled(page);
  const lines = () => page.evaluate(() => [...document.querySelectorAll('[data-line]')].map((el) => el.dataset.line));
  assert.deepEqual(await lines(), ['building:A栋', 'building:B栋', 'd2', 'd1']);
  assert.ok(asked.some((q) => q.building && q.id === 'A栋'));
  assert.equal((await windowOf(page)).devices, 'building:A栋,building:B栋,d2,d1', 'the address says what is shown');
});

test('lines are found by name and building, and pasted as a list', async (t) => {
  const page = await open(t, '#/trends?devices=d2&sensors=temperature');
  await filled(page);
  const lines = () => page.evaluate(() => [...document.querySelectorAll('[data-line]')].map((el) => el.dataset.line).join());
  const wait = (list) => page.waitForFunction((l) => [...document.querySelectorAll('[data-line]')].map((el) => el.dataset.line).join() === l, list);
  await page.fill('[data-add]', 'Pump 3');
  await page.keyboard.press('Enter');
  await wait('d2,d1');
  await page.fill('[data-add]', 'B栋');
  await page.keyboard.press('Enter');
  await wait('d2,d1,building:B栋');
  await page.click('[data-line="d1"] button');
  await page.click('[data-line="d2"] button');
  await wait('building:B栋');
  await page.focus('[data-add]');
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.setData('text', 'd1\nd2; d9，A栋');
    document.querySelector('[data-add]').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await wait('building:B栋,d1,d2,building:A栋');
  assert.match(await page.locator('.trend-lines .panel-note').textContent(), /Unknown: d9/);
  assert.equal(await page.inputValue('[data-add]'), 'd9', 'what was not found can be mended');
  assert.equal(await lines(), (await windowOf(page)).devices);
});

const RULES = [
  { id: 'temperature_high', type: 'temperature_high', severity: 'high', kind: 'high', parameter: 'temperature', operator: '>', limit: 29.5, unit: '°C', deadband: 1 },
  { id: 'oven', type: 'oven', severity: 'critical', kind: 'high', parameter: 'temperature', operator: '>', limit: 300, unit: '°C', deadband: 0 },
  { id: 'steps', type: 'steps', severity: 'low', kind: 'rate', parameter: 'temperature', operator: '>', limit: 5, unit: '°C', deadband: 0 },
];

test('the limits of the rules that apply are drawn, no others, and alarms are marked', async (t) => {
  const now = Date.now();
  const journal = [alarm('1', 'd1', now - 40 * MIN, { status: 'cleared', state: 'normal', cleared_at: now - 20 * MIN }), alarm('2', 'd1', now - 5 * MIN, { threshold: { parameter: 'humidity', operator: '>', value: 90 } })];
  const page = await open(t, '#/trends?devices=d1&sensors=temperature&range=1h', { rules: RULES, journal, alerts: [alarm('3', 'd1', now - 10 * MIN, { threshold: { parameter: 'temperature', operator: '>', value: 77 } })] });
  await filled(page);
  await page.waitForFunction(() => globalThis.iot.trends.get('temperature').chart.limits().length > 0);
  const limits = await chart(page, '(c) => c.chart.limits()');
  assert.deepEqual(limits.map((l) => [l.value, l.beyond]), [[29.5, ''], [300, 'above']], 'a far one is at the edge, a rate is none');
  assert.match(limits[0].label, /temperature high 29\.5/);
  assert.match(limits[1].label, /oven 300/);
  await page.waitForFunction(() => globalThis.iot.trends.get('temperature').marks.length >= 3);
  const marks = await chart(page, '(c) => c.marks.map((m) => [m.alarm.alert_id, m.over])');
  assert.deepEqual(marks, [['1', false], ['1', true], ['3', false]]);
  const box = await area(page);
  const [from, to] = await chart(page, '(c) => c.range');
  await page.mouse.move(box.x + ((now - 20 * MIN - from) / (to - from)) * box.width, box.y + 60);
  await page.waitForFunction(() => /◇ Pump 3 temperature high cleared/.test(document.querySelector('[data-legend=temperature]').textContent));
  assert.match(await page.locator('[data-sign=raised]').textContent(), /alarm raised/);
});

test('one reading is a dot in its own column, on trends, the device page and in the drawer', async (t) => {
  const at = Date.now() - 30 * MIN;
  const one = (id, q, names) => ({ device_id: id, from: q.from, to: q.to, step_ms: 0, begins: at, time: [at], values: Object.fromEntries(names.map((s) => [s, { unit: '°C', mean: [id === 'd1' ? 25 : 26], min: [id === 'd1' ? 25 : 26], max: [id === 'd1' ? 25 : 26] }])) });
  const dotted = (page, selector, where) => page.waitForFunction(([s, w]) => {
    const canvas = document.querySelector(`${s} canvas`);
    const over = document.querySelector(`${s} .u-over`);
    if (!over) return false;
    const middle = over.offsetLeft + over.clientWidth * w;
    const { data, width } = canvas.getContext('2d').getImageData(0, over.offsetTop, canvas.width, over.clientHeight);
    const columns = [];
    for (let x = over.offsetLeft; x < over.offsetLeft + over.clientWidth; x++) {
      for (let y = 0; y < over.clientHeight; y++) {
        const i = 4 * (y * width + x);
        if (data[i] < 60 && data[i + 1] > 90 && data[i + 2] > 150 && data[i + 3] > 200) columns.push(x);
      }
    }
    return columns.length > 8 && columns.every((x) => Math.abs(x - middle) <= 4);
  }, [selector, where]);
  const change = { series: one, sensors: ['temperature'], alerts: [alarm('1', 'd1', at - 10 * MIN)], explanation: { conditions: [{ parameter: 'temperature', operator: '>', limit: 80, deadband: 2 }], samples: [{ time: at, values: [25] }] } };
  const page = await open(t, `#/trends?devices=d1,d2&sensors=temperature&range=1h&from=${at - 30 * MIN}&to=${at + 30 * MIN}`, change);
  await filled(page);
  await dotted(page, '.trend', 0.5);
  await page.goto(`${portal.at}/#/device/d1?range=1h&from=${at - 30 * MIN}&to=${at + 30 * MIN}`);
  await dotted(page, '.device-trends', 0.5);
  await page.goto(`${portal.at}/#/alarms?alert=1`);
  await dotted(page, '.drawer', 0.5);
});

test('picture and files say what they show', async (t) => {
  const page = await open(t, '#/trends?devices=d1,building:A栋&sensors=temperature,humidity&range=1h', { rules: RULES });
  await filled(page);
  await page.waitForFunction(() => globalThis.iot.trends.get('temperature').chart.limits().length > 0);
  const [picture] = await Promise.all([page.waitForEvent('download'), page.click('[data-png]')]);
  assert.equal(picture.suggestedFilename(), 'trends.png');
  assert.ok((await readFile(await picture.path())).length > 10_000);
  const { texts } = await page.evaluate(() => globalThis.iot.picture);
  const text = texts.join('\n');
  for (const part of [/^Trends$/m, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d – \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/m, /^Temperature · °C$/m, /^Humidity · %$/m, /^Pump 3$/m, /A栋 mean/, /limit temperature high 29\.5/, /resolution 10\ss/]) assert.match(text, part);
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('[data-csv]')]);
  const lines = (await readFile(await file.path(), 'utf8')).replace('\ufeff', '').trim().split('\r\n');
  assert.equal(lines[0], 'time,line,parameter,unit,value,min,max');
  const shown = await page.evaluate(() => [...globalThis.iot.trends.values()].reduce((n, c) => n + c.data.lines.flat().filter((v) => typeof v === 'number').length, 0));
  assert.ok(Math.abs(lines.length - 1 - shown) <= 8, `${lines.length - 1} rows, ${shown} points`);
  const [raw] = await Promise.all([page.waitForEvent('download'), page.click('[data-raw]')]);
  assert.match(raw.url(), /devices\/d1\/readings\.csv\?parameters=temperature%2Chumidity&from=\d+&to=\d+/);
});

const EIGHT = Array.from({ length: 8 }, (_, i) => [`device_00${i}`, i % 2 ? 'A栋' : 'B栋', i === 3 ? '冷库三号泵' : '']);
const ALL = `#/trends?devices=${EIGHT.map(([id]) => id).join()}&sensors=temperature,humidity,current`;

for (const [width, lang, theme] of [[375, 'zh-CN', 'dark'], [1920, 'en-US', 'light']]) {
  test(`labels of axes do not collide and one cursor goes through all charts (${width} px)`, async (t) => {
    const page = await open(t, `${ALL}&range=1h`, { devices: EIGHT, rules: RULES }, { width, lang, theme, before: (p) => p.addInitScript(() => {
      const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.clearRect = function (...a) {
        this.canvas.texts = [];
        return clearRect.apply(this, a);
      };
      CanvasRenderingContext2D.prototype.fillText = function (text, ...a) {
        const m = this.measureText(text);
        const { e, f } = this.getTransform();
        const left = a[0] + e - { left: 0, start: 0, center: m.width / 2, right: m.width, end: m.width }[this.textAlign];
        (this.canvas.texts ??= []).push([text, left, left + m.width, a[1] + f - m.actualBoundingBoxAscent, a[1] + f + m.actualBoundingBoxDescent]);
        return fillText.call(this, text, ...a);
      };
    }) });
    for (const range of ['1h', '1m', '1d', '30d']) {
      await page.click(`[data-range="${range}"]`);
      await page.waitForFunction((r) => location.hash.includes(`range=${r}`), range);
      await filled(page, 'current');
      await page.waitForFunction(() => [...document.querySelectorAll('.trend canvas')].every((c) => c.texts?.length > 3));
      const collisions = await page.evaluate(() => [...document.querySelectorAll('.trend canvas')].flatMap((c) => c.texts.flatMap((a, i) =>
        c.texts.slice(i + 1).filter((b) => a[1] < b[2] + 2 && b[1] < a[2] + 2 && a[3] < b[4] && b[3] < a[4]).map((b) => `${a[0]} / ${b[0]}`))));
      assert.deepEqual(collisions, [], range);
    }
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
    await page.locator('.trend .u-over').first().scrollIntoViewIfNeeded();
    const box = await area(page);
    const newest = await page.locator('.trend-legend > :first-child').first().textContent();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.waitForFunction((before) => {
      const times = [...document.querySelectorAll('.trend-legend')].map((l) => l.firstChild.textContent);
      return times.length === 3 && new Set(times).size === 1 && times[0] !== before;
    }, newest);
  });
}

test('eight devices with three sensors leave the browser alone while they go on', async (t) => {
  const page = await open(t, `${ALL}&range=1h`, { devices: EIGHT, rules: RULES });
  await filled(page, 'current');
  const send = () => EIGHT.forEach(([id]) => page.push(`device/${id}`, { received: Date.now(), time: Date.now(), clock_offset_ms: 0, backfill: false, gateway: 'gw', reading: { device_id: id, timestamp: Date.now(), sensors: Object.fromEntries(world.sensors.map((s) => [s, { value: world.value(id, s, Date.now()), status: 'normal' }])) } }));
  const timer = setInterval(send, 1000);
  t.after(() => clearInterval(timer));
  await page.waitForFunction((n) => globalThis.iot.trends.get('current').data.time.length > n, await chart(page, '(c) => c.data.time.length'));
  const busy = await watch(page);
  await busy();
  await new Promise((done) => setTimeout(done, FULL ? 30_000 : 6000));
  within(t, 'main thread', await busy(), 8, '%');
  const took = [];
  for (let i = 0; i < (FULL ? 10 : 4); i++) {
    for (const to of ['#/gateways', `${ALL}&range=1h`]) {
      took.push(await page.evaluate(async (hash) => {
        const from = performance.now();
        location.hash = hash;
        await new Promise((done) => addEventListener('hashchange', done, { once: true }));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        return performance.now() - from;
      }, to));
    }
    await filled(page, 'current');
  }
  within(t, 'page switch, p95', quantile(took, 0.95), 150);
});
