// A real browser on the page, with what tests want to know of it.
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';
import { base, PATIENCE } from './plant.js';

/** A time of day as the page writes it: with the date when it is not today's, as it is of some around midnight. */
export const CLOCK = String.raw`(\d\d-\d\d )?\d\d:\d\d:\d\d`;

const shots = new URL('../../../../bench-results/ui/', import.meta.url).pathname;

/** launch starts a browser and shows it a blank page: its own start is none of the page's. */
export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--js-flags=--expose-gc'],
  });
  await (await browser.newPage()).close();
  return browser;
}

/** open shows a page and keeps a record of what it asked for and complained of. */
export async function open(browser, hash = '#/overview', { width = 1440, height = 900, lang = 'en-US', theme = 'light', storage = {}, at = base } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, locale: lang, colorScheme: theme, acceptDownloads: true });
  await context.addInitScript((s) => {
    for (const [k, v] of Object.entries(s)) localStorage.setItem(k, v);
  }, storage);
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const seen = { foreign: [], errors: [] };
  page.on('request', (r) => !r.url().startsWith(at) && !/^(data|blob):/.test(r.url()) && seen.foreign.push(r.url()));
  page.on('console', (m) => m.type() === 'error' && seen.errors.push(m.text()));
  page.on('pageerror', (e) => seen.errors.push(e.message));
  const started = Date.now();
  await page.goto(`${at}/${hash}`);
  if (hash.startsWith('#')) await page.waitForFunction(() => document.getElementById('page')); // its dictionary has come, too
  return { page, context, seen, started };
}

export async function shot(page, name) {
  await mkdir(shots, { recursive: true });
  await page.screenshot({ path: `${shots}${name}.png` });
}

const axe = await readFile(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

/** accessible fails on what axe finds serious in a part of the page. */
export async function accessible(page, part) {
  await page.evaluate(axe);
  const found = await page.evaluate(async (s) => (await globalThis.axe.run(s, { resultTypes: ['violations'] })).violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), part);
  assert.deepEqual(found, []);
}

/** What depends on what else the machine does. */
const ofTheMachine = new Set(['ms', '%']);

/**
 * within prints a measured figure and fails when it is beyond its limit. Times and shares are held to theirs with UI_FULL=1
 * alone, on a machine that does nothing else; beside other work what they wait for has to happen, however long it takes.
 */
export function within(t, what, got, limit, unit = 'ms') {
  const held = process.env.UI_FULL === '1' || !ofTheMachine.has(unit);
  t.diagnostic(`${what}: ${typeof got === 'number' ? Math.round(got * 10) / 10 : got} ${unit} (limit ${limit}${held ? '' : ' with UI_FULL=1'})`);
  assert.ok(!held || got <= limit, `${what}: ${got} ${unit}, want at most ${limit}`);
}

/** quantile of numbers. */
export function quantile(list, q) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(Math.ceil(q * sorted.length) - 1, sorted.length - 1)];
}

/**
 * watch counts what a page makes its browser do: busy() is the share of the main thread in percent since the last call;
 * by threadTicks, the processor's time alone, it does not count how long others kept it waiting.
 */
export async function watch(page, timeDomain = 'timeTicks') {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable', { timeDomain });
  let last = null;
  return async function busy() {
    const { metrics: list } = await cdp.send('Performance.getMetrics');
    const now = Object.fromEntries(list.map((m) => [m.name, m.value]));
    const share = last && (100 * (now.TaskDuration - last.TaskDuration)) / (now.Timestamp - last.Timestamp);
    last = now;
    return share;
  };
}

/** heap returns the bytes in use after a collection. */
export async function heap(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('HeapProfiler.collectGarbage');
  const { usedSize } = await cdp.send('Runtime.getHeapUsage');
  await cdp.detach();
  return usedSize;
}

/** until waits for a condition in the page; polls at every frame. */
export const until = (page, f, arg) => page.waitForFunction(f, arg, { timeout: PATIENCE });
