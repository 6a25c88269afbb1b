// What is unusual, in a real browser: the band of the usual range, the explainer of an alarm, the most unusual devices. The
// page is from dist; the portal is a stand-in that tells of one device.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { shot } from './page.js';
import { standIn } from './standin.js';

const SHOTS = process.env.UI_SHOTS === '1';
const MINUTE = 60_000;
const now = Date.now();
const since = now - 20 * MINUTE;
const ANOMALY = { sensor: 'temperature', kind: 'drift', score: 0.8, tail: 0.001, since, value: 27.4, expected: 21, low: 20, high: 22, sigma: 6.1, per_hour: 3.2, sensors: 1 };
const ALARM = {
  alert_id: 'a1', device_id: 'pump_1', alert_type: 'anomaly_temperature', severity: 'medium', message: 'odd', timestamp: since, status: 'active', state: 'unacknowledged', revision: 1, event: 'raised', priority: 3,
  source: 'anomaly', kind: 'anomaly', unit: '°C', threshold: { parameter: 'temperature', operator: '>', value: 22 }, current_value: 27.4, peak_value: 27.4, raised_at: since, last_seen: now, occurrence_count: 1,
  location: { building: 'A栋', floor: 1, room: '101' }, anomaly: ANOMALY,
};

let portal;
let requests = [];
let unusual = { instances: 1, items: [] };
let away = false; // the history is

/** series is a reading a minute between two times: temperature that drifts, humidity that does not. */
function series(from, to) {
  const time = Array.from({ length: 60 }, (_, i) => Math.round(from + ((to - from) * (i + 0.5)) / 60));
  const temperature = time.map((t) => 21 + Math.sin(t / 300_000) / 2 + (t > since ? ((t - since) / 3_600_000) * 19 : 0));
  const column = (unit, mean) => ({ unit, mean, min: mean, max: mean });
  return { from, to, step_ms: 0, begins: from - 9e8, time, values: { temperature: column('°C', temperature), humidity: column('%', time.map(() => 50)) } };
}

function anomalies(from, to) {
  const { time } = series(from, to);
  const flat = (v) => time.map(() => v);
  const told = time.map((t) => (t > since ? 0.8 : 0.1));
  const sensor = (parameter, unit, low, high, score) => ({ parameter, unit, learning: false, time, low: flat(low), expected: flat((low + high) / 2), high: flat(high), score, state: score, anomalies: [] });
  return { device_id: 'pump_1', from, to, learned_from: from - 8 * 86_400_000, every: 1, alarms: [ALARM], sensors: [sensor('humidity', '%', 45, 55, flat(0.1)), sensor('temperature', '°C', 20, 22, told)] };
}

async function answer(url, req) {
  const { pathname, searchParams } = url;
  if (!pathname.startsWith('/api/')) return null;
  const [from, to] = ['from', 'to'].map((n) => Number(searchParams.get(n)));
  let text = '';
  for await (const part of req) text += part;
  requests.push([req.method, pathname, text && JSON.parse(text)]);
  if (pathname === '/api/v1/unusual') return [200, { total: unusual.items.length, count: unusual.items.length, offset: 0, time: now, ...unusual }];
  if (pathname === '/api/v1/devices/pump_1/anomalies') return away ? [503, { error: { code: 'history_unavailable', message: 'away' } }] : [200, anomalies(from, to)];
  if (pathname === '/api/v1/devices/pump_1/series') return [200, { device_id: 'pump_1', ...series(from, to) }];
  if (pathname === '/api/v1/alerts/commands') return [200, { time: now, total: 1, outcomes: { applied: 1 }, items: [{ alert_id: 'a1', action: 'not_anomaly', outcome: 'applied' }] }];
  if (pathname === '/api/v1/alerts/a1') return [200, { time: now, alert: ALARM }];
  return [404, { error: { code: 'not_found', message: 'not here' } }];
}

let axe;
before(async () => {
  portal = await standIn(answer);
  axe = await readFile(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
});
after(() => portal?.close());

/** accessible fails on what axe finds serious in a part of the page. */
async function accessible(page, part) {
  await page.evaluate(axe);
  await page.addStyleTag({ content: '.is-stale * { opacity: 1 !important; }' }); // the stand-in has no socket, so values are grey
  const found = await page.evaluate(async (s) => (await globalThis.axe.run(s, { resultTypes: ['violations'] })).violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), part);
  assert.deepEqual(found, []);
}

const item = (id, more = {}) => ({ device_id: id, location: ALARM.location, at: now, unit: '°C', ...ANOMALY, ...more });
const LOOKS = [['en-US', 1440, 'light'], ['zh-CN', 375, 'dark'], ...(SHOTS ? [['en-US', 375, 'light'], ['zh-CN', 1440, 'dark']] : [])];

