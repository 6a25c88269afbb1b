// Devices of a gateway from the centre, in a real browser: an engineer adds one, gives it another secret and revokes it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessible, launch, open, shot } from './page.js';
import { startPlant } from './plant.js';

let plant;
let browser;

before(async () => {
  plant = await startPlant({ devices: 20, EDGE_DEVICE_AUTH: 'observe' });
  browser = await launch();
}, { timeout: 600_000 });

after(async () => {
  await browser?.close();
  await plant?.close();
}, { timeout: 60_000 });

for (const [lang, theme, width, held, revoked] of [['en-US', 'light', 1440, 'in force', 'revoked'], ['zh-CN', 'dark', 375, '有效', '已吊销']]) {
  test(`an engineer adds, rotates and revokes a device (${lang}, ${theme}, ${width})`, async (t) => {
    const { page, context } = await open(browser, '#/gateways', { lang, theme, width, at: `http://127.0.0.1:${plant.port(8080)}` });
    t.after(() => context.close());
    const id = `new_${width}`;
    await page.locator('[data-key^="credentials-"]').first().click();
    await page.click('[data-add-device]');
    await accessible(page, 'dialog');
    await page.fill('dialog input[name=device_id]', id);
    await page.fill('dialog input[name=by]', '李工');
    await page.click('dialog button[type=submit]');
    const secret = await page.locator('dialog [data-secret]').inputValue();
    assert.match(secret, /^iotd_/);
    await page.locator('dialog .dialog-end button').click();
    const row = page.locator(`tr[data-device="${id}"]`);
    await row.locator('[data-state=held]', { hasText: held }).waitFor();
    await accessible(page, 'body');
    await shot(page, `credentials-${lang}`);
    await page.click(`[data-key="rotate-${id}"]`);
    await page.click('dialog button[type=submit]');
    assert.notEqual(await page.locator('dialog [data-secret]').inputValue(), secret);
    await page.locator('dialog .dialog-end button').click();
    await page.click(`[data-key="end-${id}"]`);
    await page.click('dialog button[type=submit]');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.locator(`[data-key="end-${id}"]`).waitFor({ state: 'detached' });
    await page.click(`[data-key="revoke-${id}"]`);
    await accessible(page, 'dialog');
    await page.click('dialog button[type=submit]');
    await row.locator('[data-state=revoked]', { hasText: revoked }).waitFor();
    assert.equal(await row.locator('button').count(), 0);
    assert.equal(await page.evaluate((s) => document.documentElement.outerHTML.includes(s) || Object.values(localStorage).join().includes(s), secret), false, 'it was shown once');
  });
}
