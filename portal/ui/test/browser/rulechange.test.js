// Changing a rule in a real browser: figures, guides and text, proposals, approvals and versions, with a portal that
// keeps rules and their changes in memory.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { until } from './page.js';
import { ruleOf, rulePortal } from './rulesstandin.js';

let portal;
let state;

before(async () => {
  portal = await rulePortal();
  state = portal.state;
});

after(() => portal?.close());

function open(t, hash = '#/rules/temperature_high', options = {}) {
  portal.fresh();
  return portal.open(t, hash, options);
}

const sent = (path) => state.requests.filter(([method, p]) => method === 'POST' && p === path).map(([, , body]) => body);
const figure = (page, name) => page.inputValue(`[data-figure=${name}]`);
const differs = (page, n) => until(page, (want) => document.querySelector('[data-differs]').textContent.match(/\d+/)?.[0] === String(want), n);

async function say(page, reason, by) {
  await page.fill('.rule-propose [name=reason]', reason);
  await page.fill('.rule-propose [name=by]', by);
  await page.click('[data-propose]');
}

/** decide approves or withdraws what waits, in a name. */
async function decide(page, verb, by, note = '') {
  await page.click(`[data-pending] [data-${verb}]`);
  await page.fill('dialog [name=by]', by);
  await page.fill('dialog [name=note]', note);
  await page.click('dialog button[type=submit]');
}

for (const [lang, width] of [['en-US', 1440], ['zh-CN', 375]]) {
  test(`a rule is changed by its figures, tried, proposed, and approved by a second person (${lang}, ${width})`, async (t) => {
    const page = await open(t, undefined, { lang, width });
    await page.fill('[data-figure=limit]', '78.5');
    await differs(page, 1);
    assert.deepEqual(await page.$$eval('.rule-propose .diff del, .rule-propose .diff ins', (all) => all.map((e) => e.textContent.trim())), ['limit: 75', 'limit: 78.5']);
    await page.click('[data-propose]');
    await until(page, () => document.activeElement.name === 'reason');
    assert.equal(state.changes.length, 0, 'not without a reason');
    await page.click('[data-run]');
    await page.waitForSelector('.rule-propose [data-trial=yes]');
    await page.fill('[data-figure=limit]', '79');
    await page.waitForSelector('.rule-propose [data-trial=no]');
    assert.notEqual(await page.textContent('[data-run-state]'), '', 'it was of another text');
    await page.fill('[data-figure=limit]', '78.5');
    await page.waitForSelector('.rule-propose [data-trial=yes]');
    assert.equal(await page.textContent('[data-run-state]'), '');
    await say(page, '夏季误报多', '李工');
    await page.waitForSelector('[data-pending] [data-change]');
    const [body] = sent('/api/v1/rules/changes');
    const { change_id: id, ...said } = body;
    assert.match(id, /^c-/);
    assert.deepEqual(said, { rule: 'temperature_high', change: { limit: 78.5 }, reason: '夏季误报多', by: '李工', if_version: 'v1', trial: { hours: 24, before: 253, after: 14 } });
    assert.equal(await figure(page, 'limit'), '75', 'what is in force');
    assert.match(await page.textContent('[data-pending]'), lang === 'zh-CN' ? /1 项变更待批准.*李工.*夏季误报多.*试运行 24.小时：告警 253 → 14/ : /approval: 1.*李工.*夏季误报多.*24.h: 253 → 14 alarms/);

    await page.click('[data-pending] [data-approve]');
    assert.equal(await page.inputValue('dialog [name=by]'), '李工');
    assert.ok(await page.isDisabled('dialog button[type=submit]'), 'nobody approves what is his own');
    assert.match(await page.textContent('dialog .rule-gap'), lang === 'zh-CN' ? /另一人/ : /second person/);
    await page.fill('dialog [name=by]', '王工');
    await page.click('dialog button[type=submit]');
    await until(page, () => document.querySelector('[data-pending]').hidden && document.querySelector('[data-figure=limit]').value === '78.5');
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
  });
}

