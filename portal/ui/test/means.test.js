import assert from 'node:assert/strict';
import test from 'node:test';
import { countOf, offered } from '../src/model/means.js';
import { RANGES } from '../src/model/series.js';

test('a range is offered that shows more than the one before', () => {
  const now = 1_700_000_000_000;
  const after = (ms) => offered(RANGES, now, now - ms);
  assert.deepEqual(after(30_000), ['1m']);
  assert.deepEqual(after(90_000), ['1m', '5m']);
  assert.deepEqual(after(7_200_000), ['1m', '5m', '1h', '1d']);
  assert.deepEqual(after(40 * 86_400_000), Object.keys(RANGES));
  assert.deepEqual(offered(RANGES, now, 0), ['1m'], 'there is nothing yet');
  assert.deepEqual(offered(RANGES, now, 0, 'history_unavailable'), ['1m', '5m'], 'the portal itself has ten minutes');
});

test('a mean says of how many devices it is', () => {
  assert.equal(countOf({ n: [3, 1000, null] }), 1000);
  assert.equal(countOf({}), null);
});