for (const [lang, width, theme] of LOOKS) {
  const zh = lang === 'zh-CN';
  const name = `${lang.slice(0, 2)}-${width}-${theme}`;

  test(`the overview names the most unusual devices (${name})`, async (t) => {
    unusual = { instances: 1, items: [item('pump_1', { name: '东侧循环泵' }), item('pump_2', { kind: 'stuck' }), item('pump_3', { kind: 'dropout', missing: 0.3 })] };
    const page = await portal.open(t, '#/overview', { lang, width, theme });
    await page.waitForSelector('[data-unusual=pump_3]');
    const rows = await page.$$eval('[data-unusual]', (list) => list.map((r) => r.textContent));
    assert.equal(rows.length, 3);
    assert.match(rows[0], zh ? /东侧循环泵.*每小时漂移 3.20?/ : /东侧循环泵.*drifts 3.20?/);
    assert.match(rows[0], zh ? /20\s分钟/ : /20\smin/);
    assert.match(rows[2], zh ? /30\s?% 的值缺失/ : /30\s?% of the values missing/);
    if (SHOTS) {
      await page.locator('.unusual').scrollIntoViewIfNeeded();
      await shot(page, `anomaly-overview-${name}`);
    }
    await accessible(page, '.unusual');
    await page.click('[data-unusual=pump_1] a');
    await page.waitForFunction(() => location.hash.startsWith('#/device/pump_1'));
  });

  test(`an alarm for an anomaly says why (${name})`, async (t) => {
    requests = [];
    const page = await portal.open(t, '#/alarms?alert=a1', { lang, width, theme });
    await page.waitForSelector('.drawer [data-anomaly=drift] .anomaly-score canvas');
    await page.waitForSelector('.drawer .anomaly-days canvas');
    const text = (await page.textContent('.drawer')).replace(/\s/g, ' ');
    for (const part of zh ? ['漂移', '预期值', '6.1 σ', '平常范围', '该设备的其他传感器', '前几天同一时段', '异常得分变化'] : ['drift', 'Expected', '6.1 σ', 'Usual range', 'Other sensors of the device', 'earlier days', 'Score over time']) assert.ok(text.includes(part), `${part} in ${text}`);
    if (zh) assert.doesNotMatch(text.replace(/pump_1|anomaly_temperature|temperature|humidity/g, ''), /[A-Za-z]{4,}/);
    assert.equal(requests.filter(([, p]) => p.endsWith('/series')).length, 5, 'the time of the alarm, the hour, and three earlier ones');
    if (SHOTS) await shot(page, `anomaly-drawer-${name}`);
    await accessible(page, '.drawer');
    await page.getByRole('button', { name: zh ? '不是异常' : 'Not an anomaly' }).click();
    await page.fill('dialog [name=note]', '试运行');
    await page.fill('dialog [name=by]', '李工');
    await page.click('dialog button[type=submit]');
    await page.waitForSelector('dialog', { state: 'detached' });
    const [, , body] = requests.find(([m]) => m === 'POST');
    assert.equal(body.action, 'not_anomaly');
    assert.deepEqual(body.alert_ids, ['a1']);
    assert.equal(body.note, '试运行');
  });

  test(`the trend draws the usual range, and hides it (${name})`, async (t) => {
    away = false;
    requests = [];
    const page = await portal.open(t, '#/device/pump_1?range=1h', { lang, width, theme });
    const toggle = page.locator('[data-usual]');
    await toggle.waitFor({ state: 'visible' });
    assert.equal(await toggle.textContent(), zh ? '平常范围' : 'usual range');
    const canvas = page.locator('[data-sensor=temperature] canvas');
    await canvas.waitFor();
    const picture = () => canvas.evaluate((c) => c.toDataURL());
    const apart = (before) => page.waitForFunction((was) => document.querySelector('[data-sensor=temperature] canvas').toDataURL() !== was, before);
    if (SHOTS) await shot(page, `anomaly-trend-${name}`);
    await accessible(page, '.device-range');
    const drawn = await picture();
    await toggle.click();
    assert.equal(await toggle.getAttribute('aria-pressed'), 'false');
    await apart(drawn);
    const asked = requests.filter(([, p]) => p.endsWith('/anomalies')).length;
    const without = await picture();
    await toggle.click();
    await apart(without);
    assert.ok(requests.filter(([, p]) => p.endsWith('/anomalies')).length >= asked);
  });
}

test('nothing unusual, no report, and no answer are told apart', async (t) => {
  for (const [report, text] of [[{ instances: 2, items: [] }, 'Nothing is unusual.'], [{ instances: 0, items: [] }, 'No report: anomaly detection is off or core is away.']]) {
    unusual = report;
    const page = await portal.open(t, '#/overview');
    await page.getByText(text).waitFor();
  }
});

test('without the history the trend is as ever, without the toggle', async (t) => {
  away = true;
  requests = [];
  const page = await portal.open(t, '#/device/pump_1?range=1h');
  await page.waitForSelector('[data-sensor=temperature] canvas');
  const answered = page.waitForResponse((r) => r.url().includes('/anomalies'));
  await page.click('[data-range="5m"]');
  assert.equal((await answered).status(), 503);
  assert.equal(await page.locator('[data-usual]').isVisible(), false);
  away = false;
});
