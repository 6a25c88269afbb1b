// What operators do to devices: put them under maintenance, on the plan of their floor, and beside them documents and a photo.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { launch, open, shot, until } from './page.js';
import { api, base, FEW, publish, startPlant } from './plant.js';

const HALL = 'plan栋';
const SPOT = 'plan_1';
const SHOTS = process.env.UI_SHOTS === '1';

let plant;
let browser;

before(async () => {
  plant = await startPlant({ devices: FEW });
  browser = await launch();
  for (const n of [1, 2, 3]) await publish(`plan_${n}`, { temperature: 21 }, { location: { building: HALL, floor: 2, room: '201' } });
  for (;;) if ((await api(`/api/v1/devices?building=${encodeURIComponent(HALL)}`)).total === 3) break;
}, { timeout: 600_000 });

after(async () => {
  await browser?.close();
  await plant?.close();
}, { timeout: 60_000 });

const table = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  let crc = 0xffffffff;
  for (const b of body) crc = table[(crc ^ b) & 255] ^ (crc >>> 8);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE((crc ^ 0xffffffff) >>> 0);
  return Buffer.concat([length, body, sum]);
}

/** drawing is a PNG: walls around rooms. */
function drawing(width, height) {
  const raw = Buffer.alloc((width + 1) * height, 255);
  for (let y = 0; y < height; y++) {
    raw[y * (width + 1)] = 0;
    for (let x = 0; x < width; x++) if (x % 300 < 4 || y % 240 < 4) raw[y * (width + 1) + x + 1] = 90;
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 0, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(raw)), chunk('IEND', Buffer.alloc(0))]);
}

const plan = () => api(`/api/v1/buildings/${encodeURIComponent(HALL)}/floors/2/plan`).then((a) => a.plan);
const known = (page, id) => until(page, (x) => globalThis.iot?.state.fleet.byID.has(x), id);

/** sign answers the dialog. */
async function sign(page, fields = {}) {
  for (const [name, value] of Object.entries(fields)) await page.fill(`dialog [name=${name}]`, value);
  await page.fill('dialog [name=by]', 'Li');
  await page.click('dialog button[type=submit]');
  await page.waitForSelector('dialog', { state: 'detached' });
}

