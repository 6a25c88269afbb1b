// The report of a shift in a real browser: the page from dist, and a portal that answers what the script of
// a night wants. That the portal counts a night right is for the tests of its database.
import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';
import { after, before, test } from 'node:test';
import { shot } from './page.js';
import { standIn } from './standin.js';

const HOUR = 3_600_000;
const MIN = 60_000;
const from = new Date(2026, 5, 3, 0, 0).getTime();
const to = from + 8 * HOUR;
const EVIL = '<img src=x onerror="globalThis.evil=1">';
const counts = (critical, high, medium, low) => ({ total: critical + high + medium + low, critical, high, medium, low });

/** night is the report of the script: 213 alarms in two buildings. */
function night() {
  const actor = (i) => ({ device_id: `device_${String(i).padStart(3, '0')}`, building: 'A栋', alert_type: 'temperature_high', rule: 'temperature_high', severity: 'high', count: 30 - 2 * i, share: (30 - 2 * i) / 213 });
  const event = (i) => ({ alert_id: `c${i}`, device_id: `device_${i}`, building: 'B栋', alert_type: 'temperature_high', severity: 'critical', raised_at: from + i * MIN, acknowledged_at: i % 2 ? 0 : from + (i + 4) * MIN, ended_at: i % 3 ? from + (i + 9) * MIN : 0 });
  return {
    from, to, until: to, building: '', time: to + 3000, raised: counts(3, 30, 60, 120), hidden: { suppressed: 40, historical: 2 }, per_hour: 213 / 8, target: 6,
    floods: [{ from: from + HOUR, to: from + HOUR + 10 * MIN, raised: 30 }, { from: from + 4 * HOUR, to: from + 4 * HOUR + 8 * MIN, raised: 20 }], flood_ms: 18 * MIN, flood_share: 18 / 480,
    acknowledged: 200, never_acknowledged: 13, ack_median_ms: 4 * MIN, ack_p90_ms: 31 * MIN, standing_count: 8, standing: [5, 6, 7].map(event),
    bad_actors: Array.from({ length: 10 }, (_, i) => actor(i)), chattering: [actor(1), actor(4)], critical_count: 63, criticals: Array.from({ length: 20 }, (_, i) => event(i)),
    buildings: [
      { building: 'A栋', devices: 1200, availability: 0.9987, raised: counts(1, 10, 20, 40), temperature_mean: 23.4, temperature_max: 31.2, completeness: 0.9991, sampled: 50, gateway_silent_ms: 0 },
      { building: 'B栋', devices: 40, availability: null, raised: counts(2, 20, 40, 80), temperature_mean: null, temperature_max: null, completeness: null, sampled: 0, gateway_silent_ms: 18 * MIN },
    ],
    shelved: [{ device_id: 'device_009', building: 'A栋', alert_type: 'humidity_high', by: '李工', at: from + HOUR, until: to + HOUR, reason: EVIL }], out_of_service: [],
    complete: true, since: from - 24 * HOUR, offsets: [{ topic: 'alarm-audit', partition: 0, first: 4711, next: 5320 }, { topic: 'alerts', partition: 0, first: null, next: 900 }],
    unknown: [{ what: 'completeness', why: 'history_begins', at: from + HOUR }],
  };
}

let portal;
let asked;
let refuse;

before(async () => {
  portal = await standIn((url) => {
    const { pathname, searchParams } = url;
    if (pathname === '/api/v1/shifts') return [200, { starts: ['00:00', '08:00', '16:00'] }];
    if (pathname === '/api/v1/shiftnotes') {
      return [200, { total: 1, count: 1, offset: 0, time: to, more: false, items: [{ id: 'n1', text: 'AHU-9 已停，等备件', created_by: '李工', created_at: to - HOUR, shift_start: from, priority: true, signatures: [{ by: '王工', at: to }] }] }];
    }
    if (pathname !== '/api/v1/report') return null;
    asked.push(Object.fromEntries(searchParams));
    if (refuse) return [503, { error: { code: refuse, message: refuse } }];
    const before = Number(searchParams.get('from')) !== from;
    return [200, before ? { ...night(), raised: counts(0, 0, 0, 100), per_hour: 12.5, never_acknowledged: 13, ack_median_ms: null } : night()];
  });
});

after(() => portal?.close());

async function open(t, { lang = 'en-US', width = 1440, params = `kind=range&from=${from}&to=${to}` } = {}) {
  [asked, refuse] = [[], ''];
  const page = await portal.open(t, `#/report?${params}`, { lang, width });
  await page.waitForSelector('.report-foot');
  return page;
}

const figure = (page, name) => page.textContent(`[data-figure=${name}] .report-value`);
const words = (text) => text.replace(/\s+/g, ' ').trim();

