// The alarm list, what needs attention, floods and the map, in a real browser against a real plant.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { startBalancer } from './balancer.js';
import { api, base, eventually, PATIENCE, publish, startPlant } from './plant.js';
import { CLOCK, launch, open, quantile, shot, until, watch, within } from './page.js';

const FULL = process.env.UI_FULL === '1';
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const MANY = 1185;
const storage = { operator: 'Li Wei' };

let plant;
let browser;

before(async () => {
  plant = await startPlant({ interval: '5s' }); // an ordinary load
  browser = await launch();
}, { timeout: 600_000 });

after(async () => {
  await browser?.close();
  await plant?.close();
}, { timeout: 60_000 });

/** hot lets n devices of a building send a temperature. */
async function hot(name, n, value = 96) {
  for (let i = 0; i < n; i++) await publish(`${name}_${i}`, { temperature: value });
}

const total = async (query) => (await api(`/api/v1/alerts?limit=1&${query}`)).total;
const raised = (name, n, more = 'status=active') => eventually(`${n} alarms of ${name}`, async () => (await total(`building=${encodeURIComponent(`${name}栋`)}&${more}`)) === n);
const place = (name) => ({ location: { building: `${name}栋`, floor: 7, room: '702' } });

/** file saves what a button saves and returns its lines without the head. */
async function file(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)]);
  return (await readFile(await download.path(), 'utf8')).trim().split('\r\n').slice(1);
}

/** coldStart returns how long a new visitor waits for the list of what needs attention, in ms, with a CPU that is slower by a factor. */
async function coldStart(factor) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: factor });
  await page.goto(`${base}/#/overview`, { waitUntil: 'commit' });
  const at = await page.waitForFunction(() => document.querySelector('.attention-row') && performance.now());
  const took = await at.jsonValue();
  await context.close();
  return took;
}

