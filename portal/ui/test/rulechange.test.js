import assert from 'node:assert/strict';
import test from 'node:test';
import { changedFigures, differing, idIn, lineAt, lineDiff, placeOf, rounded, samePerson, STOPS, stopAfter, stopAt, timeText, withFigures } from '../src/model/rulechange.js';

const text = '- id: hot\n  kind: high\n  parameter: temperature\n  limit: 75\n  on_delay: 10s\n  severity: high\n  where:\n    building: ["A栋"]\n';
const rule = { id: 'hot', limit: 75, deadband: 0, on_delay_ms: 10_000, off_delay_ms: 0, text };

test('only figures that differ are a change', () => {
  assert.deepEqual(changedFigures(rule, { limit: 75, deadband: 0, on_delay_ms: 10_000, off_delay_ms: 0 }), {});
  assert.deepEqual(changedFigures(rule, { limit: 78.5, deadband: 0, on_delay_ms: 0, off_delay_ms: 0 }), { limit: 78.5, on_delay_ms: 0 });
  assert.deepEqual(changedFigures({ on_delay_ms: 5 }, { deadband: 0, on_delay_ms: 5 }), {}, 'what is absent is 0');
});

test('times are written as in a rules file', () => {
  for (const [ms, want] of [[0, '0s'], [1500, '1.5s'], [10_000, '10s'], [60_000, '1m'], [90_000, '1m30s'], [3_600_000, '1h'], [5_415_000, '1h30m15s'], [86_400_000, '24h']]) assert.equal(timeText(ms), want);
});

test('figures change their lines and no others', () => {
  assert.equal(withFigures(rule, {}), text);
  assert.equal(withFigures(rule, { limit: 78.5, on_delay_ms: 0 }), text.replace('limit: 75', 'limit: 78.5').replace('  on_delay: 10s\n', ''));
  assert.equal(withFigures(rule, { deadband: 3, off_delay_ms: 90_000 }), text.replace('limit: 75\n', 'limit: 75\n  deadband: 3\n').replace('10s\n', '10s\n  off_delay: 1m30s\n'));
  const own = { ...rule, limit: 80, deadband: 5, text: text.replace('limit: 75', 'unit: "°F"\n  limit: 176\n  deadband: 9') };
  assert.equal(withFigures(own, { limit: 81 }), text.replace('limit: 75', 'limit: 81\n  deadband: 5'), 'in the canonical unit, the deadband, too');
  assert.equal(withFigures(own, { on_delay_ms: 5000 }), own.text.replace('10s', '5s'), 'its unit stays when only a delay changes');
  assert.equal(withFigures({ text: '- id: a\n  kind: stuck\n' }, { on_delay_ms: 1000 }), '- id: a\n  kind: stuck\n  on_delay: 1s\n');
});

test('a difference has every line of both texts, in order', () => {
  const other = text.replace('limit: 75', 'limit: 78.5').replace('  severity: high\n', '').replace('  where:', '  disabled: true\n  where:');
  const diff = lineDiff(text, other);
  assert.equal(diff.filter((l) => l.op !== '+').map((l) => `${l.text}\n`).join(''), text);
  assert.equal(diff.filter((l) => l.op !== '-').map((l) => `${l.text}\n`).join(''), other);
  assert.equal(differing(diff), 2);
  assert.deepEqual(lineDiff('', 'a\nb\n'), [{ op: '+', text: 'a' }, { op: '+', text: 'b' }]);
  assert.deepEqual(lineDiff('a\n', ''), [{ op: '-', text: 'a' }]);
  assert.equal(differing(lineDiff(text, `${text}\n\n`)), 0, 'blanks at the end are none');
  assert.equal(differing(lineDiff('a\nb\nc', 'a\nx\ny\nc')), 2);
});

test('what is read in a text', () => {
  assert.equal(idIn(text), 'hot');
  assert.equal(idIn('# a rule\n- id: "cold_store"\n'), 'cold_store');
  assert.equal(idIn('rules:\n  - {id: a-1, kind: offline}\n'), 'a-1');
  assert.equal(idIn('- kind: high\n  parameter: id\n'), '');
  assert.deepEqual(lineAt('ab\ncde\n', 2), [3, 6]);
  assert.deepEqual(lineAt('ab', 9), [3, 3]);
  assert.ok(samePerson(' Li Wei ', 'li wei') && !samePerson('李工', '王工'));
});

test('a delay has its place between the stops', () => {
  for (const s of STOPS) {
    assert.equal(stopAt(placeOf(s)), s);
    assert.equal(stopAfter(stopAfter(s, 1), -1), s === STOPS.at(-1) ? STOPS.at(-2) : s);
  }
  assert.ok(placeOf(7000) > placeOf(5000) && placeOf(7000) < placeOf(10_000));
  assert.equal(stopAfter(7000, 1), 10_000);
  assert.equal(stopAfter(7000, -1), 5000);
  assert.equal(stopAfter(0, -1), 0);
  assert.equal(stopAfter(100_000_000, -1), STOPS.at(-1));
  assert.equal(placeOf(100_000_000), 1);
  assert.equal(rounded(75.04999, 1), 75);
  assert.equal(rounded(-0.26, 1), -0.3);
});
