// Rules in a real browser: limits as the portal gives them, the page of rules, and dry runs, over a plant;
// what the plant cannot show (core away, a busy core) with answers that the test makes up.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, until } from './page.js';
import { api, eventually, FEW, publish, startPlant } from './plant.js';

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

async function show(t, hash, options) {
  const { page, context, seen } = await open(browser, hash, options);
  t.after(() => context.close());
  return { page, seen };
}

test('gauges draw the limits that core gives, of a device that never had an alarm', async (t) => {
  await publish('rules_001', { temperature: 25, humidity: 40, current: 2 });
  await eventually('a rule of the device', async () => (await api('/api/v1/rules?device=rules_001')).rules.length > 0);
  const { rules } = await api('/api/v1/rules?device=rules_001');
  const { page, seen } = await show(t, '#/device/rules_001');
  await until(page, () => document.querySelectorAll('[data-limit]').length > 0);
  const drawn = await page.$$eval('.gauge[data-sensor]', (all) => all.map((g) => [g.dataset.sensor, [...g.querySelectorAll('[data-limit]')].map((l) => l.dataset.limit).sort()]));
  assert.ok(drawn.length >= 3);
  for (const [sensor, limits] of drawn) {
    assert.deepEqual(limits, rules.filter((r) => r.parameter === sensor && ['high', 'low', 'high_high', 'low_low'].includes(r.kind)).map((r) => `${r.operator}${r.limit}`).sort(), sensor);
  }
  const hot = rules.find((r) => r.id === 'temperature_high');
  const cold = rules.find((r) => r.id === 'temperature_low');
  const near = Math.min(hot.limit - 25, 25 - cold.limit);
  assert.match(await page.textContent('.gauge[data-sensor=temperature] .gauge-next'), new RegExp(`^${near}(\\.0)?\\u2009°C to the limit$`));
  assert.deepEqual((await page.$$eval('.rule-row', (all) => all.map((r) => r.dataset.rule))).sort(), rules.filter((r) => ['temperature', 'humidity', 'current'].includes(r.parameter)).map((r) => r.id).sort());
  assert.match(await page.textContent('.rule-row[data-rule=temperature_high]'), new RegExp(`version ${hot.version.slice(0, 6)}`));
  assert.deepEqual(seen.errors, []);
});

for (const [lang, width] of [['en-US', 1440], ['zh-CN', 375]]) {
  test(`every rule says what it does, the noisiest first (${lang}, ${width})`, async (t) => {
    const { page, seen } = await show(t, '#/overview', { lang, width });
    await page.waitForSelector('.overview');
    await page.keyboard.press('g');
    await page.keyboard.press('r');
    await until(page, () => document.querySelectorAll('.rules-table tbody tr[data-rule]').length > 0 && location.hash === '#/rules');
    const { rules } = await api('/api/v1/rules');
    const ids = await page.$$eval('tr[data-rule]', (all) => all.map((r) => r.dataset.rule));
    assert.deepEqual([...ids].sort(), rules.map((r) => r.id).sort());
    const raised = await page.$$eval('tr[data-rule]', (all) => all.map((r) => Number(r.cells[3].textContent.replaceAll(',', ''))));
    assert.deepEqual(raised, [...raised].sort((a, b) => b - a));
    const says = await page.textContent('tr[data-rule=temperature_high] .col-says');
    assert.match(says, lang === 'zh-CN' ? /^温度高于 80/ : /^Temperature above 80/);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
    await page.fill('[data-rule-filter]', 'humidity_high');
    await until(page, () => document.querySelectorAll('tr[data-rule]').length === 1);
    await page.reload();
    await until(page, () => document.querySelectorAll('tr[data-rule]').length === 1);
    assert.deepEqual(seen.errors, []);
  });
}

test('a dry run compares what a rule did with what it would have done', async (t) => {
  await publish('rules_002', { temperature: 95 });
  await publish('rules_003', { temperature: 85 });
  await eventually('two alarms in the journal', async () => (await api('/api/v1/journal?rule=temperature_high&q=rules_00')).total >= 2);
  const { page } = await show(t, '#/rules/temperature_high');
  await page.waitForSelector('[data-open=temperature_high] [data-figure=limit]');
  await until(page, () => document.querySelector('[data-figure=limit]').previousSibling.textContent.includes('°C'));
  await page.fill('[data-figure=limit]', '90');
  await page.selectOption('[data-hours]', '1');
  await page.click('[data-run]');
  await page.waitForSelector('[data-result]');
  const [, before, after, change] = /^(\d+) → (\d+) alarms, [−±](\d+)$/.exec(await page.textContent('[data-result]')).map(Number);
  assert.equal(before - after, change);
  assert.ok(change >= 1, 'one of the two devices is below the new limit');
  const listed = (side) => page.$$eval(`[data-side=${side}] li a`, (all) => all.map((a) => a.title));
  const [was, would] = [await listed('before'), await listed('after')];
  assert.ok(was.includes('rules_002') && was.includes('rules_003'));
  assert.ok(would.includes('rules_002') && !would.includes('rules_003'));

  await page.fill('[data-figure=deadband]', '-1');
  await page.click('[data-run]');
  await until(page, () => document.querySelector('[data-figure=deadband]').getAttribute('aria-invalid') === 'true');
  await page.click('[data-mode=text]');
  await page.fill('[data-yaml]', '- id: temperature_high\n  kind: high\n  parameter: temperature\n  limit: warm\n');
  await page.click('[data-run]');
  await page.waitForSelector('.rule-problems li');
  assert.match(await page.textContent('.rule-problems li'), /Line 4: limit "warm": want a number/);
  assert.equal(await page.evaluate(() => getSelection().toString() || document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)), '  limit: warm');
  const href = await page.getAttribute('[data-journal]', 'href');
  assert.equal(href, '#/alarms?tab=journal&rule=temperature_high');
});