test('a flood is a few rows, and a critical alarm has its own at once', async (t) => {
  const { page, context } = await open(browser, '#/alarms', { storage });
  await until(page, () => globalThis.iot.state.plant.liveness().state === 'live');
  await page.evaluate(() => {
    globalThis.tasks = [];
    new PerformanceObserver((list) => list.getEntries().forEach((e) => globalThis.tasks.push(e.duration))).observe({ type: 'longtask' });
  });
  await hot('wave', 200);
  const last = Date.now();
  const group = page.locator('.flood-row', { hasText: 'wave栋' });
  await page.locator('.flood-row', { hasText: /200 .*wave栋/ }).waitFor();
  within(t, 'the count is right', Date.now() - last, 2000);
  within(t, 'long tasks in sum', await page.evaluate(() => globalThis.tasks.reduce((a, b) => a + b, 0)), 500);
  assert.match(await group.textContent(), /temperature high/);
  assert.match(await group.textContent(), new RegExp(`since ${CLOCK}`));
  assert.equal(await page.locator('.alarm-row', { hasText: 'wave_' }).count(), 3, 'with the newest three');
  const took = await page.evaluate(() => {
    const from = performance.now();
    [...document.querySelectorAll('.flood-row')].find((r) => r.textContent.includes('wave栋')).querySelector('[data-ack]').click();
    return document.querySelector('dialog[open]') ? performance.now() - from : Infinity;
  });
  within(t, 'the dialog to acknowledge', took, 100);
  await page.keyboard.press('Escape');

  const sent = await publish('worst_1', { current: 14 });
  // Only critical alarms of the simulator that are newer still may stand before it.
  await until(page, () => {
    const rows = [...document.querySelectorAll('.alarm-table tbody tr')];
    const own = rows.findIndex((r) => r.textContent.includes('worst_1') && r.checkVisibility());
    return own >= 0 && (own < 3 || rows.slice(0, own).every((r) => r.querySelector('.badge-critical')));
  });
  within(t, 'the critical one among the first three rows', Date.now() - sent, 1000);
  await page.locator('.flood-badge:visible').waitFor();
  const { flood } = await api('/api/v1/alerts/summary');
  assert.equal(flood.active, true, 'the mark is the portal’s');
  await shot(page, 'alarms-folded');

  await page.goto(`${base}/#/overview`);
  await page.locator('[data-group]', { hasText: 'wave栋' }).waitFor();
  assert.match(await page.locator('[data-holds=critical]').textContent(), /^\d+ active \(since (\d+ \w+ )?\d\d:\d\d, /);
  await hot('wave', 200, 20);
  await publish('worst_1', { current: 2 });
  await raised('wave', 0);
  await until(page, () => !document.querySelector('.attention-list').textContent.includes('wave栋'));
  const shown = await page.locator('.attention-row[data-alert]').evaluateAll((rows) => rows.map((r) => globalThis.iot.state.alarms.all.get(r.dataset.alert)?.status));
  assert.ok(shown.every((s) => s === 'active'), `what is over is no row: ${shown}`);
  await until(page, () => Number(document.querySelector('.sentence [data-over]').textContent.replace(/\D/g, '')) >= 201);
  await shot(page, 'overview-sentence');
  await context.close();
});

test('all that are listed are acknowledged, in two steps and with a number typed, and the list stays calm', async (t) => {
  const { page, context } = await open(browser, '#/alarms?q=crowd_', { storage });
  await hot('crowd', MANY);
  await raised('crowd', MANY);
  await until(page, (n) => document.querySelector('[data-count]').textContent.startsWith(n), MANY.toLocaleString('en'));
  await page.click('[data-fold]');
  await until(page, () => document.querySelectorAll('.alarm-row').length === 100);
  const busy = await watch(page, 'threadTicks');
  await busy();
  await pause(FULL ? 30_000 : 6000);
  within(t, 'main thread with more than a thousand alarms', await busy(), 8, '%');
  for (const [factor, limit] of FULL ? [[1, 1000], [4, 3000]] : [[1, 1000]]) {
    const took = [];
    for (let i = 0; i < (FULL ? 5 : 1); i++) took.push(await coldStart(factor));
    within(t, `cold to the list of what needs attention, CPU ×${factor}`, quantile(took, 0.5), limit);
  }

  await page.check('[data-box=visible]');
  await until(page, () => document.querySelector('[data-chosen]').textContent.startsWith('100 '));
  await page.click('[data-all]');
  await until(page, () => document.querySelector('[data-chosen]').textContent.startsWith('1,185 '));
  await page.click('[data-action=acknowledge]');
  await page.fill('dialog input[name=sure]', '100');
  await page.click('dialog button[type=submit]');
  assert.match(await page.locator('.dialog-error').textContent(), /1,185/);
  await page.fill('dialog input[name=sure]', '1,185');
  const from = Date.now();
  await page.click('dialog button[type=submit]');
  await page.locator('.notice', { hasText: /^[\d,]+ done/ }).waitFor();
  if (FULL) assert.match(await page.locator('.notice').textContent(), /^1,185 done/);
  await eventually('all are acknowledged', async () => (await total(`building=${encodeURIComponent('crowd栋')}&state=unacknowledged`)) === 0);
  within(t, 'acknowledged', Date.now() - from, 3000);

  const ids = await file(page, '[data-csv]');
  assert.equal(ids.length, MANY, 'the file has what the list has, not what the window shows');
  assert.equal(new Set(ids.map((l) => l.split(',')[0])).size, MANY);
  await page.fill('[data-q]', 'crowd_11 crowd栋');
  await page.selectOption('[data-sort]', 'device');
  await page.click('button.chip-high');
  await until(page, () => document.querySelectorAll('.alarm-row').length === 96); // crowd_11, crowd_110 … 119, crowd_1100 … 1184
  const said = (p) => p.evaluate(() => [...document.querySelectorAll('.alarm-row')].map((r) => r.dataset.alert).join());
  const list = await said(page);
  const other = await open(browser, new URL(page.url()).hash, { storage });
  await until(other.page, () => document.querySelectorAll('.alarm-row').length === 96);
  assert.equal(await said(other.page), list, 'the address says everything');
  await other.context.close();
  await hot('crowd', MANY, 20);
  await raised('crowd', 0);
  await context.close();
});

test('the keyboard reaches, chooses, opens and acknowledges', async () => {
  const { page, context } = await open(browser, '#/overview');
  await publish('keys_1', { current: 14 }, place('keys'));
  await raised('keys', 1);
  await until(page, () => globalThis.iot.prefetched);
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await page.waitForSelector('.alarm-row');
  await page.keyboard.press('ArrowDown');
  await page.waitForSelector('.alarm-table tbody tr:focus');
  await page.fill('[data-q]', 'keys_1');
  await until(page, () => document.querySelectorAll('.alarm-row').length === 1);
  await page.locator('.scroller').focus();
  await page.keyboard.press('ArrowDown');
  await page.waitForSelector('tr.alarm-row:focus');
  await page.keyboard.press('Space');
  await page.waitForSelector('tr.alarm-row.is-chosen:focus');
  await page.keyboard.press('a');
  await page.waitForSelector('dialog input[name=by]:focus');
  assert.equal(await page.inputValue('dialog input[name=by]'), '', 'the key does not type itself');
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press(i % 5 === 4 ? 'Shift+Tab' : 'Tab');
    assert.ok(await page.evaluate(() => document.activeElement.closest('dialog') !== null), 'Tab stays in the dialog');
  }
  await page.keyboard.press('Escape');
  await page.waitForSelector('tr.alarm-row.is-chosen:focus');

  await page.click('[data-action=shelve]');
  await page.fill('dialog input[name=by]', '王工');
  await page.evaluate(() => document.querySelector('dialog textarea').removeAttribute('required'));
  await page.click('dialog button[type=submit]');
  assert.match(await page.locator('.dialog-error').textContent(), /reason/);
  const id = await page.locator('.alarm-row').getAttribute('data-alert');
  const refused = await fetch(`${base}/api/v1/alerts/${id}/shelve`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ by: 'x', duration: '1h' }) });
  assert.deepEqual([refused.status, (await refused.json()).error.field], [400, 'note'], 'nor by the API');
  await page.fill('dialog textarea', 'filter is changed');
  await page.click('dialog button[type=submit]');
  await page.locator('.alarm-row').waitFor({ state: 'detached' });
  await page.click('[data-tab=aside]');
  await page.locator('.alarm-row', { hasText: 'shelved by 王工' }).getByText('filter is changed').waitFor();
  assert.deepEqual((await file(page, '[data-csv]')).map((l) => l.split(',')[0]), [id]);
  await page.locator('.alarm-row').focus();
  await page.keyboard.press('Enter');
  await page.locator('.drawer:visible').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.drawer').waitFor({ state: 'hidden' });
  await publish('keys_1', { current: 2 }, place('keys'));
  await context.close();
});

