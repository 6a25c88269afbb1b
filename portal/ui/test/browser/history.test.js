// Charts over history in a real browser: the page from dist, and a portal that has nothing but a
// fixed course of two devices.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { standIn } from './standin.js';

const DAY = 86_400_000;
const BEGINS = Date.now() - 20 * DAY;

let portal;
let answer; // of a question {id, from, to, points}
let asked = [];

before(async () => {
  portal = await standIn(({ pathname, searchParams }) => {
    const series = /^\/api\/v1\/devices\/([^/]+)\/series$/.exec(pathname);
    if (!series) return null;
    const q = { id: series[1], ...Object.fromEntries(['from', 'to', 'points'].map((k) => [k, Number(searchParams.get(k))])) };
    asked.push(q);
    const a = answer(q);
    return [a.error ? 503 : 200, a];
  });
});

after(() => portal?.close());

function open(t, hash, lang = 'en-US') {
  asked = [];
  return portal.open(t, hash, { lang });
}

const drawn = (page) => page.evaluate(() => globalThis.iot.trends.get('temperature').data);
const filled = (page) => page.waitForFunction(() => globalThis.iot.trends?.get('temperature')?.data?.time.length > 0);
const note = (page) => page.locator('.trend-tools > .panel-note').textContent();
const column = (mean, min = mean, max = mean) => ({ temperature: { unit: '°C', mean, min, max } });

/** stepped answers with five steps behind a gap; the last one has a spike. */
function stepped({ id, from, to }) {
  const step = (to - from) / 10;
  const time = [4, 5, 6, 8, 9].map((n) => Math.round(from + n * step));
  return { device_id: id, from, to, step_ms: Math.round(step / 2), begins: BEGINS, time, values: column([24, 25, null, 25, 40], [23, 24, null, 24, 25], [25, 26, null, 26, 99]) };
}

test('a month is asked for and drawn, with its band, its gap and its beginning', async (t) => {
  answer = stepped;
  const page = await open(t, '#/trends?devices=d1,d2&sensors=temperature&range=5m');
  await filled(page);
  for (const [range, span] of [['1d', DAY], ['7d', 7 * DAY], ['30d', 30 * DAY]]) {
    asked = [];
    await page.click(`[data-range="${range}"]`);
    await page.waitForFunction((ms) => {
      const { time } = globalThis.iot.trends.get('temperature')?.data ?? { time: [] };
      return time.length > 0 && Math.abs(time.at(-1) - time[0] - ms / 2) < ms / 100;
    }, span);
    assert.deepEqual(asked.map((q) => q.id).sort(), ['d1', 'd2']);
    for (const q of asked) assert.deepEqual([q.to - q.from, q.points], [span, 600]);
  }
  const data = await drawn(page);
  assert.equal(Math.max(...data.max.flat().filter(Number.isFinite)), 99, 'the band has the spike');
  assert.ok(data.lines.every((line) => line.includes(null)), 'the gap is a gap');
  assert.match(await note(page), /data begins \d+ \w+ \d\d:\d\d/, 'a month is not held');
  assert.match(await page.locator('[data-legend=temperature]').textContent(), /\(25\.?0*–99\.?0*\)/);
});

test('zoom asks for the zoomed range, and one button takes it back', async (t) => {
  answer = stepped;
  const page = await open(t, '#/trends?devices=d1&sensors=temperature&range=1d');
  await filled(page);
  asked = [];
  const box = await page.locator('.trend .u-over').boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 50, { steps: 4 });
  await page.mouse.up();
  await page.waitForFunction(() => location.hash.includes('from='));
  await filled(page);
  assert.ok(Math.abs(asked[0].to - asked[0].from - DAY / 10) < DAY / 100, 'a tenth of the day');
  assert.equal(asked[0].points, 600);
  assert.equal(await page.locator('[data-reset]').count(), 1);
  await page.click('[data-reset]');
  await page.waitForFunction(() => !location.hash.includes('from='));
  assert.equal(await page.locator('[data-reset]').isVisible(), false);
});

test('a reading that stands alone is a dot', async (t) => {
  answer = ({ id, from, to }) => ({ device_id: id, from, to, step_ms: 0, begins: from, time: [Math.round((from + to) / 2)], values: column([25]) });
  const page = await open(t, '#/trends?devices=d1&sensors=temperature&range=1h');
  await filled(page);
  await page.waitForFunction(() => {
    const c = document.querySelector('.trend canvas');
    const { data } = c.getContext('2d').getImageData(Math.round(c.width / 2) - 60, 0, 120, c.height);
    let n = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i] < 60 && data[i + 1] > 90 && data[i + 2] > 150 && data[i + 3] > 200) n++;
    return n > 8;
  });
});

test('what is not held is not promised', async (t) => {
  const hash = '#/trends?devices=d1&sensors=temperature&range=5m';
  for (const [code, lang, text] of [['history_unavailable', 'en-US', /not reachable; what you see begins when this page was opened/], ['history_unavailable', 'zh-CN', /始于打开本页之时/], ['history_off', 'en-US', /no history/]]) {
    answer = () => ({ error: { code, message: 'no' } });
    const page = await open(t, hash, lang);
    await page.waitForFunction((source) => new RegExp(source).test(document.querySelector('.trend-tools > .panel-note')?.textContent), text.source);
    for (const range of ['1h', '1d', '7d', '30d']) {
      const button = page.locator(`[data-range="${range}"]`);
      assert.equal(await button.isDisabled(), true, range);
      assert.notEqual(await button.getAttribute('title'), '', 'with a reason');
    }
  }
});
