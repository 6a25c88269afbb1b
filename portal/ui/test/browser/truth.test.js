// That nothing on the page lies: cut off from the portal it says as of when its values are; means are of all devices.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBalancer } from './balancer.js';
import { CLOCK, launch, open, shot, until, within } from './page.js';
import { api, base, FEW, publish, startPlant } from './plant.js';
import { PAGES } from './tour.js';

let plant;
let browser;
let beat;

/** STEADY devices stand in a building of their own; each always sends its own value, every EVERY ms, and not all at once. */
const STEADY = 20;
const EVERY = 5000; // ms
const STEP = 5000; // ms between two points of the newest means
const steady = (i) => 10 + 1.5 * i;

before(async () => {
  plant = await startPlant({ devices: FEW });
  browser = await launch();
  let i = 0;
  beat = setInterval(() => publish(`steady_${i % STEADY}`, { temperature: steady(i++ % STEADY) }), EVERY / STEADY);
});
after(async () => {
  clearInterval(beat);
  await browser?.close();
  await plant?.close();
});

/** What a page that is cut off may say only of a time: "as of 12:28:46". */
const LIVE = /current|\b[Ll]ive\b|实时|最新/;

for (const [lang, asOf] of [['en-US', new RegExp(`as of ${CLOCK}`)], ['zh-CN', new RegExp(`截至 ${CLOCK}`)]]) {
  test(`cut off, the page says as of when its values are (${lang})`, async (t) => {
    const line = await startBalancer([plant.port(8090)]);
    const { page, context } = await open(browser, '#/overview', { lang, at: line.url });
    t.after(async () => {
      await context.close();
      line.close();
    });
    await until(page, () => globalThis.iot?.state?.plant.liveness().state === 'live' && globalThis.iot.prefetched && globalThis.iot.map?.cell());
    await page.waitForSelector('.gateway-line');
    const cell = () => page.evaluate(() => globalThis.iot.map.cell());
    const before = await cell();
    const at = Date.now();
    line.mute();
    await until(page, () => document.querySelector('.live').dataset.state === 'stale');
    within(t, 'noticed though the socket looks open', Date.now() - at, 8000);
    await until(page, (source) => new RegExp(source).test(document.querySelector('.gateway-age').textContent), asOf.source);
    for (const part of ['.banner', '.live', '.figures', '.gateway-line']) assert.match(await page.locator(part).first().textContent(), asOf, part);
    const words = () => page.evaluate(() => ['.banner', '.figures', '.gateway-strip', '.live'].map((s) => document.querySelector(s)?.innerText ?? '').join('\n'));
    const frozen = await words();
    const says = () => page.evaluate(() => document.body.innerText);
    assert.doesNotMatch(await says(), LIVE);
    await until(page, (end) => Date.now() >= end, at + 14_000);
    assert.equal(await words(), frozen, 'no figure counts on');
    await shot(page, `cut-off-${lang}`);
    const now = await cell();
    assert.ok(now >= 0.7 * before, `the map keeps its size: cells of ${now}, before of ${before} px`);
    // Nor does any other page that is opened now claim what it cannot know.
    for (const name of PAGES.filter((p) => !p.includes('{') && p !== 'overview')) {
      await page.evaluate((hash) => (location.hash = hash), `#/${name}`);
      await until(page, (want) => location.hash.startsWith(want) && document.getElementById('page').children.length > 1, `#/${name.split('?')[0]}`);
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      assert.doesNotMatch(await says(), LIVE, name);
    }
  });
}

