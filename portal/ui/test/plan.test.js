import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fit, move, read, remove, step, unplaced, write } from '../src/model/plan.js';

test('a point stays on the picture', () => {
  const points = move(new Map(), 'a', -3, 50.128);
  assert.deepEqual(points.get('a'), { x: 0, y: 50.13 });
  assert.deepEqual(move(points, 'a', 140, 101).get('a'), { x: 100, y: 100 });
  assert.deepEqual(points.get('a'), { x: 0, y: 50.13 }, 'the former points are as they were');
});

test('arrow keys move a point, and nothing else does', () => {
  const points = read([{ device_id: 'a', x: 10, y: 10 }]);
  assert.deepEqual(step(points, 'a', 'ArrowRight', false).get('a'), { x: 10.5, y: 10 });
  assert.deepEqual(step(points, 'a', 'ArrowUp', true).get('a'), { x: 10, y: 5 });
  assert.equal(step(points, 'a', 'x', false), null);
  assert.equal(step(points, 'b', 'ArrowUp', false), null, 'without a place');
});

test('what is written is what was read, but for devices of other floors', () => {
  const list = [{ device_id: 'a', x: 1, y: 2 }, { device_id: 'b', x: 3, y: 4 }];
  assert.deepEqual(write(read(list), () => true), list);
  assert.deepEqual(write(read(list), (id) => id === 'b'), [list[1]]);
  assert.deepEqual(write(remove(read(list), 'b'), () => true), [list[0]]);
  assert.deepEqual(unplaced([{ id: 'a' }, { id: 'c' }], read(list)), [{ id: 'c' }]);
});

test('a picture shrinks and keeps its shape', () => {
  assert.deepEqual(fit(4000, 1000, 2000), [2000, 500]);
  assert.deepEqual(fit(300, 200, 2000), [300, 200]);
  assert.deepEqual(fit(5000, 1, 2000), [2000, 1]);
});
