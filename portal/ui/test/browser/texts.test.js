// What alarms say, for every kind of rule: the same in the list, the drawer, on the device's page and in the
// files, in both languages, and never in a unit that is not the alarm's own.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, open, shot, until } from './page.js';
import { api, base, eventually, publish, startPlant } from './plant.js';

const root = new URL('../../../../', import.meta.url).pathname;
const PLACE = { building: '文栋', floor: 1, room: '101' };
const LANGUAGES = ['en-US', 'zh-CN'];

/** A rule of each kind that the example file has, with times that a test can wait for. */
const RULES = `
rules:
  - {id: text_high, kind: high, parameter: temperature, limit: 75, deadband: 3, severity: critical, where: {device: "text_*"}}
  - {id: text_high_high, kind: high_high, parameter: temperature, limit: 95, severity: critical, where: {device: "text_*"}}
  - {id: text_low, kind: low, parameter: flow, limit: 1.25, severity: critical, where: {device: "text_*"}}
  - {id: text_rate, kind: rate, parameter: temperature, limit: 5, per: minute, window: 4s, severity: critical, where: {device: text_rate}}
  - {id: text_stuck, kind: stuck, parameter: pressure, for: 10s, severity: critical, where: {device: text_stuck}}
  - {id: text_deviation, kind: deviation, parameter: co2, limit: 100, sensors: 3, severity: critical, where: {device: "text_*"}}
  - {id: text_switch, kind: switch, parameter: door, is: "on", severity: critical, where: {device: "text_*"}}
  - id: text_both
    all: [{kind: switch, is: "on"}, {kind: low, parameter: current, limit: 0.3}]
    severity: critical
    where: {device: "text_*"}
  - {id: text_battery, kind: battery_low, limit: 20, severity: critical, where: {device: "text_*"}}
  - {id: text_signal, kind: signal_weak, limit: -85, severity: critical, where: {device: "text_*"}}
  - {id: device_offline, kind: offline, severity: critical}
`;

/** What each device sends, by the time in s. */
const DEVICES = {
  text_high: () => [{ temperature: 80.4 }],
  text_high_high: () => [{ temperature: 99 }],
  text_low: () => [{ flow: { value: 0.98, unit: 'm³/h' } }],
  text_rate: (s) => [{ temperature: 60 - s }],
  text_stuck: () => [{ pressure: 1013.2 }],
  text_deviation: () => [{ co2: 800 }],
  text_room_1: () => [{ co2: 500 }],
  text_room_2: () => [{ co2: 510 }],
  text_room_3: () => [{ co2: 520 }],
  text_switch: () => [{ door: { value: true } }],
  text_both: () => [{ switch_status: { value: true }, current: 0.12 }],
  text_battery: () => [{ humidity: 50 }, { battery: 14 }],
  text_signal: () => [{ humidity: 50 }, { signal_strength: -91 }],
  // It falls silent with an alarm that holds.
  text_silent: (s) => (s < 5 ? [{ temperature: 81 }, { interval_s: 1 }] : null),
};

/** The kind of the alarm that each rule is expected to raise, and on which device. */
const EXPECTED = {
  text_high: 'high', text_high_high: 'high_high', text_low: 'low', text_rate: 'rate', text_stuck: 'stuck', text_deviation: 'deviation', text_switch: 'switch',
  text_both: 'switch', text_battery: 'battery_low', text_signal: 'signal_weak',
};

let plant;
let browser;
let dir;
let beat;
let alarms; // by type, of the device of that name; device_offline is that of text_silent

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ui-texts-'));
  process.env.CORE_RULES_FILE = join(dir, 'rules.yaml');
  await writeFile(process.env.CORE_RULES_FILE, RULES);
  plant = await startPlant({ devices: 300 }); // what an alarm says does not depend on how many others there are
  browser = await launch();
  const started = Date.now();
  const send = async () => {
    for (const [id, values] of Object.entries(DEVICES)) {
      const [sensors, info] = values((Date.now() - started) / 1000) ?? [];
      if (sensors) await publish(id, sensors, { location: PLACE, device_info: { model: 'TEST-PROBE', firmware: '1.0.0', battery: 90, signal_strength: -50, ...info } });
    }
  };
  await send(); // the first one connects
  beat = setInterval(send, 500);
  await eventually(() => `missing: ${Object.keys(alarms ?? {}).filter((k) => !alarms[k])}`, async () => {
    const { items } = await api(`/api/v1/alerts?building=${encodeURIComponent(PLACE.building)}&status=active&limit=1000`);
    const of = (device, type) => items.find((a) => a.device_id === device && a.alert_type === type);
    alarms = Object.fromEntries(Object.keys(EXPECTED).map((type) => [type, of(type, type)]));
    alarms.device_offline = of('text_silent', 'device_offline');
    alarms.silent = of('text_silent', 'text_high');
    alarms.explained = of('text_high_high', 'text_high');
    return Object.values(alarms).every(Boolean) && alarms.silent.uncertain;
  });
}, { timeout: 600_000 });

after(async () => {
  clearInterval(beat);
  await browser?.close();
  await plant?.close();
  delete process.env.CORE_RULES_FILE;
  if (dir) await rm(dir, { recursive: true, force: true });
}, { timeout: 60_000 });

