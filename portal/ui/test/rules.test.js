import assert from 'node:assert/strict';
import test from 'node:test';
import { createRules, fits, limitsOf, nextLimit, sampleOf } from '../src/model/rules.js';

const rule = (over) => ({ id: 'r', type: 'r', severity: 'high', kind: 'high', parameter: 'temperature', operator: '>', limit: 75, deadband: 3, ...over });

test('only limits on the scale of the value itself are drawn', () => {
  const rules = [
    rule({ id: 'a', limit: 95, kind: 'high_high', severity: 'critical' }),
    rule({ id: 'b' }),
    rule({ id: 'c', kind: 'rate', limit: 5 }),
    rule({ id: 'd', kind: 'deviation', limit: 4 }),
    rule({ id: 'e', kind: 'stuck', limit: null }),
    rule({ id: 'f', disabled: true, limit: 60 }),
    rule({ id: 'g', parameter: 'humidity', limit: 80 }),
    rule({ id: 'h', parameter: 'humidity', limit: 80, other: { kind: 'low', parameter: 'temperature', operator: '<', limit: 5, deadband: 0.5 } }),
  ];
  assert.deepEqual(limitsOf(rules, 'temperature'), [
    { value: 5, operator: '<', severity: 'high', deadband: 0.5, rule: 'h' },
    { value: 75, operator: '>', severity: 'high', deadband: 3, rule: 'b' },
    { value: 95, operator: '>', severity: 'critical', deadband: 3, rule: 'a' },
  ]);
});

test('the next limit is the nearest ahead, or the last one passed', () => {
  const limits = limitsOf([rule({ id: 'low', kind: 'low', operator: '<', limit: 5 }), rule({}), rule({ id: 'hh', limit: 95 })], 'temperature');
  assert.equal(nextLimit([], 20), null);
  assert.deepEqual([nextLimit(limits, 29).limit.value, nextLimit(limits, 29).distance], [5, 24]);
  assert.deepEqual([nextLimit(limits, 60).limit.value, nextLimit(limits, 60).distance], [75, 15]);
  assert.deepEqual([nextLimit(limits, 80).limit.value, nextLimit(limits, 80).distance], [75, -5]);
  assert.deepEqual([nextLimit(limits, 97).limit.value, nextLimit(limits, 97).distance], [95, -2]);
});

test('an answer is kept until the rules have another version', async () => {
  let version = 'v1';
  let asked = 0;
  let at = 0;
  const rules = createRules({ ask: async () => (asked++, { version, rules: [] }), now: () => at });
  await Promise.all([rules.rulesOf('a'), rules.rulesOf('a'), rules.rulesOf('b')]);
  await rules.rulesOf('a');
  assert.equal(asked, 2);
  at = 31_000;
  version = 'v2';
  assert.equal((await rules.rulesOf('a')).version, 'v2');
  at = 40_000;
  await rules.rulesOf('a');
  assert.equal(asked, 3);
  await rules.rulesOf('b'); // its answer was of the former rules
  assert.equal(asked, 4);
});

test('a failure is not kept', async () => {
  let fails = true;
  const rules = createRules({ ask: async () => { if (fails) throw new Error('away'); return { version: '1', rules: [] }; } });
  await assert.rejects(rules.rulesOf('a'));
  fails = false;
  assert.deepEqual((await rules.rulesOf('a')).rules, []);
});

test('a rule chooses devices by place, model and id', () => {
  const d = { device_id: 'cold_12', location: { building: 'A栋', floor: 1 }, device_info: { model: 'X-1.5' } };
  for (const [where, want] of [
    [undefined, true], [{}, true], [{ buildings: ['B栋', 'A栋'] }, true], [{ buildings: ['B栋'] }, false], [{ floors: [1] }, true], [{ floors: [2] }, false],
    [{ models: ['X-*'] }, true], [{ models: ['X-1.5'] }, true], [{ models: ['X-1+5'] }, false], [{ models: ['X-125'] }, false], [{ devices: ['*_1*'] }, true], [{ devices: ['cold'] }, false],
    [{ buildings: ['A栋'], devices: ['warm_*'] }, false],
  ]) assert.equal(fits(where, d), want, JSON.stringify(where));
});

test('a rule without alarms is shown beside a device that it applies to', async () => {
  const asked = [];
  const items = ['a_1', 'b_1', 'b_2'].map((device_id) => ({ device_id, location: { building: 'A栋' } }));
  const ask = async (path) => (asked.push(path), { items });
  const applies = async (id) => ({ rules: [rule({ id: id === 'b_2' ? 'r' : 'other' })] });
  const r = rule({ devices: 2, where: { buildings: ['A栋'], devices: ['b_*'] } });
  assert.equal(await sampleOf(r, ask, applies), 'b_2', 'another rule of its type is for b_1');
  assert.match(asked[0], /sensor=temperature&presence=online&building=A/);
  assert.equal(await sampleOf({ ...r, sample: 'x' }, ask, applies), 'x');
  assert.equal(await sampleOf({ ...r, devices: 0 }, ask, applies), '');
  assert.equal(await sampleOf({ ...r, parameter: undefined }, ask, applies), '');
  assert.equal(asked.length, 1);
});