test('a page without core says so and keeps the last rules', async (t) => {
  const { page } = await show(t, '#/rules');
  await page.waitForSelector('tr[data-rule]');
  const known = await api('/api/v1/rules');
  await page.route('**/api/v1/rules', (route) => route.fulfill({ json: { ...known, stale: true, age_ms: 90_000 } }));
  await page.route('**/api/v1/rules/dryrun', (route) => route.fulfill({ status: 409, json: { error: { code: 'dry_run_busy', message: 'another dry run is going on' } } }));
  await page.evaluate(() => (location.hash = '#/rules/temperature_high'));
  await until(page, () => /Core cannot be reached; these are the rules of 90\s+s ago/.test(document.querySelector('[data-rules-note]').textContent));
  await page.click('[data-run]');
  await until(page, () => document.querySelector('[data-run-state]').textContent.includes('another dry run is going on'));
  await page.route('**/api/v1/rules', (route) => route.fulfill({ status: 503, json: { error: { code: 'core_unavailable', message: 'core is unreachable' } } }));
  await page.evaluate(() => (location.hash = '#/rules'));
  await until(page, () => document.querySelector('[data-rules-note]').textContent.includes('core is unreachable'));
});

test('what two persons agree on is in force, and taking it back restores the rule of the settings', async (t) => {
  const { page, seen } = await show(t, '#/rules/temperature_high');
  await page.waitForSelector('[data-figure=limit]');
  const ruleNow = async () => (await api('/api/v1/rules')).rules.find((r) => r.id === 'temperature_high');
  const first = await ruleNow();
  assert.equal(first.limit, 80);
  await page.fill('[data-figure=limit]', '88');
  const lines = (where) => page.$$eval(`${where} .diff :is(del, ins)`, (all) => all.map((e) => `${e.tagName} ${e.textContent.trim()}`));
  const expected = await lines('.rule-propose');
  assert.ok(expected.includes('DEL limit: 80') && expected.includes('INS limit: 88'));
  await page.fill('.rule-propose [name=reason]', 'summer');
  await page.fill('.rule-propose [name=by]', 'Li');
  await page.click('[data-propose]');
  await page.waitForSelector('[data-pending] [data-change]');
  assert.deepEqual(await lines('[data-pending]'), expected, 'as it was shown before');

  await approve(page, 'Wang');
  await until(page, () => document.querySelector('[data-figure=limit]').value === '88' && document.querySelector('[data-back]'));
  assert.deepEqual([(await ruleNow()).limit, (await ruleNow()).origin], [88, 'page']);
  await publish('rules_004', { temperature: 85 });
  await publish('rules_004', { temperature: 85, humidity: 95 });
  await publish('rules_005', { temperature: 90 });
  const raised = async (id) => (await api(`/api/v1/journal?device_id=${id}`)).items.map((a) => a.rule);
  await eventually('an alarm of each rule', async () => (await raised('rules_004')).includes('humidity_high') && (await raised('rules_005')).includes('temperature_high'));
  assert.deepEqual(await raised('rules_004'), ['humidity_high'], '85 is below the new limit');

  await page.click('[data-tab=versions]');
  await page.waitForSelector('.rule-versions [data-state=in_force]');
  assert.match(await page.textContent('.rule-versions [data-state=in_force]'), /Li .* summerApproved: Wang/);
  await page.click('[data-back]');
  await page.fill('dialog [name=reason]', 'autumn');
  await page.fill('dialog [name=by]', 'Li');
  await page.click('dialog button[type=submit]');
  await page.waitForSelector('[data-pending] [data-change]');
  await approve(page, 'Wang');
  await until(page, () => document.querySelector('[data-figure=limit]').value === '80' && !document.querySelector('[data-back]'));
  assert.deepEqual({ ...(await ruleNow()), day: 0, versions: 0, devices: 0, sample: '' }, { ...first, day: 0, versions: 0, devices: 0, sample: '' });
  assert.deepEqual(seen.errors, []);
});

/** approve approves what waits, in a name. */
async function approve(page, by) {
  await page.click('[data-pending] [data-approve]');
  await page.fill('dialog [name=by]', by);
  await page.click('dialog button[type=submit]');
}
