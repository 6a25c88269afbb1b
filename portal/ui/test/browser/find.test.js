// Finding things: the table of devices sorted, grouped and searched; the finder; addresses that say it all; the
// keyboard, fingers and paper.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, quantile, until, within } from './page.js';
import { api, base, DEVICES, PATIENCE, publish, startPlant } from './plant.js';

const HALL = 'find栋'; // where devices find_<n> stand

let plant;
let browser;

before(async () => {
  plant = await startPlant();
  browser = await launch();
  // Devices beyond all others in each column, and silent from now on; the battery is charged fully, the signal is the best.
  await publish('find_1', { temperature: 78.5, humidity: 40 }, { device_info: { model: 'TEST-PROBE', firmware: '9.9.9', battery: 100.5, signal_strength: -5 } });
  await publish('find_2', { temperature: -7.25 }, { location: { building: HALL, floor: 7, room: '702' }, device_info: { model: 'TEST-PROBE', firmware: '1.0.0', battery: 0.5, signal_strength: -119 } });
  await publish('find_1702', { temperature: 21 }, { location: { building: HALL, floor: 17, room: '1702' } });
  for (;;) if ((await api(`/api/v1/devices?building=${encodeURIComponent(HALL)}`)).total === 3) break;
}, { timeout: 600_000 });

after(async () => {
  await browser?.close();
  await plant?.close();
}, { timeout: 60_000 });

const counted = (page, n) => until(page, (want) => Number(document.querySelector('[data-count]')?.textContent.split(' ')[0].replaceAll(',', '')) === want, n);

async function exported(more = '') {
  const text = await (await fetch(`${base}/api/v1/export.csv${more}`)).text();
  const [head, ...lines] = text.replace(/^\ufeff/, '').trim().split('\r\n').map((l) => l.split(','));
  return lines.map((l) => Object.fromEntries(head.map((name, i) => [name, l[i]])));
}

