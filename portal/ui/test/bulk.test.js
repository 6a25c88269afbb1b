import assert from 'node:assert/strict';
import test from 'node:test';
import { PART, sendMany } from '../src/model/bulk.js';

const many = (n) => Array.from({ length: n }, (_, i) => ({ alert_id: `a${i}` }));

/** bulk sends n alarms to a portal that answers with outcome(id, n-th request) and returns what it got and said. */
async function bulk(n, answer) {
  const asked = [];
  const steps = [];
  let ids = 0;
  const post = async (body) => {
    asked.push(body);
    const outcome = answer(asked.length);
    if (outcome instanceof Error) throw outcome;
    return { items: body.alert_ids.map((id) => ({ alert_id: id, ...outcome(id) })) };
  };
  const r = await sendMany({ action: 'acknowledge', by: 'x' }, many(n), { post, progress: (k) => steps.push(k), pause: async () => {}, newID: () => `c${ids++}` });
  return { r, asked, steps };
}

const applied = () => ({ outcome: 'applied' });
const failing = (status) => Object.assign(new Error(`status ${status}`), { status });

test('a command to many alarms goes in parts, and all of them are counted', async () => {
  const { r, asked, steps } = await bulk(1185, () => applied);
  assert.deepEqual(r, { done: 1185, nothing: 0, unknown: 0, refused: [] });
  assert.equal(asked.length, Math.ceil(1185 / PART));
  assert.equal(new Set(asked.flatMap((b) => b.alert_ids)).size, 1185);
  assert.equal(new Set(asked.map((b) => b.command_id)).size, asked.length, 'each part is a command of its own');
  assert.equal(steps.at(-1), 1185);
});

test('what was refused is counted by its reason', async () => {
  const { r } = await bulk(10, () => (id) => (id === 'a0' ? { outcome: 'nothing_to_do' } : id < 'a4' ? { outcome: 'refused', reason: 'over' } : id === 'a9' ? { outcome: 'not_found', reason: 'unknown alarm' } : applied()));
  assert.deepEqual(r, { done: 5, nothing: 1, unknown: 0, refused: [['over', 3], ['unknown alarm', 1]] });
});

test('an outcome that is not known yet is asked for again under the same id', async () => {
  const { r, asked } = await bulk(3, (n) => (id) => (n === 1 && id !== 'a0' ? { outcome: 'pending' } : applied()));
  assert.equal(r.done, 3);
  assert.deepEqual(asked.map((b) => [b.command_id, b.alert_ids.length]), [['c0', 3], ['c0', 2]]);
  const never = await bulk(2, () => () => ({ outcome: 'pending' }));
  assert.deepEqual(never.r, { done: 0, nothing: 0, unknown: 2, refused: [] });
});

test('a busy portal is asked again, a wrong command is not', async () => {
  assert.equal((await bulk(2, (n) => (n === 1 ? failing(429) : applied))).r.done, 2);
  await assert.rejects(bulk(2, () => failing(400)), /status 400/);
  await assert.rejects(bulk(2, () => failing(503)), /status 503/, 'nothing was done');
  const half = await bulk(2 * PART, (n) => (n === 1 ? applied : failing(503)));
  assert.deepEqual(half.r, { done: PART, nothing: 0, unknown: 0, refused: [['status 503', PART]] }, 'what was done is said');
});
