import assert from 'node:assert/strict';
import test from 'node:test';
import { drawing, eventsOf, extent } from '../src/model/evidence.js';

const samples = [
  { values: [null], raw: [20] },
  { values: [6], raw: [26] },
];
const of = (condition, alarm = {}) => drawing(alarm, { conditions: [{ parameter: 'temperature', operator: '>', limit: 5, deadband: 0, ...condition }], samples });

test('a limit on the value is drawn with its deadband', () => {
  assert.deepEqual(of({ kind: 'high', deadband: 1 }), {
    lines: [{ parameter: 'temperature', values: [20, 26] }], limits: [{ value: 5, kind: 'limit' }, { value: 4, kind: 'back' }], notes: ['limit'],
  });
  assert.deepEqual(of({ kind: 'low', operator: '<', deadband: 1 }).limits[1], { value: 6, kind: 'back' });
});

test('a limit on something else is not drawn, and the page says why', () => {
  for (const kind of ['rate', 'stuck', 'deviation']) {
    assert.deepEqual(of({ kind }), { lines: [{ parameter: 'temperature', values: [20, 26] }], limits: [], notes: [kind] });
  }
  assert.deepEqual(of({ kind: 'switch', operator: '=' }).limits, []);
});

test('a deviation is drawn around the room', () => {
  assert.deepEqual(of({ kind: 'deviation', limit: 3 }, { room_value: 21 }).limits, [{ value: 21, kind: 'room' }, { value: 18, kind: 'limit' }, { value: 24, kind: 'limit' }]);
});

test('two conditions on one sensor are one line', () => {
  const two = [{ parameter: 'temperature', kind: 'high', operator: '>', limit: 75, deadband: 0 }, { parameter: 'temperature', kind: 'rate', operator: '>', limit: 5, deadband: 0 }];
  const d = drawing({}, { conditions: two, samples: [{ values: [80, 6], raw: [80, 80] }] });
  assert.deepEqual(d.lines, [{ parameter: 'temperature', values: [80] }]);
  assert.deepEqual(d.notes, ['limit', 'rate']);
});

test('explanations of a former core show what they measured, and no limit that is none', () => {
  const former = (c) => drawing({}, { conditions: [{ parameter: 'temperature', operator: '>', limit: 5, deadband: 0, ...c }], samples: [{ values: [6] }] });
  assert.deepEqual(former({ unit: '°C/min' }), { lines: [{ parameter: 'temperature', values: [6] }], limits: [], notes: ['rate'] });
  assert.deepEqual(former({ operator: '>=', unit: 's' }).notes, ['stuck']);
  assert.deepEqual(former({ unit: '°C' }).limits, [{ value: 5, kind: 'limit' }]);
});

test('every limit is in view, also far from the values', () => {
  assert.deepEqual(extent(800, 800, [{ value: 400 }]), [360, 840]);
  assert.deepEqual(extent(50, 50, []), [49, 51]);
  assert.deepEqual(extent(null, null, []), [0, 1]);
});

test('an alarm is marked where it was raised, by its record if the readings do not show it', () => {
  const times = [{ time: 1 }, { time: 5, event: 'raised' }, { time: 9 }];
  assert.deepEqual(eventsOf({ raised_at: 4 }, times), [{ time: 5, event: 'raised' }]);
  assert.deepEqual(eventsOf({ raised_at: 4, cleared_at: 20 }, [{ time: 1 }, { time: 9 }]), [{ time: 4, event: 'raised' }]);
  assert.deepEqual(eventsOf({ raised_at: 4 }, []), []);
});