test('a device is put under maintenance: its alarm is set aside everywhere, and holds again at the end', async () => {
  const { page, context, seen } = await open(browser, `#/device/${SPOT}`);
  await known(page, SPOT);
  await publish(SPOT, { temperature: 99 }, { location: { building: HALL, floor: 2, room: '201' } });
  await until(page, (id) => globalThis.iot.state.fleet.byID.get(id).priority > 0, SPOT);
  await page.click('[data-maintain]');
  await page.click('dialog [data-hours="8"]');
  await page.fill('dialog [name=by]', 'Li');
  await page.click('dialog button[type=submit]');
  assert.equal(await page.locator('dialog').count(), 1, 'without a reason it is not sent');
  await sign(page, { reason: 'new bearing' });
  await page.waitForSelector('[data-maintenance]:not([hidden])');
  assert.match(await page.textContent('[data-maintenance]'), /Li .*new bearing/);
  await until(page, (id) => globalThis.iot.state.fleet.byID.get(id).priority === 0, SPOT);
  const d = await api(`/api/v1/devices/${SPOT}`);
  assert.equal(d.active_alerts, 0);
  assert.ok(Math.abs(d.maintenance_until - Date.now() - 8 * 3_600_000) < 120_000, 'until then');
  const { items } = await api(`/api/v1/alerts?device_id=${SPOT}&shelved=true`);
  assert.ok(items.length > 0 && items.every((a) => a.shelved.maintenance && a.shelved.reason === 'new bearing'), 'kept and marked');
  if (SHOTS) await shot(page, 'device-maintenance');

  await page.goto(`${base}/#/devices?condition=maintenance&col=device,maintenance`);
  await until(page, (id) => [...document.querySelectorAll('.rows .row:not([hidden])')].map((r) => r.dataset.id).join() === id, SPOT);
  assert.match(await page.textContent('.rows .cell-maintenance'), /\d\d:\d\d/);

  await page.goto(`${base}/#/overview?b=${encodeURIComponent(HALL)}`);
  await until(page, (id) => globalThis.iot.map?.look(id).maintained, SPOT);
  if (SHOTS) await shot(page, 'overview-maintenance');
  await page.goto(`${base}/#/device/${SPOT}`);
  await page.click('[data-maintain-end]:not([hidden])');
  await sign(page);
  await page.waitForSelector('[data-maintain]:not([hidden])');
  await until(page, (id) => globalThis.iot.state.fleet.byID.get(id).priority > 0, SPOT);
  const trail = (await api(`/api/v1/audit?device_id=${SPOT}&action=maintain,end_maintenance`)).items.map((e) => [e.action, e.by, e.outcome]);
  assert.deepEqual(trail, [['end_maintenance', 'Li', 'applied'], ['maintain', 'Li', 'applied']]);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

/** onPicture checks that places are measured on the picture as it is drawn. */
async function onPicture(page) {
  const [a, b] = await Promise.all(['.plan-picture', '.plan-points'].map((s) => page.locator(s).boundingBox()));
  for (const side of ['x', 'y', 'width', 'height']) assert.ok(Math.abs(a[side] - b[side]) <= 1, `${side}: picture ${a[side]}, points ${b[side]}`);
}

test('a floor gets a picture and its devices on it, by mouse and by keys; another browser shows the same', async () => {
  const { page, context, seen } = await open(browser, `#/plan?b=${encodeURIComponent(HALL)}&f=2`);
  await known(page, SPOT);
  await page.click('[data-edit]');
  const file = '[data-picture-file]';
  for (const [name, type, text] of [['a.svg', 'image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'], ['a.png', 'image/png', '<!doctype html><script>alert(1)</script>']]) {
    await page.setInputFiles(file, { name, mimeType: type, buffer: Buffer.from(text) });
    await until(page, (file) => document.querySelector('[data-plan-status]').textContent.startsWith(`${file} is no picture`), name);
    assert.equal(await page.locator('.plan-picture').isVisible(), false, `${name} is no picture`);
  }
  await page.setInputFiles(file, { name: 'floor.png', mimeType: 'image/png', buffer: drawing(2600, 1300) });
  await until(page, () => document.querySelector('.plan-picture')?.naturalWidth === 2000);

  const box = await page.locator('.plan-points').boundingBox();
  const item = await page.locator(`.plan-item[data-id=${SPOT}] .plan-item-name`).boundingBox();
  await page.mouse.move(item.x + 5, item.y + 8);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.5, { steps: 4 });
  await page.mouse.move(box.x + box.width * 0.25, box.y + box.height * 0.75, { steps: 4 });
  await page.mouse.up();
  await page.click('[data-place-device=plan_2]');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.id), 'plan_2', 'the keys move it now');
  for (const key of ['ArrowRight', 'Shift+ArrowUp']) await page.keyboard.press(key);
  assert.equal(await page.getAttribute('.plan-point[data-id=plan_2]', 'data-at'), '50.5,45');
  await page.click('[data-place-device=plan_3]');
  await page.keyboard.press('Delete');
  assert.equal(await page.locator('.plan-item').count(), 1, 'it is back in the list');
  if (SHOTS) await shot(page, 'plan-edit');
  await page.click('[data-save]');
  await sign(page);
  const kept = await plan();
  assert.deepEqual(kept.points.map((p) => p.device_id), ['plan_1', 'plan_2']);
  assert.ok(Math.abs(kept.points[0].x - 25) < 0.5 && Math.abs(kept.points[0].y - 75) < 0.5, JSON.stringify(kept.points));

  const places = (p) => p.$$eval('.plan-point', (all) => all.map((el) => `${el.dataset.id} ${el.dataset.at}`).sort());
  const want = kept.points.map((p) => `${p.device_id} ${p.x},${p.y}`);
  await page.reload();
  const second = await open(browser, `#/plan?b=${encodeURIComponent(HALL)}&f=2`, { lang: 'zh-CN' });
  for (const p of [page, second.page]) {
    await until(p, () => document.querySelectorAll('a.plan-point').length === 2 && document.querySelector('.plan-picture').naturalWidth === 2000);
    assert.deepEqual(await places(p), want);
  }
  await onPicture(page);
  // Whoever is slower does not overwrite the other.
  await page.click('[data-edit]');
  await page.focus('.plan-point[data-id=plan_2]');
  await second.page.click('[data-edit]');
  await second.page.focus('.plan-point[data-id=plan_2]');
  for (const p of [page, second.page]) await p.keyboard.press('ArrowDown');
  await page.click('[data-save]');
  await sign(page);
  await second.page.click('[data-save]');
  await second.page.fill('dialog [name=by]', 'Wang');
  await second.page.click('dialog button[type=submit]');
  await until(second.page, () => document.querySelector('.dialog-error').textContent !== '');
  assert.equal((await plan()).version, 2);
  assert.equal((await plan()).changed_by, 'Li');

  await page.click('a.plan-point[data-id=plan_1]');
  await until(page, () => location.hash.startsWith('#/device/plan_1'));
  await until(page, () => document.querySelector('.device-about .plan-point')?.dataset.id === 'plan_1' && document.querySelector('.device-about .plan-picture').naturalWidth === 2000);
  await onPicture(page);
  await page.keyboard.press('Control+k');
  await page.fill('[data-finder]', `plan ${HALL}`);
  await page.waitForSelector('.finder-row[data-kind=plan]');
  await page.keyboard.press('Escape');
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(seen.foreign, []);
  await Promise.all([context.close(), second.context.close()]);
});

