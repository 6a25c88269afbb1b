import assert from 'node:assert/strict';
import test from 'node:test';
import { chooseLanguage, FURTHER, translator } from '../src/core/i18n.js';
import * as f from '../src/core/format.js';
import en from '../src/i18n/en.js';
import zh from '../src/i18n/zh.js';

const t = translator(en);

test('ages are in one unit', () => {
  const got = [0, 300, 9949, 9950, 99_000, 99_500, 3_600_000, 6_000_000, 170_000_000, 172_800_000].map((ms) => f.age(ms, t).replace('\u2009', ' '));
  assert.deepEqual(got, ['0.0 s', '0.3 s', '9.9 s', '10 s', '99 s', '2 min', '60 min', '2 h', '47 h', '2 d']);
  assert.equal(f.age(-5, t), f.age(0, t));
  assert.equal(f.age(null, t), 'unknown');
  assert.equal(f.age(NaN, t), 'unknown');
});

test('numbers', () => {
  assert.equal(f.count(1234567), '1,234,567');
  assert.equal(f.count(999), '999');
  assert.equal(f.count(null), '–');
  assert.equal(f.rate(0.44), '0.4');
  assert.equal(f.rate(12.4), '12');
  assert.equal(f.rate(1234), '1,234');
  assert.equal(f.rate(20_000), '20.0k');
  assert.equal(f.rate(undefined), '–');
  assert.equal(f.fixed(-0.04, 1), '0.0');
  assert.equal(f.fixed(-1234.56, 1), '-1,234.6');
  assert.equal(f.fixed(5, 0), '5');
  assert.equal(f.millis(1234.5), '1,235\u2009ms');
  assert.equal(f.millis(undefined), '–');
  assert.equal(f.bytes(0), '0\u2009B');
  assert.equal(f.bytes(1536), '1.5\u2009KiB');
  assert.equal(f.bytes(1024 ** 3), '1.0\u2009GiB');
  assert.equal(f.bytes(999 * 1024 ** 5), '1022976\u2009TiB');
});

test('a sensor that was not sent is a dash, not a zero', () => {
  assert.equal(f.value(undefined, 1), '–');
  assert.equal(f.value({ value: 'x' }, 1), '–');
  assert.equal(f.value({ value: null }), '–');
  assert.equal(f.value({ value: 25.64, unit: '°C' }, 1), '25.6\u2009°C');
  assert.equal(f.value({ value: 2.5, unit: 'A' }, 2), '2.50\u2009A');
  assert.equal(f.value({ value: 0.87, unit: '1' }, 2), '0.87', 'a ratio has no unit');
});

test('a number without known decimals has four digits that count', () => {
  const got = [0, 1, 7.3, 25.64321, 1013.2499, -0.04321, 123456.7].map((value) => f.value({ value }));
  assert.deepEqual(got, ['0.000', '1.000', '7.300', '25.64', '1,013', '-0.043', '123,457']);
});

test('times', () => {
  const now = new Date(2026, 5, 15, 12, 0, 0).getTime();
  assert.equal(f.clock(new Date(2026, 5, 15, 9, 5, 7).getTime(), now), '09:05:07');
  assert.equal(f.clock(new Date(2026, 5, 14, 9, 5, 7).getTime(), now), '06-14 09:05:07');
  assert.equal(f.utc(0), '1970-01-01 00:00:00 UTC');
});

test('both dictionaries have the same texts with the same blanks, those of pages, too', async () => {
  const blanks = (s) => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort().join();
  const further = await Promise.all(Object.values(FURTHER).map(async (page) => [await page.en(), await page.zh()]));
  for (const [one, other] of [[en, zh], ...further]) {
    assert.deepEqual(Object.keys(other).sort(), Object.keys(one).sort());
    for (const [key, text] of Object.entries(one)) {
      assert.ok(other[key].trim(), key);
      assert.equal(blanks(other[key]), blanks(text), key);
    }
  }
});

test('translating', () => {
  assert.equal(translator(zh)('state.online'), '在线');
  assert.equal(t('no.such.key'), 'no.such.key');
  assert.equal(t('gateway.horizon', {}), ' left');
  assert.equal(chooseLanguage(null, 'zh-TW'), 'zh');
  assert.equal(chooseLanguage('en', 'zh-CN'), 'en');
  assert.equal(chooseLanguage('toString', undefined), 'en');
});