test('a building mean is of all its devices and says of how many', async (t) => {
  const { page, context } = await open(browser, '#/overview');
  t.after(() => context.close());
  await page.click('[data-range="1m"]'); // of which a young portal has taken every sample itself
  await until(page, () => globalThis.iot?.means?.columns.every((c) => c.p10?.some((v) => v !== null)));
  const { names, columns } = await page.evaluate(() => globalThis.iot.means);
  const { items } = await api('/api/v1/buildings');
  for (const [i, name] of names.entries()) {
    const c = columns[i];
    const n = c.n.findLast((x) => x !== null);
    const online = items.find((b) => b.building === name)?.devices.online;
    assert.ok(n > 0 && n <= online, `${name}: n ${n} of ${online} online`);
    c.mean.forEach((m, k) => m === null || assert.ok(c.p10[k] <= m && m <= c.p90[k], `${name}: ${c.p10[k]} ≤ ${m} ≤ ${c.p90[k]}`));
  }
  assert.match(await page.textContent('.means .legend'), /n \d/);
  const offered = await page.$$eval('[data-range]', (list) => list.map((b) => [b.dataset.range, b.disabled, b.title]));
  assert.ok(offered.some(([, disabled]) => disabled), 'a young plant has no month of data');
  for (const [range, disabled, why] of offered) assert.ok(!disabled || why, `${range} says why`);
  await shot(page, 'means');
});

/** autocorrelation of a series without its trend, at a lag of steps; 0 of one that does not move. */
function autocorrelation(list, lag) {
  const n = list.length;
  const mean = (xs) => xs.reduce((sum, x) => sum + x, 0) / xs.length;
  const at = mean(list.map((_, i) => i));
  const slope = list.reduce((sum, x, i) => sum + (i - at) * x, 0) / list.reduce((sum, _, i) => sum + (i - at) ** 2, 0);
  const rest = list.map((x, i) => x - mean(list) - slope * (i - at));
  const power = rest.reduce((sum, x) => sum + x * x, 0);
  if (power / n < 1e-6) return 0;
  return rest.slice(lag).reduce((sum, x, i) => sum + x * rest[i], 0) / power;
}

test('the mean of devices that do not change does not change, whoever sent last', async (t) => {
  assert.ok(Math.abs(autocorrelation(Array.from({ length: 40 }, (_, i) => (i % 4) + 0.1 * i), 4)) > 0.8, 'a saw of four steps shows');
  const { page, context } = await open(browser, `#/overview?b=${encodeURIComponent('steady栋')}&range=1m`);
  t.after(() => context.close());
  const drawn = (n) => {
    const c = globalThis.iot?.means?.columns[0];
    const list = c ? c.mean.filter((m, k) => m !== null && c.n[k] === n) : [];
    return list.length >= 9 && list;
  };
  const list = await (await until(page, drawn, STEADY)).jsonValue();
  const truth = Array.from({ length: STEADY }, (_, i) => steady(i)).reduce((sum, x) => sum + x, 0) / STEADY;
  within(t, 'from lowest to highest mean', Math.max(...list) - Math.min(...list), 0.05, '°C');
  assert.ok(Math.abs(list.at(-1) - truth) < 0.05, `${list.at(-1)}, want ${truth}`);
  within(t, 'autocorrelation at the interval of sending', Math.abs(autocorrelation(list, EVERY / STEP)), 0.3, '');
});

test('messages sent are the same in page, API and metrics', async (t) => {
  const { page, context } = await open(browser, '#/system');
  t.after(() => context.close());
  await page.waitForSelector('[data-metric=portal_dialect_messages_total]');
  const sum = async () => {
    const text = await (await fetch(`${base}/metrics`)).text();
    return [...text.matchAll(/^portal_dialect_messages_total\{.*\} (\S+)$/gm)].reduce((n, m) => n + Number(m[1]), 0);
  };
  const low = await sum();
  assert.ok(low > 0);
  await until(page, (n) => Number(document.querySelector('[data-metric=portal_dialect_messages_total]').textContent.replaceAll(',', '')) >= n, low);
  const shown = Number((await page.textContent('[data-metric=portal_dialect_messages_total]')).replaceAll(',', ''));
  const { pushed } = await api('/api/v1/stats');
  const high = await sum();
  assert.ok(low <= shown && shown <= high && pushed.total <= high && pushed.total >= low, `${low} ≤ ${shown}, ${pushed.total} ≤ ${high}`);
});