test('a device has documents and a photo', async () => {
  const { page, context, seen } = await open(browser, `#/device/${SPOT}`);
  await known(page, SPOT);
  await page.click('[data-document-add]');
  await page.fill('dialog [name=title]', 'Manual');
  await page.fill('dialog [name=url]', 'javascript:alert(1)');
  await page.fill('dialog [name=by]', 'Li');
  await page.click('dialog button[type=submit]');
  assert.equal(await page.locator('dialog').count(), 1, 'it is refused');
  await sign(page, { url: 'https://example.com/manual.pdf?p=1' });
  await page.waitForSelector('.document-row a');
  assert.deepEqual(await page.$eval('.document-row a', (a) => [a.href, a.target, a.rel]), ['https://example.com/manual.pdf?p=1', '_blank', 'noopener noreferrer']);
  await page.setInputFiles('.device-about [data-picture-file]', { name: 'p.png', mimeType: 'image/png', buffer: drawing(600, 480) });
  await page.waitForSelector('dialog img');
  await sign(page);
  await until(page, () => document.querySelector('.device-about-body .device-photo')?.naturalWidth === 600);
  if (SHOTS) await shot(page, 'device-about');
  const { documents, photo } = await api(`/api/v1/registry/${SPOT}`);
  assert.equal(documents.length, 1);
  assert.match(photo, /^[0-9a-f]{64}$/);
  await page.reload();
  await until(page, () => document.querySelector('.document-row a') && document.querySelector('.device-about-body .device-photo')?.naturalWidth === 600);
  await page.click('[data-photo-remove]');
  await sign(page);
  await until(page, () => document.querySelector('.device-about-body .device-photo').hidden);
  await page.click('.document-row button');
  await sign(page);
  await until(page, () => !document.querySelector('.document-row'));
  assert.deepEqual(seen.errors, []);
  await context.close();
});
