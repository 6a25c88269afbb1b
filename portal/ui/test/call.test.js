import assert from 'node:assert/strict';
import test from 'node:test';
import { AGAIN, createCall, FRESH, groupOf, headline, SILENCE } from '../src/model/call.js';

const raised = (id, severity = 'critical', more = {}) => ({ alert_id: id, severity, status: 'active', state: 'unacknowledged', ...more });

test('a new alarm sounds at once, and again until it is seen', () => {
  const call = createCall();
  let now = 1_000_000;
  assert.equal(call.due(now), null);
  assert.equal(call.take(raised('a'), true, now, now), true);
  assert.equal(call.due(now), 'critical');
  call.played('critical', now);
  assert.equal(call.due(now + AGAIN.critical - 1), null);
  now += AGAIN.critical;
  assert.equal(call.due(now), 'critical');
  call.seen();
  assert.equal(call.due(now + 10 * AGAIN.critical), null);
  call.take(raised('b'), true, now, now);
  assert.equal(call.due(now), 'critical', 'what is new calls again');
});

test('acknowledging, shelving and the end of an alarm end its call', () => {
  for (const more of [{ state: 'acknowledged' }, { shelved: { until: 1 } }, { suppressed: {} }, { out_of_service: {} }, { state: 'normal', status: 'cleared' }]) {
    const call = createCall();
    call.take(raised('a'), true, 0, 0);
    call.take(raised('a', 'critical', more), false, 1, 0);
    assert.equal(call.due(2), null, JSON.stringify(more));
  }
  const call = createCall();
  call.take(raised('a'), true, 0, 0);
  call.keep(() => undefined);
  assert.equal(call.due(1), null, 'it was closed while the page was away');
});

test('what is over but was not seen still calls', () => {
  const call = createCall();
  call.take(raised('a'), true, 0, 0);
  call.take(raised('a', 'critical', { status: 'cleared', state: 'returned_unacknowledged' }), false, 1, 0);
  assert.equal(call.due(2), 'critical');
});

test('what needs nobody now makes no call', () => {
  const call = createCall();
  for (const more of [{ shelved: { until: 9 } }, { suppressed: {} }, { historical: true }, { out_of_service: {} }, { state: 'acknowledged' }]) call.take(raised('a', 'critical', more), true, 0, 0);
  call.take(raised('old'), true, FRESH + 1, 0);
  call.take(raised('changed'), false, 0, 0);
  assert.equal(call.due(1), null);
});

test('a flood is one call, and only a worse alarm breaks into it', () => {
  const call = createCall();
  let sounds = 0;
  const step = (now) => {
    const severity = call.due(now);
    if (severity) sounds++;
    if (severity) call.played(severity, now);
  };
  for (let i = 0; i < 200; i++) {
    call.take(raised(`a${i}`, 'high'), true, i * 40, i * 40);
    step(i * 40);
  }
  assert.equal(sounds, 1, '200 alarms in 8 s');
  call.take(raised('worse', 'critical'), true, 8100, 8100);
  step(8100);
  assert.equal(sounds, 2);
  call.take(raised('low', 'low'), true, 8200, 8200);
  step(8200);
  assert.equal(sounds, 2);
});

test('silence ends by itself', () => {
  const call = createCall();
  call.take(raised('a'), true, 0, 0);
  call.silence(SILENCE);
  assert.equal(call.due(SILENCE - 1), null);
  assert.equal(call.due(SILENCE), 'critical');
});

test('the title begins with the worst', () => {
  assert.equal(headline('x', { critical: 2, high: 5, medium: 0, low: 1 }), '◆2 x');
  assert.equal(headline('x', { critical: 0, high: 0, medium: 0, low: 3 }), '●3 x');
  assert.equal(headline('x', { critical: 0, high: 0, medium: 0, low: 0 }), 'x');
  assert.equal(groupOf({ location: { building: 'A栋' }, alert_type: 't' }), 'A栋/t');
});
