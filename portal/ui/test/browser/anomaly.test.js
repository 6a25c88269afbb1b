// The most unusual devices as a stand-in for the portal tells of them, and what the page says when nothing does. A real
// plant is in anomalydays.test.js.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessible } from './page.js';
import { standIn } from './standin.js';

const MINUTE = 60_000;
const now = Date.now();
const LOCATION = { building: 'A栋', floor: 1, room: '101' };

let portal;
let unusual = { instances: 1, items: [] };

/** series has a reading a minute between two times. */
function series({ searchParams }) {
  const [from, to] = ['from', 'to'].map((n) => Number(searchParams.get(n)));
  const time = Array.from({ length: 60 }, (_, i) => Math.round(from + ((to - from) * (i + 0.5)) / 60));
  const mean = time.map((t) => 21 + Math.sin(t / 300_000) / 2);
  return { device_id: 'pump_1', from, to, step_ms: 0, begins: from - 9e8, time, values: { temperature: { unit: '°C', mean, min: mean, max: mean } } };
}

function answer(url) {
  const { pathname } = url;
  if (!pathname.startsWith('/api/')) return null;
  if (pathname === '/api/v1/unusual') return [200, { total: unusual.items.length, count: unusual.items.length, offset: 0, time: now, ...unusual }];
  if (pathname === '/api/v1/devices/pump_1/anomalies') return [503, { error: { code: 'history_unavailable', message: 'away' } }];
  if (pathname === '/api/v1/devices/pump_1/series') return [200, series(url)];
  return [404, { error: { code: 'not_found', message: 'not here' } }];
}

before(async () => {
  portal = await standIn(answer);
});
after(() => portal?.close());

const item = (id, more = {}) => ({ device_id: id, location: LOCATION, at: now, unit: '°C', sensor: 'temperature', kind: 'drift', score: 0.8, tail: 0.001, since: now - 20 * MINUTE, value: 27.4, expected: 21, low: 20, high: 22, sigma: 6.1, per_hour: 3.2, sensors: 1, ...more });

for (const [lang, width, theme] of [['en-US', 1440, 'light'], ['zh-CN', 375, 'dark']]) {
  const zh = lang === 'zh-CN';

  test(`the overview names the most unusual devices (${lang}, ${width})`, async (t) => {
    unusual = { instances: 1, items: [item('pump_1', { name: '东侧循环泵' }), item('pump_2', { kind: 'stuck' }), item('pump_3', { kind: 'dropout', missing: 0.3 })] };
    const page = await portal.open(t, '#/overview', { lang, width, theme });
    await page.waitForSelector('[data-unusual=pump_3]');
    const rows = await page.$$eval('[data-unusual]', (list) => list.map((r) => r.textContent));
    assert.equal(rows.length, 3);
    assert.match(rows[0], zh ? /东侧循环泵.*每小时漂移 3.20?/ : /东侧循环泵.*drifts 3.20?/);
    assert.match(rows[0], zh ? /20\s分钟/ : /20\smin/);
    assert.match(rows[2], zh ? /30\s?% 的值缺失/ : /30\s?% of the values missing/);
    await page.addStyleTag({ content: '.is-stale * { opacity: 1 !important; }' }); // the stand-in has no socket, so values are grey
    await accessible(page, '.unusual');
    await page.click('[data-unusual=pump_1] a');
    await page.waitForFunction(() => location.hash.startsWith('#/device/pump_1'));
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
  const page = await portal.open(t, '#/device/pump_1?range=1h');
  await page.waitForSelector('[data-sensor=temperature] canvas');
  const answered = page.waitForResponse((r) => r.url().includes('/anomalies'));
  await page.click('[data-range="5m"]');
  assert.equal((await answered).status(), 503);
  assert.equal(await page.locator('[data-usual]').isVisible(), false);
});