/** rowsOf parses a file for spreadsheets. */
function rowsOf(text) {
  const [head, ...rows] = text.replace(/^\uFEFF/, '').trim().split('\r\n').map((line) => [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map((m) => m[1].replace(/^"|"$/g, '').replaceAll('""', '"')));
  return rows.map((r) => Object.fromEntries(head.map((name, i) => [name, r[i]])));
}

/** shown are the alarms that operators are shown: the others are put aside. */
const shown = () => Object.entries(alarms).filter(([, a]) => !a.suppressed && !a.uncertain);

test('an alarm of each kind of the example file is raised with its facts', async () => {
  const example = await readFile(join(root, 'deploy/rules/rules.example.yaml'), 'utf8');
  const kinds = new Set([...example.matchAll(/kind: (\w+)/g)].map((m) => m[1]));
  const raised = new Set(Object.values(alarms).map((a) => (a.kind === 'device_offline' ? 'offline' : a.kind)));
  kinds.delete('anomaly'); // the detector learns for a day first; anomaly.test.js has its alarms
  assert.ok(kinds.size >= 9);
  for (const kind of kinds) assert.ok(raised.has(kind), `no alarm of kind ${kind}`);
  for (const [type, kind] of Object.entries(EXPECTED)) assert.equal(alarms[type].kind, kind, type);
  assert.equal(alarms.text_rate.per, 'minute');
  assert.equal(alarms.text_deviation.room_value, 510);
  assert.equal(alarms.text_both.other.threshold.parameter, 'current');
});

test('one cause is one alarm', async () => {
  assert.equal(alarms.explained.suppressed.by_alarm, alarms.text_high_high.alert_id);
  assert.equal(alarms.silent.status, 'active');
  const { items } = await api(`/api/v1/alerts?building=${encodeURIComponent(PLACE.building)}&uncertain=true`);
  assert.ok(items.some((a) => a.alert_id === alarms.silent.alert_id));
  assert.deepEqual([...new Set(items.map((a) => a.device_id))], ['text_silent']);
});

for (const lang of LANGUAGES) {
  test(`an alarm says the same everywhere (${lang})`, async (t) => {
    const zh = lang.startsWith('zh');
    const { page, context, seen } = await open(browser, '#/alarms', { lang });
    t.after(() => context.close());
    await until(page, (ids) => ids.every((id) => document.querySelector(`tr[data-alert="${id}"]`)), shown().map(([, a]) => a.alert_id));
    const listed = {};
    for (const [type, a] of shown()) listed[type] = await page.locator(`tr[data-alert="${a.alert_id}"] .col-what .link`).textContent();
    await shot(page, `texts-list-${lang}`);
    for (const [type, a] of shown()) {
      const text = listed[type];
      t.diagnostic(`${type}: ${text}`);
      if (a.unit) assert.ok(text.includes(a.unit), `${text}: want ${a.unit}`);
      if (a.kind === 'rate') assert.doesNotMatch(text, /-?\d+(\.\d+)?\s°C > /);
      if (zh) assert.doesNotMatch(text, /[A-Za-z]{4,}/, 'Chinese is Chinese');
      assert.doesNotMatch(text, /undefined|NaN|\{|–/);
    }

    // The drawer and the device's page.
    for (const [type, a] of shown()) {
      await page.goto(`${base}/#/alarms?alert=${a.alert_id}`);
      await until(page, (want) => document.querySelector('.drawer [data-what]')?.textContent === want, listed[type]);
      await page.goto(`${base}/#/device/${a.device_id}`);
      await until(page, ([id, want]) => document.querySelector(`a.attention-what[href*="${id}"]`)?.textContent === want, [a.alert_id, listed[type]]);
    }

    // The journal's file is the portal's, in the reader's language and time zone; the list's is the page's own.
    await page.goto(`${base}/#/alarms?tab=journal&q=text_`);
    await until(page, () => document.querySelector('.alarm-row') && document.querySelector('[data-file]')?.getAttribute('href')?.includes('zone='));
    const href = await page.locator('[data-file]').first().getAttribute('href');
    const [id, message] = zh ? ['告警编号', '说明'] : ['alert_id', 'message'];
    const said = new Map(rowsOf(await (await fetch(base + href)).text()).map((r) => [r[id], r[message]]));
    for (const [type, a] of shown()) assert.equal(said.get(a.alert_id), listed[type], `the portal's file: ${type}`);
    await page.goto(`${base}/#/alarms`);
    await page.locator('.alarm-row').first().waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('.alarm-panel .panel-head button', { hasText: 'CSV' }).click()]);
    const own = new Map(rowsOf(await readFile(await download.path(), 'utf8')).map((r) => [r.alert_id, r.message]));
    for (const [type, a] of shown()) assert.equal(own.get(a.alert_id), listed[type], `the page's file: ${type}`);
    assert.deepEqual(seen.errors, []);
  });
}

test('limits are drawn only among the values that they limit', async (t) => {
  const { page, context } = await open(browser, '#/alarms');
  t.after(() => context.close());
  const notes = {
    text_high: /limit and deadband/, text_rate: /how fast/, text_stuck: /stays the same/, text_deviation: /room’s value/,
  };
  for (const [type, note] of Object.entries(notes)) {
    await page.goto(`${base}/#/alarms?alert=${alarms[type].alert_id}`);
    await until(page, (pattern) => new RegExp(pattern).test(document.querySelector('.drawer [data-explained]')?.textContent), note.source);
    await shot(page, `texts-drawer-${type}`);
  }
});

test('the alarm of a silent device is shown as uncertain', async (t) => {
  const { page, context } = await open(browser, `#/alarms?alert=${alarms.silent.alert_id}`);
  t.after(() => context.close());
  await until(page, () => document.querySelector('.drawer .is-uncertain')?.textContent.includes('uncertain: the device is offline'));
  assert.equal(await page.locator(`tr[data-alert="${alarms.silent.alert_id}"]`).count(), 0, 'it is not among those that call');
});
