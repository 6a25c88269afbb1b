import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FURTHER, translator } from '../src/core/i18n.js';
import { eventText, meansText, noteText, outcomeText, thwarted } from '../src/model/securityaudit.js';

const t = translator(await FURTHER.audit.en());
const zh = translator(await FURTHER.audit.zh());
const wrong = { what: 'sign_in', outcome: 'failed', reason: 'wrong name or password', via: 'local', address: '192.0.2.1', count: 999 };

test('a record is told in words', () => {
  assert.deepEqual([eventText(t, wrong), outcomeText(t, wrong), meansText(t, wrong), noteText(t, wrong)], ['sign-in · 999 times', 'failed', 'password · 192.0.2.1', 'wrong name or password']);
  assert.deepEqual([eventText(zh, wrong), outcomeText(zh, wrong), meansText(zh, wrong), noteText(zh, wrong)], ['登录 · 999 次', '失败', '密码 · 192.0.2.1', '姓名或密码错误']);
  assert.equal(noteText(zh, { outcome: 'refused', reason: 'not permitted to a viewer', detail: 'x' }), 'x · 该角色无此权限');
});

test('what is done is said once, and by nobody known', () => {
  const r = { what: 'user_add', outcome: 'done' };
  assert.deepEqual([eventText(t, r), outcomeText(t, r), meansText(t, r), noteText(t, r)], ['new person', '', '', '']);
  assert.deepEqual(['begun', 'done', 'failed', 'delayed', 'refused'].filter((outcome) => thwarted({ outcome })), ['failed', 'delayed', 'refused']);
});

test('codes of a later version stand as they are', () => {
  const r = { what: 'door_open', outcome: 'maybe', via: 'iris', reason: 'it rained' };
  assert.deepEqual([eventText(zh, r), outcomeText(zh, r), meansText(zh, r), noteText(zh, r)], ['door_open', 'maybe', 'iris', 'it rained']);
});