test('guides and form say the same: by mouse, by keys, by typing', async (t) => {
  const page = await open(t);
  const guide = (name) => page.locator(`[data-guide=${name}]`);
  const says = (name) => guide(name).evaluate((e) => [e.getAttribute('role'), Number(e.getAttribute('aria-valuenow')), e.getAttribute('aria-valuetext')]);
  await page.waitForSelector('[data-guide=limit][aria-valuenow]');
  assert.deepEqual(await says('limit'), ['slider', 75, '75.00']);
  await guide('limit').focus();
  await page.keyboard.press('ArrowUp');
  assert.equal(await figure(page, 'limit'), '75.01', 'one step of the decimals');
  await page.keyboard.press('PageDown');
  assert.equal(await figure(page, 'limit'), '74.91');
  await page.fill('[data-figure=limit]', '70');
  await until(page, () => document.querySelector('[data-guide=limit]').getAttribute('aria-valuenow') === '70');
  assert.deepEqual((await says('deadband')).slice(1, 2), [67], 'where it clears moves along');

  const before = await guide('limit').boundingBox();
  await page.mouse.move(before.x + before.width / 2, before.y + before.height / 2);
  await page.mouse.down();
  await page.mouse.move(before.x + before.width / 2, before.y + before.height / 2 - 20, { steps: 4 });
  await page.mouse.up();
  const dragged = Number(await figure(page, 'limit'));
  assert.ok(dragged > 70 && dragged < 90, `${dragged} is higher`);
  await until(page, (v) => document.querySelector('[data-guide=limit]').getAttribute('aria-valuenow') === String(v), dragged);

  await guide('deadband').focus();
  for (let i = 0; i < 5; i++) await page.keyboard.press('PageDown');
  assert.equal(await figure(page, 'deadband'), '3.5', 'further below the limit');
  for (let i = 0; i < 50; i++) await page.keyboard.press('PageUp');
  assert.equal(await figure(page, 'deadband'), '0', 'not beyond the limit');

  await guide('on_delay').focus();
  await page.keyboard.press('ArrowRight');
  assert.equal(await figure(page, 'on_delay'), '15');
  assert.match((await says('on_delay'))[2], /^15.s$/);
  const track = await page.locator('.delay-track').last().boundingBox();
  const off = await guide('off_delay').boundingBox();
  await page.mouse.move(off.x + 12, off.y + 12);
  await page.mouse.down();
  await page.mouse.move(track.x + track.width + 50, off.y + 12, { steps: 4 });
  await page.mouse.up();
  assert.equal(await figure(page, 'off_delay'), '86400', 'at most a day');
  await page.click('[data-discard]');
  assert.deepEqual(await Promise.all(['limit', 'deadband', 'on_delay', 'off_delay'].map((n) => figure(page, n))), ['75', '3', '10', '30']);

  state.rules.push(ruleOf('temperature_low', { kind: 'low', operator: '<', limit: 40, deadband: 2 }));
  await page.goto(`${portal.at}/#/rules/temperature_low`);
  await page.waitForSelector('[data-open=temperature_low] [data-guide=deadband][aria-valuenow]');
  assert.equal((await says('deadband'))[1], 42, 'above a low limit');
  await guide('deadband').focus();
  await page.keyboard.press('PageUp');
  assert.equal(await figure(page, 'deadband'), '2.1');
});

test('a text takes over the figures, its problems stand at their lines, and Tab leaves it', async (t) => {
  const page = await open(t);
  await page.fill('[data-figure=limit]', '77');
  await page.click('[data-mode=text]');
  const text = await page.inputValue('[data-yaml]');
  assert.match(text, /limit: 77/);
  await page.fill('[data-yaml]', text.replace('limit: 77', 'limit: warm'));
  await say(page, 'why', 'Li');
  await page.waitForSelector('.rule-problems li');
  assert.match(await page.textContent('.rule-problems li'), /Line 4: limit "warm": want a number/);
  assert.equal(await page.textContent('.yaml-numbers .is-wrong'), '4');
  const [line, problem] = await Promise.all(['.yaml-numbers .is-wrong', '.rule-problems li'].map((s) => page.locator(s).boundingBox()));
  assert.ok(Math.abs(line.y - problem.y) < 12, 'beside its line');
  assert.equal(await page.evaluate(() => document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)), '  limit: warm');
  assert.match(await page.textContent('.rule-propose .dialog-error'), /errors/);
  await page.keyboard.press('Tab');
  assert.notEqual(await page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
  await page.fill('[data-yaml]', text);
  assert.equal(await page.locator('.rule-problems li').count(), 0);
});

