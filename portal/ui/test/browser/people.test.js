// People in a real browser: signing in at a portal that wants to know who is there, the page People, and what
// becomes of a page whose session ends.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessible, launch, open, shot, until } from './page.js';
import { eventually, startPlant } from './plant.js';

const PASSWORD = 'correct horse 电池';
const ADMIN = { name: 'admin', password: PASSWORD };

let plant;
let browser;
let at; // the portal of the all-in-one, which asks; the one beside it does not

before(async () => {
  plant = await startPlant({ devices: 20, PORTAL_AUTH: 'local,token', PORTAL_ADMIN_PASSWORD: PASSWORD });
  at = `http://127.0.0.1:${plant.port(8080)}`;
  browser = await launch();
  const cookie = await signedIn(ADMIN);
  for (const [name, role] of [['王工', 'operator'], ['Zhang', 'viewer']]) {
    const r = await call(cookie, 'POST', '/api/v1/users', { name, role, password: PASSWORD });
    assert.equal(r.status, 200, await r.text());
  }
}, { timeout: 600_000 });

after(async () => {
  await browser?.close();
  await plant?.close();
}, { timeout: 60_000 });

const call = (cookie, method, path, body) => fetch(at + path, { method, headers: { 'Content-Type': 'application/json', Origin: at, ...(cookie && { Cookie: cookie }) }, body: JSON.stringify(body), signal: AbortSignal.timeout(15_000) });

/** signedIn returns the cookie of a new session. */
async function signedIn(who) {
  const r = await call('', 'POST', '/api/v1/session', who);
  assert.equal(r.status, 200, await r.text());
  return r.headers.get('set-cookie').split(';')[0];
}

/** enter signs a person in on the page. */
async function enter(page, name, password = PASSWORD) {
  await page.fill('.signin input[name=name]', name);
  await page.fill('.signin input[name=password]', password);
  await page.click('.signin button[type=submit]');
}

const live = (page) => until(page, () => globalThis.iot?.state.fleet.size() > 0);

for (const [lang, theme, width, wrong] of [['en-US', 'light', 1440, 'Wrong name or password.'], ['zh-CN', 'dark', 375, '姓名或密码错误。']]) {
  test(`a person signs in, and sees the plant (${lang}, ${theme}, ${width})`, async (t) => {
    const { page, context } = await open(browser, '#/devices', { lang, theme, width, at });
    t.after(() => context.close());
    await page.waitForSelector('.signin input[name=name]');
    await accessible(page, 'body');
    await shot(page, `signin-${lang}`);
    assert.equal(await page.locator('.nav').count(), 0, 'nothing of the plant is shown');
    await enter(page, '王工', 'wrong password');
    await page.waitForFunction((text) => document.querySelector('.signin [role=alert]').textContent === text, wrong);
    assert.equal(await page.evaluate(() => document.activeElement.name), 'password');
    await accessible(page, 'body');
    await enter(page, '王工');
    await live(page);
    assert.equal(new URL(page.url()).hash, '#/devices', 'where they wanted to go');
    assert.equal(await page.evaluate(() => document.cookie), '', 'no script can read it');
    assert.equal(await page.evaluate(() => Object.values(localStorage).join().includes('horse')), false);
  });
}

test('the language can be chosen before signing in', async (t) => {
  const { page, context } = await open(browser, '#/overview', { at });
  t.after(() => context.close());
  await page.click('.signin button[lang=zh]');
  await page.getByRole('button', { name: '登录', exact: true }).waitFor();
  await page.click('.signin button[lang=en]');
  await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
});

test('the signed-in name stands in dialogs', async (t) => {
  const { page, context } = await open(browser, '#/shiftnotes', { at });
  t.after(() => context.close());
  await page.waitForSelector('.signin');
  await enter(page, '王工');
  await live(page);
  await page.locator('[data-write], .panel-head .button').first().click();
  const by = page.locator('dialog input[name=by]');
  await by.waitFor();
  assert.equal(await by.inputValue(), '王工');
  assert.notEqual(await by.getAttribute('readonly'), null);
});

