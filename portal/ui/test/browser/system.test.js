// The page System on a real plant: stages up to the screen, lanes and partitions, log levels, dead letters.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { CLOCK, launch, open, shot, until } from './page.js';
import { api, base, FEW, publish, startPlant } from './plant.js';

let plant;
let browser;

before(async () => {
  plant = await startPlant({ devices: FEW });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await plant?.close();
});

test('the pipeline up to the screen, its strips, a log level and a dead letter', async (t) => {
  await publish('letter_1', {}, { timestamp: '\u202e<img src=x onerror=alert(1)>' });
  const { page, context, seen } = await open(browser, '#/system');
  t.after(() => context.close());
  await until(page, () => globalThis.iot?.screen?.figures().paint?.n >= 5);
  const count = () => page.evaluate(() => ({ n: globalThis.iot.screen.figures().count, at: performance.now() }));
  let first = await count();

  await t.test('lanes and partitions are strips on the axis of the stages', async () => {
    await until(page, () => document.querySelectorAll('[data-strip^="partition"]').length >= 3 && document.querySelector('[data-strip="lane 0"]'));
    const cell = (n) => page.locator(`[data-strip="lane 0"] td:nth-child(${n})`).textContent();
    assert.match(await cell(2), /\/s$/);
    assert.match(await cell(3), /^[\d,]+$/);
    await page.locator('[data-strip="lane 0"] canvas').hover({ position: { x: 30, y: 5 } });
    await until(page, () => document.querySelector('[data-strip="lane 0"] td:nth-child(3)').textContent === '–'); // an hour ago nothing was known
    assert.match(await page.textContent('.stages .panel-head'), new RegExp(CLOCK), 'the cursor is that of the stages');
    await page.mouse.move(0, 0);
    await until(page, () => document.querySelector('[data-strip="lane 0"] td:nth-child(3)').textContent !== '–');
  });

  await t.test('the level of a log is changed by name, and it is an event', async () => {
    await page.click('[data-key^="level portal"]'); // the portal beside the plant
    await page.selectOption('[name=level]', 'error');
    await page.fill('[name=by]', 'Li Wei');
    await page.click('dialog .is-primary');
    await until(page, (text) => [...document.querySelectorAll('[data-key^="level "]')].some((b) => new RegExp(text).test(b.textContent)), `error, by Li Wei until ${CLOCK}`);
    await until(page, () => /log level .* → error by Li Wei/.test(document.querySelector('.plant-events').textContent));
  });

  await t.test('a refused message is a dead letter by its reason, with a sample as it was sent', async () => {
    const reason = await until(page, () => document.querySelector('.letters [data-reason]')?.dataset.reason).then((h) => h.jsonValue());
    await page.click(`[data-key="sample ${reason}"]`);
    const raw = await page.textContent('.letter-raw');
    assert.match(raw, /\\xe2\\x80\\xae<img src=x/, 'the character that turns a text around is shown by its bytes');
    assert.match(raw, /"device_id":"letter_1"/);
    const [file] = await Promise.all([page.waitForEvent('download'), page.click('.letter-sample button')]);
    assert.match(await readFile(await file.path(), 'utf8'), /\u202e<img/, 'and saved as it is');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('[data-key^="replay"]').count(), 0, 'nothing of it would be accepted now');
    assert.match(await page.textContent('.letter-state'), /refused again: 1/);
  });

  await t.test('what it says of screens is what the browser counted (check 27)', async () => {
    // Rates are of ten seconds; one in which the machine did something else is no measure.
    for (let tries = 0; ; tries++) {
      await until(page, (at) => performance.now() >= at + 17_000, first.at);
      const last = await count();
      const counted = (1000 * (last.n - first.n)) / (last.at - first.at);
      const { screen, painted } = Object.fromEntries((await api('/api/v1/pipeline')).stages.map((s) => [s.stage, s]));
      t.diagnostic(`counted ${counted.toFixed(2)}/s, reported ${painted.rate}/s, sent ${screen.rate}/s; painted after ${painted.ms} ms, p99 ${painted.p99_ms} ms`);
      if ([painted.rate, screen.rate].every((rate) => Math.abs(rate - counted) <= 0.1 * counted)) break;
      assert.ok(tries < 9, 'the rates differ by more than a tenth each time');
      first = last;
    }
    assert.match(await (await fetch(`${base}/metrics`)).text(), /portal_screen_latency_seconds_count [1-9]/);
    await until(page, () => /p50 .* p99/.test(document.querySelector('.system-screen').textContent));
    assert.deepEqual(seen.errors, []);
  });

  await t.test('six hours are in the address', async () => {
    await page.click('[data-range="6h"]');
    await until(page, () => globalThis.iot.pipeline.step_ms === 30_000);
    assert.match(page.url(), /range=6h/);
    await shot(page, 'system-en');
  });
});

test('a replay is named and confirmed by its number, and listed', async (t) => {
  const sample = { partition: 1, offset: 7, time: Date.now(), device: 'd1', gateway: 'gw-a', message: 'timestamp: in seconds', bytes: 3, raw: btoa('{}\n') };
  const answer = { time: Date.now(), since: Date.now() - 60_000, most: 5000, replays: [],
    reasons: [{ reason: 'invalid_timestamp', count: 90, ready: 70, replayed: 0, blocked: { truncated: 20 }, oldest: Date.now() - 60_000, newest: Date.now(), sample }] };
  const sent = [];
  const { page, context } = await open(browser, 'blank.html', { lang: 'zh-CN' });
  t.after(() => context.close());
  await page.route('**/api/v1/dead-letters', (r) => r.fulfill({ json: answer }));
  await page.route('**/api/v1/dead-letters/replays', (r) => {
    sent.push(r.request().postDataJSON());
    Object.assign(answer.reasons[0], { ready: 0, replayed: 70 });
    answer.replays = [{ id: 'r1', time: Date.now(), by: '李伟', reason: 'invalid_timestamp', count: 70 }];
    return r.fulfill({ json: { time: 1, replay: 'r1', count: 70 } });
  });
  await page.goto(`${base}/#/system`);
  await page.click('[data-key="replay invalid_timestamp"]');
  await page.fill('[name=by]', '李伟');
  await page.fill('[name=sure]', '7');
  await page.click('dialog .is-primary');
  await until(page, () => document.querySelector('.dialog-error').textContent.includes('70'));
  assert.deepEqual(sent, [], 'not without its number');
  await page.fill('[name=sure]', '70');
  await page.click('dialog .is-primary');
  await page.waitForSelector('[data-replay=r1]');
  assert.deepEqual(sent, [{ reason: 'invalid_timestamp', by: '李伟', most: 70 }]);
  assert.match(await page.textContent('[data-replay=r1]'), /李伟 · 时间错误 · 70 条/);
  assert.equal(await page.locator('[data-key^="replay"]').count(), 0);
  await shot(page, 'system-letters');
});

test('the page fits a phone, opened on six hours', async (t) => {
  const { page, context, seen } = await open(browser, '#/system?range=6h', { lang: 'zh-CN', theme: 'dark', width: 375 });
  t.after(() => context.close());
  await page.waitForSelector('[data-strip="lane 0"]');
  assert.equal(await page.evaluate(() => globalThis.iot.pipeline.step_ms), 30_000);
  await page.waitForSelector('.letters [data-reason]');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the window');
  for (const part of ['stages', 'strips', 'letters']) {
    await page.evaluate((p) => document.querySelector(`.${p}`).scrollIntoView({ block: 'center' }), part);
    await shot(page, `system-phone-${part}`);
  }
  assert.deepEqual(seen.errors, []);
});