test('who is signed in by a proxy acts under that name, and cannot type another', async (t) => {
  const proxy = await startBalancer([plant.port(8090)], { operator: 'Wang Wei' });
  const { page, context } = await open(browser, '#/alarms?q=signed_1', { storage, at: proxy.url });
  t.after(async () => {
    await context.close();
    proxy.close();
  });
  await publish('signed_1', { current: 14 }, place('signed'));
  await page.locator('.alarm-row input[type=checkbox]').check();
  await page.click('[data-action=acknowledge]');
  const name = page.locator('dialog input[name=by]');
  await name.focus();
  await page.keyboard.type('Li Wei');
  assert.equal(await name.inputValue(), 'Wang Wei');
  await name.evaluate((el) => (el.value = 'Li Wei')); // by whatever means
  await page.click('dialog button[type=submit]');
  await page.locator('.alarm-row.is-acknowledged', { hasText: 'Wang Wei' }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem('operator')), 'Li Wei', 'the name that others enter at this screen is kept');
  await publish('signed_1', { current: 2 }, place('signed'));
});

test('what came and went unseen is on its tab, and in the journal with its duration', async () => {
  await hot('gone', 10);
  await raised('gone', 10);
  await hot('gone', 10, 20);
  await raised('gone', 10, 'state=returned_unacknowledged');
  const { page, context } = await open(browser, '#/alarms?tab=over&fold=0&q=gone_', { storage });
  await until(page, () => document.querySelectorAll('.alarm-row').length === 10);
  const rows = (await page.locator('.alarm-row').evaluateAll((all) => all.map((r) => r.dataset.alert))).sort();
  assert.deepEqual((await file(page, '[data-csv]')).map((l) => l.split(',')[0]).sort(), rows);
  await page.click('[data-tab=journal]');
  await until(page, () => document.querySelectorAll('.alarm-row').length === 10);
  for (const text of await page.locator('.alarm-row .col-lasted').allTextContents()) assert.match(text, /^\d/);
  const saved = await (await fetch(base + await page.locator('[data-file]').getAttribute('href'))).text();
  assert.deepEqual(saved.trim().split('\r\n').slice(1).map((l) => l.split(',').at(-1)).sort(), rows);
  await page.fill('[data-field=q]', 'gone_3');
  await until(page, () => document.querySelectorAll('.alarm-row').length === 1);
  await page.click('[data-tab=top]');
  await until(page, () => document.querySelectorAll('[data-actor]').length > 0);
  assert.equal((await file(page, '[data-csv]')).length, await page.locator('[data-actor]').count());
  await context.close();
});