test('what was typed outlives a change by somebody else, and an answer that was lost', async (t) => {
  const page = await open(t);
  await page.fill('[data-figure=on_delay]', '60');
  Object.assign(state, { version: 'v2', rules: [ruleOf('temperature_high', { limit: 80 }), state.rules[1]] });
  await say(page, 'calmer', 'Li');
  await until(page, () => /has changed/.test(document.querySelector('.rule-propose .dialog-error').textContent));
  await until(page, () => document.querySelector('[data-news]').textContent.includes('above 80'));
  assert.deepEqual([await figure(page, 'limit'), await figure(page, 'on_delay'), await page.inputValue('[name=reason]')], ['80', '60', 'calmer']);
  await differs(page, 1);
  await page.click('button:has-text("中文")');
  await until(page, () => document.documentElement.lang === 'zh-CN' && document.querySelector('[data-figure=on_delay]')?.value === '60');
  assert.equal(await page.inputValue('[name=reason]'), 'calmer');
  await page.click('button:has-text("EN")');
  await until(page, () => document.documentElement.lang === 'en' && document.querySelector('[data-figure=on_delay]')?.value === '60');

  state.refuse = [503, 'kafka_unavailable'];
  await page.click('[data-propose]');
  await until(page, () => /Not proposed/.test(document.querySelector('.rule-propose .dialog-error').textContent));
  state.refuse = null;
  await page.click('[data-propose]');
  await page.waitForSelector('[data-pending] [data-change]');
  const bodies = sent('/api/v1/rules/changes');
  assert.equal(bodies.at(-1).change_id, bodies.at(-2).change_id, 'the same proposal is sent again');
  assert.notEqual(bodies.at(-1).change_id, bodies[0].change_id, 'that to another rule is another one');
});

test('versions say who, when and why, one is proposed again, and one goes back to the file', async (t) => {
  const page = await open(t, '#/rules/temperature_high?tab=versions');
  await page.waitForSelector('.rule-versions .panel-note:has-text("Never")');
  await page.click('[data-tab=change]');
  for (const limit of ['78', '82']) {
    await page.fill('[data-figure=limit]', limit);
    await say(page, `to ${limit}`, 'Li');
    await page.waitForSelector('[data-pending] [data-approve]');
    await decide(page, 'approve', 'Wang', 'agreed');
    await until(page, (l) => document.querySelector('[data-pending]').hidden && document.querySelector('[data-figure=limit]').value === l, limit);
  }
  await page.fill('[data-figure=limit]', '99');
  await say(page, 'too far', 'Li');
  await page.waitForSelector('[data-pending] [data-withdraw]');
  await decide(page, 'withdraw', 'Wang', 'no');
  await until(page, () => document.querySelector('[data-pending]').hidden);
  await page.click('[data-tab=versions]');
  await until(page, () => document.querySelectorAll('.rule-versions [data-change]').length === 3);
  assert.equal(await page.evaluate(() => location.hash), '#/rules/temperature_high?tab=versions');
  assert.deepEqual(await page.$$eval('.rule-versions [data-change]', (all) => all.map((e) => e.dataset.state)), ['withdrawn', 'in_force', 'former']);
  assert.match(await page.textContent('.rule-versions [data-state=in_force]'), /Li .* to 82Approved: Wang .* agreedLines that differ: 1/);
  await page.reload();
  await page.click('.rule-versions [data-state=former] [data-again]');
  assert.match(await page.inputValue('[data-yaml]'), /limit: 78\n/);
  await say(page, 'back to 78', 'Li');
  await page.waitForSelector('[data-pending] [data-change]');
  assert.equal(sent('/api/v1/rules/changes').at(-1).yaml, state.changes.find((c) => c.reason === 'to 78').yaml);
  await page.click('[data-back]');
  await page.fill('dialog [name=reason]', 'the file is right');
  await page.click('dialog button[type=submit]');
  await until(page, () => document.querySelectorAll('[data-pending] [data-change]').length === 2);
  const { change_id: _, ...body } = sent('/api/v1/rules/changes').at(-1);
  assert.deepEqual(body, { rule: 'temperature_high', remove: true, reason: 'the file is right', by: 'Li', if_version: 'v3' });
});