for (const [lang, width] of [['en-US', 1440], ['zh-CN', 1440], ['en-US', 375], ['zh-CN', 375], ['zh-CN', 1920]]) {
  test(`every figure is the portal's (${lang}, ${width})`, async (t) => {
    const page = await open(t, { lang, width });
    const r = night();
    assert.equal(await figure(page, 'raised'), '213');
    assert.deepEqual(await page.locator('[data-figure=raised] .report-severity').allTextContents(), ['3', '30', '60', '120']);
    assert.equal(await figure(page, 'per_hour'), '26.6');
    assert.equal(await figure(page, 'floods'), '2');
    assert.match(await page.textContent('[data-figure=floods] .report-more'), /18.+3\.8/);
    assert.match(await figure(page, 'ack_median'), /^4\s/);
    assert.match(await page.textContent('[data-figure=ack_median] .report-more'), /31/);
    assert.equal(await figure(page, 'never_acknowledged'), '13');
    assert.equal(await figure(page, 'standing'), '8');
    assert.deepEqual(await page.locator('.report-trend').allTextContents().then((x) => x.map((s) => s.match(/[▲▼=]/)[0])), ['▲', '▲', '=', '=', '='], 'an unknown median has no trend');
    assert.equal(await page.locator('[data-part=bad_actors] tbody tr').count(), 10);
    assert.deepEqual(await page.locator('[data-part=bad_actors] td:nth-child(3)').allTextContents(), r.bad_actors.map((a) => String(a.count)));
    assert.equal(await page.locator('[data-part=criticals] tbody tr').count(), 20);
    assert.match(await page.textContent('.report'), lang === 'zh-CN' ? /另有 43 条/ : /and 43 more/);
    const cells = (await page.locator('[data-building="B栋"] td').allTextContents()).map(words);
    const unknown = lang === 'zh-CN' ? '未知' : 'unknown';
    assert.deepEqual([cells[2], cells[4], cells[5]], [unknown, unknown, unknown], 'what is not known is not 0');
    assert.match(await page.textContent('[data-unknown="completeness history_begins"]'), /01:00/);
    assert.match(await page.textContent('.report-offsets'), /alarm-audit 0: 4711 – 5320/);
    assert.match(await page.textContent('[data-part=handover]'), /AHU-9.*王工/s);
    assert.match(await page.textContent('[data-part=shelved]'), /<img src=x/, 'text stays text');
    assert.equal(await page.evaluate(() => globalThis.evil), undefined);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
    assert.ok(!/\{\w+\}|report\.[a-z]/.test(await page.textContent('.report')), 'every text is there');
    if (lang === 'zh-CN') {
      const latin = (await page.evaluate(() => [...document.querySelectorAll('.report h1,.report h2,.report th,.report-label,.report-trend,.report-foot p:not(.report-offsets),.report-foot li,.report button')].map((e) => e.textContent).join(' '))).replace(/Kafka|CSV/g, '');
      assert.doesNotMatch(latin, /[A-Za-z]{4}/);
    }
    assert.match(await page.getAttribute('[data-file]', 'href'), new RegExp(`from=${from}&to=${to}&lang=${lang.slice(0, 2)}$`));
    await shot(page, `report-${lang.slice(0, 2)}-${width}`);
  });
}

test('it is printed on at most three pages of A4, without navigation and without a clipped table', async (t) => {
  for (const lang of ['en-US', 'zh-CN']) {
    const page = await open(t, { lang });
    const pdf = await page.pdf({ format: 'A4', path: `${process.env.REPORT_PDF ?? ''}` || undefined });
    const pages = pdf.toString('latin1').match(/\/Type\s*\/Page\b(?!s)/g)?.length ?? compressedPages(pdf);
    t.diagnostic(`${lang}: ${pages} pages`);
    assert.ok(pages >= 1 && pages <= 3, `${pages} pages`);
    await page.emulateMedia({ media: 'print' });
    await page.setViewportSize({ width: 703, height: 1032 }); // A4 less its margins, at 96 px an inch
    const hidden = await page.evaluate(() => [...document.querySelectorAll('.nav, .topbar, .report-choice')].map((e) => getComputedStyle(e).display));
    assert.ok(hidden.length >= 4 && hidden.every((d) => d === 'none'), `navigation: ${hidden}`);
    const clipped = await page.evaluate(() => [...document.querySelectorAll('.report, .report-body, .report-part, .report-scroll, .report-table, .report-figure, .report td')]
      .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 || (getComputedStyle(e).overflow !== 'visible' && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1))).map((e) => `${e.className} ${e.textContent.slice(0, 40)}`));
    assert.deepEqual(clipped, []);
    assert.ok(await page.isVisible('.report-sign'), 'there is a line to sign on');
  }
});

/** compressedPages counts pages in a PDF whose objects are in compressed streams. */
function compressedPages(pdf) {
  let n = 0;
  for (let at = pdf.indexOf('stream\n'); at >= 0; at = pdf.indexOf('stream\n', at + 1)) {
    try {
      n += inflateSync(pdf.subarray(at + 7), { finishFlush: 2 }).toString('latin1').match(/\/Type\s*\/Page\b(?!s)/g)?.length ?? 0;
    } catch {
      // not a compressed stream
    }
  }
  return n;
}

test('shifts, days and weeks follow each other, and the address has them', async (t) => {
  const page = await open(t, { params: '' });
  const shown = () => asked.filter((_, i) => i % 2 === 0).at(-1); // each is followed by the one before
  const settled = (n) => page.waitForFunction((want) => globalThis.iot.report && document.querySelector('.report-when').textContent && performance.getEntriesByType('resource').filter((e) => e.name.includes('/api/v1/report?')).length >= want, n);
  await settled(2);
  assert.equal(Number(shown().to) - Number(shown().from), 8 * HOUR);
  assert.equal(new Date(Number(shown().from)).getHours() % 8, 0);
  const first = shown();
  await page.click('[data-step="-1"]');
  await settled(4);
  assert.equal(shown().to, first.from);
  assert.match(page.url(), new RegExp(`from=${shown().from}`));
  await page.click('[data-kind=week]');
  await settled(6);
  assert.ok(Number(shown().to) - Number(shown().from) >= 167 * HOUR);
  assert.match(page.url(), /kind=week/);
  await page.keyboard.press('g');
  await page.keyboard.press('o');
  await page.waitForFunction(() => location.hash === '#/overview');
  await page.keyboard.press('g');
  await page.keyboard.press('p');
  await page.waitForFunction(() => location.hash.startsWith('#/report'));
});

test('without a database it says so', async (t) => {
  const page = await open(t);
  refuse = 'store_off';
  await page.click('[data-kind=day]');
  await page.waitForFunction(() => document.querySelector('.report > .panel-note').textContent.includes('no database'));
});
