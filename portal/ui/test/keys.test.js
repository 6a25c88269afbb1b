import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { FURTHER } from '../src/core/i18n.js';
import en from '../src/i18n/en.js';
import zh from '../src/i18n/zh.js';

const src = new URL('../src/', import.meta.url);
const files = readdirSync(src, { recursive: true }).filter((f) => f.endsWith('.js') && !f.startsWith('i18n'));
const code = files.map((f) => readFileSync(new URL(f, src), 'utf8')).join('\n');

test('every text is used and every text that is used exists', async () => {
  const all = async (lang, first) => [first, ...(await Promise.all(Object.values(FURTHER).map((page) => page[lang]())))].flatMap(Object.keys);
  const keys = await all('en', en);
  assert.equal(new Set(keys).size, keys.length, 'no text is in two dictionaries');
  assert.deepEqual(await all('zh', zh), keys, 'both languages have the same texts, in the same order');
  const quoted = new Set([...code.matchAll(/['`]([a-z]+(?:[._][a-zA-Z0-9_]+)*)['`]/g)].map((m) => m[1]));
  const families = [...code.matchAll(/`([a-z]+(?:\.[a-z]+)*\.)\$\{/g)].map((m) => m[1]);
  for (const key of keys) {
    assert.ok(quoted.has(key) || families.some((f) => key.startsWith(f)), `${key} is not used`);
  }
  const asked = [...code.matchAll(/\bt\('([^']+)'/g)].map((m) => m[1]);
  assert.ok(asked.length > 100);
  for (const key of asked) assert.ok(keys.includes(key), `${key} is not in the dictionaries`);
});

test('nothing on the page is made from text', () => {
  assert.doesNotMatch(code, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser/);
});

test('there is one requestAnimationFrame', () => {
  assert.equal([...code.matchAll(/requestAnimationFrame\(/g)].length, 1);
});
