// That every page, list and dialog can be used by everybody: axe-core finds nothing in either language or theme, on
// a wide screen or a phone; targets can be hit; Chinese is Chinese; a reload and a second browser show the same. README's
// pictures are taken here, too.
import assert from 'node:assert/strict';
import { access, readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch, open, shot, until } from './page.js';
import { base, PATIENCE, startPlant } from './plant.js';
import { BUILDING, CHOICES, DIALOGS, furnish, PAGES, tour } from './tour.js';

const FULL = process.env.UI_FULL === '1';
const PICTURES = process.env.UI_PICTURES === '1'; // `make pictures`
const FEW = PICTURES ? 1000 : 40; // devices: this is about markup

/** SIGHTS are all combinations; each two and the next two have every language, theme and width once. */
const SIGHTS = [
  ['en-US', 'light', 1440], ['zh-CN', 'dark', 375], ['en-US', 'dark', 375], ['zh-CN', 'light', 1440],
  ['en-US', 'light', 375], ['zh-CN', 'dark', 1440], ['en-US', 'dark', 1440], ['zh-CN', 'light', 375],
];

/** isSeen tells whether thing number i is looked at in sight number k: pages in two, dialogs in one, unless there is time. */
const isSeen = (i, k, each) => FULL || (k < 4 && (each === 2 ? (k >> 1) === i % 2 : k === i % 4));

let plant;
let browser;
let alarms;
let axe;

before(async () => {
  plant = await startPlant({ devices: FEW });
  browser = await launch();
  axe = await readFile(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
  alarms = await furnish();
}, { timeout: 600_000 });

after(async () => {
  await browser?.close();
  await plant?.close();
}, { timeout: 60_000 });

/** faults is everything that is wrong with what is shown, while the data is live. */
async function faults(page, settled, where, lang, width) {
  for (;;) {
    const found = await look(page, width);
    const faint = await page.evaluate(() => document.body.classList.contains('is-stale'));
    if (faint) {
      await settled();
      continue;
    }
    if (lang === 'zh-CN') found.push(...await latin(page));
    return found.map((f) => `${where} (${lang}, ${width}): ${f}`);
  }
}

function look(page, width) {
  return page.evaluate(async (phone) => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } });
    const out = violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 160)} ${n.any[0]?.message ?? ''}`));
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    if (wide > 0) out.push(`scrolls sideways by ${wide} px`);
    const bare = [...document.querySelectorAll('body *')].filter((e) => e.children.length === 0 && /^[a-z]+(\.[a-z_]+)+$/.test(e.textContent)).map((e) => `no text for ${e.textContent}`);
    const small = !phone ? [] : [...document.querySelectorAll('a, button, input, select, textarea, [role=button], [role=tab]')]
      .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest('.skip, .sr-only'))
      .map((e) => [e, e.getBoundingClientRect()])
      .filter(([, r]) => r.width > 0 && (r.width < 23.9 || r.height < 23.9))
      .map(([e, r]) => `${e.outerHTML.slice(0, 90)} is ${r.width.toFixed(0)} × ${r.height.toFixed(0)}`);
    return [...out, ...bare, ...small];
  }, width < 600);
}

/**
 * latin returns texts, titles and labels with a run of four Latin letters or more that are no id, unit, product's or
 * file format's name, key, or raw reading.
 */
function latin(page) {
  return page.evaluate(() => {
    const own = 'kbd, pre, noscript, script, style, [lang=en], .rule-yaml, .report-offsets, .cell .value';
    const { state } = globalThis.iot;
    const ids = [...state.fleet.distinct('model'), ...state.fleet.byID.keys(), ...state.plant.state.gateways.map((g) => g.gateway)];
    // What has one name in every language: products and files, programs, versions, addresses.
    const known = /\b(?:Kafka|CSV|PNG|YAML|industrial-iot-monitor|edge|bridge|core|portal|https?|[0-9a-f]{7,}(?:-dirty)?)\b|(?<=^|\s)\/[a-z/]+/g;
    const said = new Set();
    const take = (text, el) => {
      const rest = ids.reduce((s, id) => s.replaceAll(id, ''), text).replace(known, '').replace(/\b[a-z0-9]+(?:[_.-][a-zA-Z0-9]+)+\b/g, '');
      if (/[A-Za-z]{4,}/.test(rest)) said.add(`not Chinese: ${text.trim().slice(0, 120)} <${el.tagName.toLowerCase()} ${el.className}>`);
    };
    for (const el of document.querySelectorAll('body *')) {
      if (el.closest(own)) continue;
      for (const name of ['title', 'aria-label', 'placeholder', 'data-label']) if (el.hasAttribute(name)) take(el.getAttribute(name), el);
      if (el.tagName === 'TEXTAREA' || el.tagName === 'INPUT') continue; // what a person wrote
      for (const node of el.childNodes) if (node.nodeType === Node.TEXT_NODE) take(node.data, el);
    }
    take(document.title, document.head);
    return [...said];
  });
}

for (const [k, [lang, theme, width]] of SIGHTS.entries()) {
  if (!FULL && k >= 4) break;
  test(`every page and dialog can be used by everybody (${lang}, ${theme}, ${width})`, async (t) => {
    const { page, context, seen } = await open(browser, '#/overview', { lang, theme, width, height: width < 600 ? 812 : 900, storage: { operator: '李工' } });
    t.after(() => context.close());
    await until(page, () => globalThis.iot.state.fleet.size() > 0);
    await page.evaluate(axe);
    const { go, settled } = tour(page);
    const found = [];
    for (const [i, name] of PAGES.entries()) {
      if (!isSeen(i, k, 2)) continue;
      await go(name.replace('{critical}', alarms.critical));
      found.push(...await faults(page, settled, name, lang, width));
      if (FULL) await shot(page, `tour-${name.replaceAll(/\W+/g, '-')}-${width}-${theme}-${lang.slice(0, 2)}`);
    }
    for (const [i, [name, at, openIt]] of DIALOGS.entries()) {
      if (!isSeen(i, k, 1)) continue;
      await go(at);
      await openIt(page);
      await page.locator('dialog[open]').waitFor();
      await settled();
      found.push(...await faults(page, settled, `${name} on ${at}`, lang, width));
      if (FULL) await shot(page, `tour-dialog-${name}-${width}-${theme}-${lang.slice(0, 2)}`);
      await page.keyboard.press('Escape');
      await page.locator('dialog').waitFor({ state: 'detached' });
    }
    assert.deepEqual([...new Set(found)], []);
    assert.deepEqual(seen.errors, []);
  });
}

/** seen is what a page shows without what moves on by itself, numbers and ages, and how its controls are set. */
const seen = (page) => page.evaluate(() => {
  const el = document.getElementById('page');
  const controls = [document.querySelector('.topbar select'), ...el.querySelectorAll('select, input, [aria-pressed], [aria-selected]')]
    .filter((e) => e.checkVisibility())
    .map((e) => e.getAttribute('aria-pressed') ?? e.getAttribute('aria-selected') ?? (e.type === 'checkbox' ? e.checked : e.value));
  const text = el.innerText.replace(/[-+−]?\d[\d.,:]*(\s?(ms|s|min|h|d|KB|MB|MiB|°C|%|\/s)\b)?/g, '#').replace(/\s+/g, ' ');
  return JSON.stringify({ controls, text }, null, 1);
});

test('a reload and a second browser show every choice as it was', async (t) => {
  const options = { storage: { operator: '李工' } };
  const [one, two] = [await open(browser, '#/overview', options), await open(browser, 'blank.html', options)];
  t.after(() => Promise.all([one, two].map(({ context }) => context.close())));
  await until(one.page, () => globalThis.iot.state.fleet.size() > 0);
  const { go, settled } = tour(one.page);
  const other = tour(two.page);
  for (const [name, choices] of CHOICES) {
    await go(`${name}?b=${encodeURIComponent(BUILDING)}`);
    for (const [how, selector, value] of choices) {
      const control = one.page.locator(`#page ${selector}`).first();
      if (how === 'select') await control.selectOption(value);
      else if (how === 'fill') await control.fill(value);
      else await control.click();
      if (how === 'fill') await until(one.page, (text) => decodeURIComponent(location.hash).includes(text), value); // it waits for the end of typing
      await settled();
    }
    const same = async (what, page, ready) => {
      let want = await seen(one.page);
      let got = '';
      for (const end = Date.now() + PATIENCE; ;) {
        await ready();
        [want, got] = [page === one.page ? want : await seen(one.page), await seen(page)];
        if (got === want) return;
        if (Date.now() > end) assert.equal(got, want, `${name}, ${what}: ${one.page.url()}`);
      }
    };
    await two.page.goto('about:blank');
    await two.page.goto(one.page.url());
    await until(two.page, () => globalThis.iot?.state.fleet.size() > 0);
    await same('a second browser', two.page, other.settled);
    const before = await seen(one.page);
    await one.page.reload();
    await until(one.page, () => globalThis.iot?.state.fleet.size() > 0);
    await same('a reload', two.page, settled);
    t.diagnostic(`${name}: ${one.page.url().slice(base.length)} (${before.length} characters)`);
  }
});