test('a new rule begins with a template and waits like any other change', async (t) => {
  const page = await open(t, '#/rules');
  await page.click('[data-new]');
  await page.waitForSelector('[data-open=""] [data-yaml]');
  assert.ok(await page.isHidden('.rule-propose-rest'), 'the template itself is no rule');
  await page.fill('[data-yaml]', (await page.inputValue('[data-yaml]')).replace('my_rule', 'cold_store'));
  await say(page, 'new store', 'Li');
  await page.waitForSelector('[data-pending] [data-change]');
  assert.equal(sent('/api/v1/rules/changes')[0].rule, 'cold_store');
  await decide(page, 'approve', 'Wang');
  await page.waitForSelector('tr[data-rule=cold_store]');
  await page.goto(`${portal.at}/#/rules?new=1`);
  await page.waitForSelector('[data-open=""] [data-yaml]');
  assert.match(await page.inputValue('[data-yaml]'), /my_rule/);
});

test('the journal of a rule is of exactly this rule, by a chip that can be taken away', async (t) => {
  const page = await open(t);
  const asked = () => state.requests.filter(([, p]) => p.startsWith('/api/v1/journal')).map(([, p]) => new URLSearchParams(p.split('?')[1])).at(-1);
  await page.click('[data-journal]');
  await page.waitForSelector('[data-rule-chip=temperature_high]');
  assert.equal(await page.evaluate(() => new URLSearchParams(location.hash.split('?')[1]).get('rule')), 'temperature_high');
  await until(page, () => document.querySelector('[data-past-count]').textContent !== '');
  assert.deepEqual([asked().get('rule'), asked().get('q')], ['temperature_high', null]);
  assert.match(await page.getAttribute('[data-file]', 'href'), /[?&]rule=temperature_high(&|$)/);
  await page.click('[data-rule-chip]');
  await until(page, () => !location.hash.includes('rule=') && document.querySelector('[data-past-count]').textContent !== '');
  assert.equal(asked().get('rule'), null);
});

test('nothing is wrong for those who do not see or use a mouse', async (t) => {
  const axe = await readFile(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
  const more = process.env.UI_FULL ? [['zh-CN', 'light', 1440], ['en-US', 'dark', 375]] : [];
  for (const [lang, theme, width] of [['en-US', 'light', 1440], ['zh-CN', 'dark', 375], ...more]) {
    const page = await open(t, undefined, { lang, theme, width });
    await page.waitForSelector('[data-guide=limit][aria-valuenow]');
    await page.fill('[data-figure=limit]', '78');
    await say(page, 'why', 'Li');
    await page.waitForSelector('[data-pending] [data-change]');
    await page.fill('[data-figure=limit]', '-1');
    await page.evaluate(axe);
    const wrong = async (what) => {
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join('\n')}`), [], `${what}, ${lang}, ${theme}, ${width}`);
      const small = await page.$$eval('.rules-page :is(button, a, [role=slider], summary, select)', (all) => all.filter((e) => e.offsetParent && Math.min(e.getBoundingClientRect().height, e.getBoundingClientRect().width) < 24 && !e.closest('td')).map((e) => e.outerHTML.slice(0, 90)));
      assert.deepEqual(small, [], `${what}: targets of 24 px`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what}: nothing sticks out`);
    };
    await wrong('figures');
    await page.click('[data-mode=text]');
    await page.fill('[data-yaml]', `${await page.inputValue('[data-yaml]')}# limit: warm\n`);
    await page.click('[data-run]');
    await page.waitForSelector('.rule-problems li');
    await wrong('text');
    await page.click('[data-tab=versions]');
    await page.waitForSelector('.rule-versions [data-change]');
    await wrong('versions');
    await page.click('[data-pending] [data-approve]');
    await wrong('dialog');
    if (lang === 'zh-CN') {
      await page.keyboard.press('Escape');
      const latin = await page.evaluate(() => {
        const copy = document.querySelector('.rules-page').cloneNode(true);
        for (const e of copy.querySelectorAll('.diff, code, textarea, .col-says, .rule-says')) e.remove();
        return copy.textContent.replace(/temperature_high|humidity_high|device_\w+/g, '').match(/[A-Za-z]{4,}/g)?.filter((w) => !['limit', 'warm'].includes(w)) ?? [];
      });
      assert.deepEqual(latin, [], 'Chinese is Chinese');
    }
    await page.context().close();
  }
});