test('a cell’s fill means that an alarm holds, its outline that one is over, its hatching that the device is offline', async () => {
  for (const [id, value, more] of [['cells_1', 96], ['cells_2', 96], ['cells_3', 20], ['cells_4', 96], ['cells_4', 96, { presence: 'offline' }]]) await publish(id, { temperature: value }, { ...place('cells'), ...more });
  await raised('cells', 3, 'alert_type=temperature_high&status=active');
  await publish('cells_2', { temperature: 20 }, place('cells'));
  await raised('cells', 2, 'alert_type=temperature_high&status=active');
  const { page, context } = await open(browser, '#/overview', { storage });
  for (const mode of ['state', 'temperature']) {
    await page.selectOption('.fleet select', mode);
    await until(page, () => {
      const look = (n) => globalThis.iot.state.fleet.byID.has(`cells_${n}`) && globalThis.iot.map.look(`cells_${n}`);
      return look(1) && look(1).fill === 'high' && look(2).outline === 'high' && !look(2).fill && !look(3).fill && !look(3).outline && look(4).hatched && look(4).ground === 'offline' && look(4).fill === 'high';
    });
    await until(page, () => { // each fill by an alarm that holds, but for those that change in this moment
      const { fleet, alarms } = globalThis.iot.state;
      const holding = new Set(alarms.list((a) => a.status === 'active' && !a.shelved && !a.suppressed && !a.out_of_service && !a.historical).map((a) => a.device_id));
      return fleet.rows.filter((d) => d && Boolean(globalThis.iot.map.look(d.id).fill) !== holding.has(d.id)).length < 5;
    });
  }
  await page.locator('.map-scale', { hasText: /\d.*\d.*°C/ }).waitFor();
  assert.match(page.url(), /map=temperature/);
  const spot = await page.evaluate(() => globalThis.iot.map.locate('cells_3'));
  await page.mouse.move(spot.x, spot.y);
  await page.locator('.tip-room', { hasText: /702: 4 devices · .*20\.0.* to 96\.0/ }).waitFor();
  await shot(page, 'overview-temperature');
  for (const n of [1, 4]) await publish(`cells_${n}`, { temperature: 20 }, place('cells'));
  await context.close();
});

test('four severities are told apart without colour in cells of 10 px', async (t) => {
  for (const theme of ['light', 'dark']) {
    const { page, context } = await open(browser, '#/overview', { theme });
    await until(page, () => globalThis.iot.map?.cell());
    const drawn = await page.evaluate(async () => {
      const { createPainter } = globalThis.iot;
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 60;
      const g = canvas.getContext('2d', { willReadFrequently: true });
      g.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--panel');
      g.fillRect(0, 0, 60, 60);
      const devices = [1, 2, 3, 4].map((priority, index) => ({ index, state: 1, priority, over: 0 }));
      createPainter()(g, { cell: 10, floors: [{ x: 0, y: 0, columns: 4, devices }] }, [], null);
      return devices.map((_, i) => {
        const { data } = g.getImageData(i * 10, 0, 9, 9);
        return Array.from({ length: 81 }, (_, p) => 0.299 * data[4 * p] + 0.587 * data[4 * p + 1] + 0.114 * data[4 * p + 2]);
      });
    });
    for (let a = 0; a < 4; a++) {
      for (let b = a + 1; b < 4; b++) {
        const differ = drawn[a].filter((v, i) => Math.abs(v - drawn[b][i]) > 48).length;
        t.diagnostic(`${theme}: priorities ${a + 1} and ${b + 1} differ in ${differ} of 81 pixels`);
        assert.ok(differ >= 12, `${theme}: priorities ${a + 1} and ${b + 1} differ in ${differ} of 81 pixels`);
      }
    }
    await context.close();
  }
});