const root = new URL('../../../../', import.meta.url);

/** take shows what the pictures are of and saves them. */
async function take(t, named, lang) {
  const { page, context } = await open(browser, '#/overview', { lang, width: 1440, height: 900, storage: { operator: '李工' } });
  t.after(() => context.close());
  const { go } = tour(page);
  await until(page, () => globalThis.iot.state.fleet.size() > 0);
  for (const [, file, what] of named) {
    await go({ overview: 'overview?range=1m', alarms: `alarms?alert=${alarms.critical}` }[what]);
    if (what === 'overview') await until(page, () => globalThis.iot.means?.columns[0].mean.filter((m) => m !== null).length >= 11);
    await page.waitForTimeout(2000); // what comes after the first look
    await page.screenshot({ path: new URL(file, root).pathname });
  }
}

for (const [lang, name] of [['en-US', 'README.md'], ['zh-CN', 'README.zh-CN.md']]) {
  test(`the pictures of ${name} are of the page as it is`, async (t) => {
    const named = [...(await readFile(new URL(name, root), 'utf8')).matchAll(/!\[[^\]]*\]\((docs\/img\/(\w+)-(\w+)\.png)\)/g)];
    assert.deepEqual(named.map(([, , what, of]) => `${what} ${of}`), ['overview', 'alarms'].map((what) => `${what} ${lang.slice(0, 2)}`));
    if (PICTURES) await take(t, named, lang);
    for (const [, file] of named) await access(new URL(file, root));
  });
}