test('sorted by a column the first row is the extreme of the export, and the address says so', async (t) => {
  const { page, context, seen } = await open(browser, '#/devices?col=device,temperature,battery,signal_strength,age');
  await until(page, (n) => globalThis.iot?.state.fleet.size() >= n, DEVICES);
  const number = (v) => (v === undefined || v === '' ? NaN : Number(v));
  for (const [column, head] of [['temperature', 'temperature [°C]'], ['battery', 'battery'], ['signal_strength', 'signal_strength'], ['age', 'last_seen']]) {
    for (const down of [true, false]) {
      await page.click(`[data-column="${column}"] .col-sort`);
      const order = down ? 'descending' : 'ascending';
      await until(page, ([c, o]) => document.querySelector(`[role=columnheader][data-column="${c}"]`).ariaSort === o, [column, order]);
      assert.equal(await page.evaluate(() => new URLSearchParams(location.hash.split('?')[1]).get('sort')), `${down ? '-' : ''}${column}`);
      if (!down && column !== 'battery') continue; // the youngest are another one each moment, and an export of all devices takes its time
      const value = (r) => (column === 'age' ? -Date.parse(r[head]) : number(r[head]));
      let last = [];
      for (const end = Date.now() + PATIENCE; Date.now() < end; ) { // a simulated device may just have become the extreme, or no longer be it
        const rows = (await exported()).filter((r) => !Number.isNaN(value(r)));
        const best = rows.reduce((a, b) => ((down ? value(b) > value(a) : value(b) < value(a)) ? b : a));
        await page.click('[data-resort]');
        const shown = await page.evaluate(() => [...document.querySelectorAll('.rows .row:not([hidden])')].find((r) => r.ariaRowIndex === '2')?.dataset.id);
        last = [shown, best.device_id];
        if (shown === best.device_id) break;
      }
      assert.equal(last[0], last[1], `${column}, ${order}`);
    }
  }
  await page.goto(`${base}/#/devices?sort=-battery`);
  await page.reload();
  await until(page, () => globalThis.iot?.devices?.order()[0] === 'find_1');
  const took = [];
  for (let i = 0; i < 8; i++) {
    await page.click('[data-resort]');
    took.push(await page.evaluate(() => globalThis.iot.devices.took));
  }
  assert.equal(await page.evaluate(() => globalThis.iot.devices.order().length), await page.evaluate(() => globalThis.iot.state.fleet.size()));
  within(t, `filtering and sorting ${DEVICES} devices`, quantile(took, 0.5), 50);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test('rows keep their order while values change', async () => {
  const { page, context } = await open(browser, '#/devices?sort=-temperature&col=device,temperature');
  await until(page, () => document.querySelector('.rows .cell-temperature')?.textContent.includes('°C'));
  const first = await page.evaluate(() => globalThis.iot.devices.order().join());
  const changes = await page.evaluate(() => new Promise((done) => {
    const at = [];
    let last = globalThis.iot.devices;
    const end = performance.now() + 11_500;
    const timer = setInterval(() => {
      if (globalThis.iot.devices !== last) at.push(performance.now());
      last = globalThis.iot.devices;
      if (performance.now() < end) return;
      clearInterval(timer);
      done(at.slice(1).map((x, i) => x - at[i]));
    }, 20);
  }));
  assert.ok(changes.every((ms) => ms > 4500), `put in order anew after ${changes.map(Math.round)} ms`);
  assert.notEqual(await page.evaluate(() => globalThis.iot.devices.order().join()), first, 'but they are put in order again');
  await context.close();
});

test('a building and a room in words find the devices of that room alone', async () => {
  const { page, context } = await open(browser, '#/devices');
  await until(page, (n) => globalThis.iot?.state.fleet.size() >= n, DEVICES);
  const some = (await api(`/api/v1/devices?building=${encodeURIComponent('B栋')}&limit=1&offset=30`)).items[0].location;
  for (const { building, floor, room } of [some, { building: HALL, floor: 7, room: '702' }]) {
    const want = (await exported(`?building=${encodeURIComponent(building)}&room=${room}`)).map((r) => r.device_id).sort();
    assert.ok(want.length > 0);
    for (const q of [`${building} ${room}`, `${room} ${building} ${floor}F`, `${building}　${floor}楼 ${room}`]) {
      await page.fill('.devices-page input[type=search]', q);
      await counted(page, want.length);
      assert.deepEqual((await page.evaluate(() => globalThis.iot.devices.order())).sort(), want, q);
      assert.deepEqual((await exported(`?q=${encodeURIComponent(q)}`)).map((r) => r.device_id).sort(), want, `the portal: ${q}`);
    }
  }
  await context.close();
});

test('conditions, groups and columns are in the address, and another browser shows the same', async () => {
  const hash = `#/devices?b=${encodeURIComponent(HALL)}&col=device,place,battery,firmware,temperature&sort=-temperature&group=room`;
  const { page, context } = await open(browser, hash, { lang: 'zh-CN' });
  await until(page, () => document.querySelectorAll('.rows .row.is-group:not([hidden])').length === 3);
  await until(page, () => /9901.*1 台设备.*78\.5/.test(document.querySelector('.rows .row:not([hidden]) .group-line').textContent)); // sorted by what they have sent
  await page.locator('.group-toggle').first().click();
  await until(page, () => document.querySelectorAll('.rows .row[data-id]:not([hidden])').length === 1);
  await page.click('[data-quick=low_battery]');
  await until(page, () => document.querySelectorAll('.rows .row.is-group:not([hidden])').length === 1);
  assert.match(await page.textContent('.rows .row:not([hidden]) .group-line'), /702/);
  await page.click('[data-quick=low_battery]');
  await page.click('[data-columns]');
  await page.check('[data-column-box=signal_strength]');
  await page.keyboard.press('Escape');
  const text = (p) => p.evaluate(() => document.querySelector('.devices-page').innerText.replace(/[\d.]+\s*(秒|分钟?|s|min)|\n停滞/g, '')); // devices that sent once become stale meanwhile
  const settled = (p) => until(p, () => document.querySelectorAll('.rows .row[data-id]:not([hidden])').length === 1 && document.querySelector('.rows .row[data-id] .cell-firmware')?.textContent === '9.9.9' && document.querySelector('.rows .cell-signal_strength:not([hidden])')?.textContent.includes('-5'));
  await settled(page);
  const before = await text(page);
  await page.reload();
  await settled(page);
  assert.equal(await text(page), before, 'after a reload');
  const other = await open(browser, new URL(page.url()).hash, { lang: 'zh-CN' });
  await settled(other.page);
  assert.equal(await text(other.page), before, 'in another browser');
  await other.context.close();
  await context.close();
});

test('the building is in the address of every page and stays from page to page', async (t) => {
  const { page, context } = await open(browser, '#/overview');
  await until(page, (name) => [...document.querySelectorAll('.topbar select option')].some((o) => o.value === name), 'B栋');
  await page.selectOption('.topbar select', 'B栋');
  await page.selectOption('.fleet select', 'temperature');
  const param = (name) => page.evaluate((n) => new URLSearchParams(location.hash.split('?')[1]).get(n), name);
  assert.deepEqual([await param('b'), await param('map')], ['B栋', 'temperature']);
  await page.reload();
  await until(page, () => document.querySelector('.topbar select')?.value === 'B栋' && document.querySelector('.fleet select')?.value === 'temperature');
  const took = [];
  for (const name of ['alarms', 'devices', 'trends', 'gateways', 'system', 'audit', 'overview', 'devices', 'overview', 'devices']) {
    took.push(await page.evaluate(async (n) => {
      const from = performance.now();
      location.hash = `#/${n}`;
      while (document.querySelector('.nav [aria-current]')?.getAttribute('href') !== `#/${n}`) await new Promise(requestAnimationFrame);
      return performance.now() - from;
    }, name));
    await until(page, (n) => location.hash.startsWith(`#/${n}?`) && new URLSearchParams(location.hash.split('?')[1]).get('b') === 'B栋', name);
  }
  within(t, 'switching to another page', quantile(took, 0.95), 150);
  const { total } = await api(`/api/v1/devices?limit=1&building=${encodeURIComponent('B栋')}`);
  await counted(page, total);
  await page.locator('.rows .place-link').first().click();
  await until(page, () => document.querySelectorAll('.place-title a').length === 4); // all, the building, the floor, and its plan
  await page.locator('.place-title a').first().click();
  await until(page, () => document.querySelectorAll('.place-title a').length === 0);
  assert.equal(await param('b') ?? '', '', 'the way back leads to all buildings');
  await context.close();
});

for (const [lang, pageName] of [['en-US', 'Gateways'], ['zh-CN', '网关']]) {
  test(`the finder finds everything by the keyboard alone (${lang})`, async (t) => {
    const { page, context } = await open(browser, '#/overview', { lang });
    await until(page, (n) => globalThis.iot?.state.fleet.size() >= n, DEVICES);
    const search = async (q) => {
      await page.keyboard.press('Control+k');
      await page.locator('[data-finder]').waitFor();
      await page.keyboard.type(q);
      return page.evaluate(() => globalThis.iot.finder.offers.map((x) => [x.kind, x.title]));
    };
    const offers = await search(pageName);
    assert.deepEqual(offers[0], ['page', pageName]);
    await page.keyboard.press('Enter');
    await until(page, () => location.hash.startsWith('#/gateways'));
    assert.equal((await search(`${HALL} 702`))[0][0], 'room');
    const took = await page.evaluate(() => globalThis.iot.finder.took);
    within(t, `looking through ${DEVICES} devices`, took, 50);
    const option = await page.evaluate(() => document.getElementById(document.querySelector('[data-finder]').getAttribute('aria-activedescendant')).ariaSelected);
    assert.equal(option, 'true');
    await page.keyboard.press('Enter');
    await until(page, () => document.querySelector('[data-place]')?.textContent === '702');
    assert.deepEqual((await search('find_1702'))[0], ['device', 'find_1702']);
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.click('[data-search]');
    await page.keyboard.type('device_00');
    await page.keyboard.press('ArrowUp'); // around to the last: all that were found
    await page.keyboard.press('Enter');
    await until(page, () => document.querySelector('.devices-page input[type=search]')?.value === 'device_00');
    // A dialog keeps its keys.
    await page.keyboard.press('Escape');
    await page.click('[data-columns]');
    await page.keyboard.press('Control+k');
    assert.equal(await page.locator('[data-finder]').count(), 0);
    await context.close();
  });
}

test('the keyboard moves in the table and opens a device', async () => {
  const { page, context } = await open(browser, '#/devices');
  await until(page, (n) => globalThis.iot?.state.fleet.size() >= n && document.querySelectorAll('.rows .row').length > 5, DEVICES);
  const active = () => page.evaluate(() => {
    const grid = document.querySelector('[data-grid]');
    return grid === document.activeElement ? document.getElementById(grid.getAttribute('aria-activedescendant'))?.dataset.id : '';
  });
  const order = await page.evaluate(() => globalThis.iot.devices.order());
  await page.keyboard.press('ArrowDown');
  assert.equal(await active(), order[0]);
  await page.keyboard.press('End');
  assert.equal(await active(), order.at(-1));
  await page.keyboard.press('Home');
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowUp', 'PageDown', 'ArrowDown']) await page.keyboard.press(key);
  const id = await active();
  assert.ok(order.indexOf(id) > 5, id);
  const now = await page.evaluate(() => globalThis.iot.devices);
  await publish('find_1', { temperature: 78.5 }, { location: { building: HALL, floor: 99, room: `99${Date.now() % 1000}` } });
  await until(page, (then) => then !== undefined && globalThis.iot.devices.order().length > 0, now);
  assert.equal(await active(), id, 'the focus stays when rows are drawn again');
  await page.keyboard.press('Enter');
  await page.locator('.device-title', { hasText: id }).waitFor();
  await context.close();
});

test('on a phone every target is large enough, and every page is reached', async () => {
  const { page, context } = await open(browser, '#/overview', { width: 375, height: 812, lang: 'zh-CN' });
  await until(page, (n) => globalThis.iot?.state.fleet.size() >= n, DEVICES);
  const small = () => page.evaluate(() => [...document.querySelectorAll('a, button, input, select, textarea, [role=button], [role=tab]')]
    .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest('.skip, .sr-only'))
    .map((e) => [e, e.getBoundingClientRect()])
    .filter(([, r]) => r.width > 0 && (r.width < 23.9 || r.height < 23.9))
    .map(([e, r]) => `${location.hash}: ${e.outerHTML.slice(0, 90)} is ${r.width.toFixed(0)} × ${r.height.toFixed(0)}`));
  const found = [];
  await page.click('.nav-more');
  const pages = await page.evaluate(() => [...document.querySelectorAll('.nav a')].filter((a) => a.checkVisibility()).map((a) => a.getAttribute('href')));
  assert.ok(pages.includes('#/system') && pages.includes('#/overview'), pages.join());
  found.push(...await small());
  await page.keyboard.press('Escape');
  const dialogs = { devices: ['[data-columns]'], overview: ['[data-views]', '[data-search]', '.bar-end .button:last-child'], 'device/find_1': ['[data-rename]', '[data-remove]'], shiftnotes: ['[data-write]'] };
  for (const name of [...pages.map((p) => p.slice(2)), 'device/find_1', 'trends?devices=find_1,find_2', 'alarms?tab=journal', 'devices?group=room']) {
    await page.evaluate((n) => (location.hash = `#/${n}`), name);
    await until(page, (n) => location.hash.startsWith(`#/${n.split('?')[0]}`) && document.querySelector('.page').children.length > 1, name);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    found.push(...await small());
    for (const button of dialogs[name] ?? []) {
      await page.locator(button).click();
      await page.locator('dialog[open]').waitFor();
      found.push(...await small());
      await page.keyboard.press('Escape');
      await page.locator('dialog').waitFor({ state: 'detached' });
    }
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} scrolls sideways`);
  }
  assert.deepEqual([...new Set(found)], []);
  await context.close();
});

test('on paper there is no navigation, and the head says place, filter and time', async () => {
  const { page, context } = await open(browser, `#/devices?b=${encodeURIComponent(HALL)}&floor=7`, { theme: 'dark' });
  await counted(page, 1);
  await page.emulateMedia({ media: 'print' });
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  const paper = await page.evaluate(() => ({
    head: document.querySelector('.print-head').innerText,
    shown: ['.nav', '.topbar', '.table-tools'].filter((s) => document.querySelector(s)?.checkVisibility()),
    colours: [getComputedStyle(document.body).color, getComputedStyle(document.querySelector('.panel')).backgroundColor],
    clipped: [...document.querySelectorAll('.rows, .scroller, .page')].filter((e) => getComputedStyle(e).overflow !== 'visible').length,
  }));
  assert.match(paper.head, /Devices/);
  assert.match(paper.head, new RegExp(`${HALL}.*7F.*UTC`));
  assert.deepEqual(paper.shown, []);
  assert.deepEqual(paper.colours, ['rgb(0, 0, 0)', 'rgb(255, 255, 255)']);
  assert.equal(paper.clipped, 0);
  await context.close();
});
