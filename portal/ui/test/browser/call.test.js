// What calls somebody who looks away, in a real browser: title and icon of a hidden tab, tones in one tab of several.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shot, until, within } from './page.js';
import { base, eventually, FEW, startPlant } from './plant.js';

const ON = { call: JSON.stringify({ sound: true, volume: 0.2 }) };
let plant;
let browser;
let next = 0;

before(async () => {
  plant = await startPlant({ devices: FEW });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await plant?.close();
});

/** raise publishes a normal reading and one over the limit, and gives the device. */
async function raise() {
  const id = `call_${++next}`;
  await plant.publish(id, { temperature: 20 }, { timestamp: Date.now() - 1000 });
  await plant.publish(id, { temperature: 99.9 });
  return id;
}

/** hide puts the page out of sight: headless browsers show every tab. */
const hide = (page) => page.evaluate(() => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
  document.dispatchEvent(new Event('visibilitychange'));
});

const ready = (page) => until(page, () => globalThis.iot?.state?.plant.liveness().state === 'live' && globalThis.iot.state.alarms.version() > 0);

for (const lang of ['en-US', 'zh-CN']) {
  test(`a new alarm shows in the title of a hidden tab (${lang})`, async (t) => {
    const { page, context, seen } = await open(browser, '#/system', { lang });
    t.after(() => context.close());
    await ready(page);
    await hide(page);
    await page.evaluate(() => {
      globalThis.arrived = 0;
      globalThis.shown = 0;
      const note = () => {
        const alarm = [...globalThis.iot.state.alarms.all.values()].find((a) => a.device_id === globalThis.wanted && a.status === 'active');
        if (alarm && !globalThis.arrived) globalThis.arrived = performance.now();
        const n = globalThis.iot.state.alarms.countBySeverity((a) => a.status === 'active' && a.state !== 'normal' && !a.shelved && !a.suppressed && !a.historical && !a.out_of_service)[alarm?.severity] ?? 0;
        const mark = { critical: '◆', high: '▲', medium: '■', low: '●' }[alarm?.severity];
        if (alarm && /^[◆▲■●]\d+ /.test(document.title) && (document.title.startsWith(`${mark}${n} `) || !document.title.startsWith(mark))) globalThis.shown ||= performance.now();
      };
      setInterval(note, 10);
    });
    await page.evaluate((n) => (globalThis.wanted = `call_${n}`), next + 1);
    await raise();
    await until(page, () => globalThis.shown > 0);
    within(t, 'from the alarm to the title', await page.evaluate(() => globalThis.shown - globalThis.arrived), 1000);
    const icon = await page.getAttribute('link[rel=icon]', 'href');
    assert.match(icon, /^data:image\/svg/, 'the icon is drawn to match');
    assert.deepEqual(seen.errors, []);
  });
}

test('tones are off until somebody switches them on', async (t) => {
  const { page, context } = await open(browser, '#/overview');
  t.after(() => context.close());
  await ready(page);
  assert.equal(await page.getAttribute('[data-call]', 'data-mode'), 'off');
  await page.click('[data-call]');
  assert.equal(await page.isChecked('input[name=sound]'), false);
  await page.check('input[name=sound]');
  await until(page, () => ['on', 'calling'].includes(document.querySelector('[data-call]').dataset.mode));
  await page.click('[data-test=critical]');
  await page.click('[data-silence]');
  await until(page, () => document.querySelector('[data-call]').dataset.mode === 'silent');
  const before = await page.evaluate(() => globalThis.iot.sounds ?? 0); // alarms of the simulator may have sounded
  await shot(page, 'call-dialog');
  await raise();
  await until(page, () => [...globalThis.iot.state.alarms.all.values()].some((a) => a.device_id.startsWith('call_') && a.event === 'raised'));
  assert.equal(await page.evaluate(() => globalThis.iot.sounds ?? 0), before, 'it is silenced');
  await page.click('[data-silence]');
  await until(page, () => document.querySelector('[data-call]').dataset.mode !== 'silent');
});

/** record keeps what a page makes its browser sound and show. */
const record = (context) => context.addInitScript(() => {
  globalThis.audios = [];
  globalThis.ran = 0; // times that one began to run
  globalThis.told = [];
  const { AudioContext: Audio, Notification: Real } = globalThis;
  globalThis.AudioContext = class extends Audio {
    constructor() {
      super();
      globalThis.audios.push(this);
      this.addEventListener('statechange', () => (globalThis.ran += this.state === 'running'));
    }
  };
  globalThis.Notification = class {
    static get permission() {
      return Real.permission;
    }
    constructor(title, options) {
      globalThis.told.push([title, options.body, options.lang]);
    }
    close() {}
  };
});

