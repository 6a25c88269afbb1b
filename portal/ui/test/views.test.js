import assert from 'node:assert/strict';
import test from 'node:test';
import { parse } from '../src/core/router.js';
import { viewHref, viewOf } from '../src/model/views.js';

test('a saved view leads to where it was saved', () => {
  for (const hash of ['#/alarms?severity=critical&q=3%E5%8F%B7+%26', '#/device/dev%2F1?range=7d', '#/overview', '#/devices?q=%3Cb%3E%22%5C', '#/shiftnotes?q=a%23b']) {
    const route = parse(hash);
    assert.deepEqual(parse(viewHref(viewOf(route))), { ...route, params: { ...route.params, b: '' } }, `${hash}: of all buildings, and says so`);
    const there = { ...route, params: { ...route.params, b: 'B栋' } };
    assert.deepEqual(parse(viewHref(viewOf(there))), there);
  }
});

test('a query has only what the portal takes', () => {
  const { query } = viewOf({ page: 'devices', subject: '', params: { q: '温度 <b>"\\#&=%' } });
  assert.match(query, /^[!-~]*$/);
  assert.doesNotMatch(query, /[#"<>\\]/);
});

test('a view leads nowhere else', () => {
  for (const view of [
    { page: '//evil.example', query: '' }, { page: 'javascript:alert(1)', query: '' }, { page: 'alarms', subject: '../../x', query: '' },
    { page: 'alarms', query: 'q=1#/x' },
  ]) {
    const href = viewHref(view);
    assert.ok(href.startsWith('#/'), href);
    assert.equal(new URL(href, 'http://portal.example/').origin, 'http://portal.example');
  }
});