for (const [name, may] of [['Zhang', []], ['王工', ['investigate', 'alarm_command', 'keep_notes']]]) {
  test(`the page offers ${name} what their role permits`, async (t) => {
    const { page, context } = await open(browser, '#/overview', { at });
    t.after(() => context.close());
    await page.waitForSelector('.signin');
    await enter(page, name);
    await live(page);
    const device = await page.evaluate(() => globalThis.iot.state.fleet.sorted()[0].id);
    const seen = new Set();
    for (const [hash, marker] of [['#/alarms', '[data-action=out_of_service]'], ['#/devices', '[download]'], [`#/device/${device}`, '[data-note-add]'], ['#/shiftnotes', '[data-write]'], ['#/trends', '[data-raw]'], ['#/rules', '[data-rule]']]) {
      await page.evaluate((to) => (location.hash = to), hash);
      await page.locator(marker).first().waitFor({ state: 'attached' });
      const offered = await page.evaluate(() => [...document.querySelectorAll('[data-needs]')].map((el) => [el.dataset.needs, getComputedStyle(el).display !== 'none']));
      for (const [need, shown] of offered) {
        seen.add(need);
        assert.ok(!shown || may.includes(need), `${hash}: ${need}`);
      }
      for (const need of may) assert.ok(offered.every(([n]) => n !== need) || offered.some(([n, shown]) => n === need && shown), `${hash}: nothing that ${need} permits is shown`);
    }
    for (const need of ['investigate', 'alarm_command', 'alarms_at_large', 'device_command', 'keep_notes']) assert.ok(seen.has(need), need);
  });
}

test('a page whose session ends elsewhere asks again', async (t) => {
  const { page, context } = await open(browser, '#/people', { at });
  t.after(() => context.close());
  await page.waitForSelector('.signin');
  await enter(page, 'Zhang');
  await page.locator('.people-page .facts').waitFor();
  assert.equal(await page.locator('[data-add-user]').count(), 0, 'a viewer manages nobody');
  const r = await call(await signedIn({ name: 'Zhang', password: PASSWORD }), 'DELETE', '/api/v1/sessions', {});
  assert.equal(r.status, 200);
  await page.getByText('Your session has ended. Sign in again to go on.').waitFor();
  await enter(page, 'Zhang');
  await live(page);
});

for (const [lang, theme, width] of [['en-US', 'light', 1440], ['zh-CN', 'dark', 375]]) {
  test(`an administrator adds a person and a token (${lang}, ${width})`, async (t) => {
    const { page, context } = await open(browser, '#/people', { lang, theme, width, at });
    t.after(() => context.close());
    await page.waitForSelector('.signin');
    await enter(page, 'admin');
    await page.locator('.people-table tbody tr').first().waitFor();
    await accessible(page, 'body');
    await shot(page, `people-${lang}`);
    const name = `Li ${width}`;
    await page.click('[data-add-user]');
    await page.locator('dialog[open]').waitFor();
    await accessible(page, 'dialog');
    await page.fill('dialog input[name=name]', name);
    await page.selectOption('dialog select[name=role]', 'engineer');
    await page.fill('dialog input[name=password]', `${name} and more`);
    await page.click('dialog button[type=submit]');
    await until(page, () => document.querySelector('dialog [role=alert]').textContent.includes('10'));
    await page.fill('dialog input[name=password]', PASSWORD);
    await page.click('dialog button[type=submit]');
    await page.locator('dialog').waitFor({ state: 'detached' });
    const row = page.locator('.people-table tr', { hasText: name });
    await row.waitFor();
    const cookie = await signedIn({ name, password: PASSWORD });
    await row.locator('button').click();
    await accessible(page, 'dialog');
    await page.check('dialog input[name=disabled]');
    await page.click('dialog button[type=submit]');
    await page.locator('.people-table tr.is-disabled', { hasText: name }).waitFor();
    await eventually('the disabled person being out', async () => (await fetch(`${at}/api/v1/stats`, { headers: { Cookie: cookie } })).status === 401);

    await page.click('[data-add-token]');
    await page.fill('dialog input[name=name]', `ci ${width}`);
    await page.click('dialog button[type=submit]');
    const secret = await page.locator('[data-secret]').inputValue();
    assert.match(secret, /^iotp_[\w-]{43}$/);
    await accessible(page, 'dialog');
    const ask = async () => (await fetch(`${at}/api/v1/stats`, { headers: { Authorization: `Bearer ${secret}` } })).status;
    assert.equal(await ask(), 200);
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    assert.equal((await page.content()).includes(secret), false);
    await page.locator('.people-table tr', { hasText: `ci ${width}` }).locator('button').click();
    await page.click('dialog button[type=submit]');
    await page.locator('.people-table tr.is-disabled', { hasText: `ci ${width}` }).waitFor();
    assert.equal(await ask(), 401);
  });
}