test('one of three tabs sounds, and none once it is seen in another', async (t) => {
  const { page: first, context } = await open(browser, 'blank.html', { lang: 'zh-CN', storage: ON });
  t.after(() => context.close());
  await record(context);
  const tabs = [first, await context.newPage(), await context.newPage()];
  for (const [i, page] of tabs.entries()) await page.goto(`${base}/#/${i === 0 ? 'overview' : 'system'}`);
  for (const page of tabs) {
    await ready(page);
    await page.mouse.click(700, 2);
    await until(page, () => ['on', 'calling'].includes(document.querySelector('[data-call]').dataset.mode));
  }
  const every = (f) => Promise.all(tabs.map((p) => p.evaluate(f)));
  const running = () => every(() => globalThis.audios.filter((a) => a.state === 'running').length);
  await eventually('one runs', async () => String((await running()).sort()) === '0,0,1');
  await raise();
  const sounds = () => every(() => globalThis.iot.sounds ?? 0);
  const all = await eventually('it sounds again, as nobody has seen it', async () => {
    const now = await sounds();
    return now.some((n) => n >= 2) && now;
  });
  assert.equal(all.filter((n) => n > 0).length, 1, `one tab sounds: ${all}`);
  const speaks = all.findIndex((n) => n > 0);
  assert.deepEqual((await running()).map(Boolean), all.map((n) => n > 0), 'and no other runs');
  const quiet = tabs[all.indexOf(0)];
  await quiet.keyboard.press('Shift');
  for (const page of tabs) await until(page, () => document.querySelector('[data-call]').dataset.mode === 'on');

  // Silence in one tab is silence in all. A test sounds where it is asked for, and then that tab rests again.
  await quiet.click('[data-call]');
  assert.match(await quiet.textContent('.call-dialog'), /提示音/);
  const ran = await quiet.evaluate(() => globalThis.ran);
  await quiet.click('[data-test=critical]');
  await until(quiet, (before) => globalThis.ran > before, ran);
  await eventually('it rests again', async () => String((await running()).sort()) === '0,0,1');
  await quiet.click('[data-silence]');
  for (const page of tabs) await until(page, () => document.querySelector('[data-call]').dataset.mode === 'silent');
  await quiet.click('[data-silence]');

  // The tab that sounds is closed: another takes over.
  await tabs[speaks].close();
  tabs.splice(speaks, 1);
  await eventually('another runs', async () => String((await running()).sort()) === '0,1');
});

test('notifications are off until switched on, in the reader’s language, and shown by one tab', async (t) => {
  const { page: first, context } = await open(browser, 'blank.html', { lang: 'zh-CN' });
  t.after(() => context.close());
  await context.grantPermissions(['notifications'], { origin: base });
  await record(context);
  const tabs = [first, await context.newPage(), await context.newPage()];
  for (const page of tabs) {
    await page.goto(`${base}/#/overview`);
    await ready(page);
  }
  const told = async () => (await Promise.all(tabs.map((p) => p.evaluate(() => globalThis.told)))).flat();
  const arrived = async (id) => {
    for (const page of tabs) await until(page, (want) => [...globalThis.iot.state.alarms.all.values()].some((a) => a.device_id === want), id);
  };
  const before = await raise();
  await arrived(before);
  assert.deepEqual(await told(), []);
  await first.click('[data-call]');
  assert.equal(await first.isChecked('input[name=notify]'), false);
  await first.check('input[name=notify]');
  await first.keyboard.press('Escape');
  for (const page of tabs) {
    await until(page, () => JSON.parse(localStorage.getItem('call')).notify);
    await hide(page);
  }
  await first.waitForFunction(async () => (await navigator.locks.query()).held.some((l) => l.name === 'iot-notify'));
  const id = await raise();
  await arrived(id);
  const shown = (await told()).filter(([, body]) => body.startsWith(`${id} `));
  assert.equal(shown.length, 1, JSON.stringify(await told()));
  const [title, body, lang] = shown[0];
  t.diagnostic(`${title} | ${body}`);
  assert.match(title, /^▲ 温度/);
  assert.match(body, new RegExp(`^${id} · call栋`));
  assert.equal(lang, 'zh-CN');
  assert.doesNotMatch(`${title} ${body}`.replaceAll('call', ''), /[A-Za-z]{4}/);
});