for (const [lang, theme, width, refused] of [['en-US', 'light', 1440, 'command · refused'], ['zh-CN', 'dark', 375, '命令 · 被拒绝']]) {
  test(`an administrator looks at the security audit (${lang}, ${width})`, async (t) => {
    const { page, context, seen } = await open(browser, '#/audit?tab=security', { lang, theme, width, at });
    t.after(() => context.close());
    await page.waitForSelector('.signin');
    const name = `audited-${width}-${'x'.repeat(50)}`;
    assert.equal((await call(await signedIn(ADMIN), 'POST', '/api/v1/users', { name, role: 'viewer', password: PASSWORD })).status, 200);
    assert.equal((await call(await signedIn({ name, password: PASSWORD }), 'POST', '/api/v1/tokens', {})).status, 403);
    await enter(page, 'admin');
    await page.fill('[data-field=who]', name);
    await page.selectOption('[data-field=outcome]', 'refused');
    await page.getByText(refused).waitFor(); // within 15 s: the list is fetched again
    assert.equal(await page.locator('.audit-table tbody tr').count(), 1);
    assert.match(page.url(), /tab=security&who=audited/);
    await page.fill('[data-field=who]', '');
    await page.fill('[data-field=about]', name);
    await page.selectOption('[data-field=outcome]', '');
    await until(page, () => document.querySelectorAll('.audit-table tbody tr').length === 2);
    await accessible(page, 'body');
    await page.fill('[data-field=about]', '');
    await until(page, () => document.querySelectorAll('.audit-table tbody tr').length > 5);
    await shot(page, `security-audit-${lang}`);
    assert.ok(await page.evaluate(() => [document.documentElement, document.querySelector('.scroller')].every((el) => el.scrollWidth <= el.clientWidth)), 'nothing beside the screen');
    const file = await page.locator('[data-file]').getAttribute('href');
    const cookie = (await context.cookies()).map((c) => `${c.name}=${c.value}`).join();
    const text = await (await fetch(at + file, { headers: { Cookie: cookie } })).text();
    assert.match(text, lang === 'zh-CN' ? /命令,POST [^,]+tokens,,被拒绝,该角色无此权限/ : /command,POST [^,]+tokens,,refused,not permitted to a viewer/);
    await page.click('[data-tab=alarms]');
    await page.locator('[data-field=device_id]').waitFor();
    assert.equal(new URL(page.url()).hash.includes('tab='), false);
    await page.click('[data-tab=security]');
    await until(page, () => document.querySelectorAll('.audit-table tbody tr').length > 5);
    assert.deepEqual(seen.errors.filter((e) => !/Authentication|401/.test(e)), [], 'but for those of before the sign-in');
  });
}

test('others have the audit trail of alarms alone', async (t) => {
  const { page, context } = await open(browser, '#/audit?tab=security', { at });
  t.after(() => context.close());
  await page.waitForSelector('.signin');
  await enter(page, '王工');
  await page.locator('[data-field=device_id]').waitFor();
  assert.equal(await page.locator('[data-tab=security]').isVisible(), false);
});

test('a person changes their password and signs out everywhere', async (t) => {
  const { page, context } = await open(browser, '#/people', { at });
  t.after(() => context.close());
  await page.waitForSelector('.signin');
  await enter(page, '王工');
  const elsewhere = await signedIn({ name: '王工', password: PASSWORD });
  await page.click('[data-password]');
  await accessible(page, 'dialog');
  await page.fill('dialog input[name=old]', PASSWORD);
  await page.fill('dialog input[name=password]', 'quite another one');
  await page.click('dialog button[type=submit]');
  await page.locator('dialog').waitFor({ state: 'detached' });
  const status = async (cookie) => (await fetch(`${at}/api/v1/stats`, { headers: { Cookie: cookie } })).status;
  assert.equal(await status(elsewhere), 401, 'the other session has ended');
  const again = await signedIn({ name: '王工', password: 'quite another one' });
  await page.click('[data-everywhere]');
  await page.click('dialog button[type=submit]');
  await page.waitForSelector('.signin');
  assert.equal(await status(again), 401);
  await enter(page, '王工', 'quite another one');
  await page.click('[data-signout]');
  await page.waitForSelector('.signin');
  assert.deepEqual(await context.cookies(), []);
});

test('without sign-in the page says so', async (t) => {
  const { page, context, seen } = await open(browser, '#/people');
  t.after(() => context.close());
  await page.getByText('Nobody has to sign in here').waitFor();
  await accessible(page, 'body');
  assert.deepEqual(seen.errors, []);
});
