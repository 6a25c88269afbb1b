import assert from 'node:assert/strict';
import test from 'node:test';
import { listenToKeys } from '../src/core/keys.js';

/** keyboard returns press(key, timeStamp), which tells what was done. */
function keyboard() {
  let press;
  const done = [];
  listenToKeys({ addEventListener: (_, f) => (press = f) }, { go: (to) => done.push(to), pause: () => done.push('pause'), search: () => done.push('search') });
  return (key, timeStamp) => {
    press({ key, timeStamp, target: {}, preventDefault() {}, stopImmediatePropagation() {} });
    return done.splice(0).join();
  };
}

test('a letter jumps within a second after g, and only then', () => {
  const press = keyboard();
  assert.equal(press('p', 3), 'pause', 'nothing was pressed before, however young the page is');
  assert.equal(press('a', 4), '');
  assert.equal(press('g', 500), '');
  assert.equal(press('p', 1499), 'report');
  assert.equal(press('p', 1500), 'pause', 'once');
  press('g', 2000);
  assert.equal(press('p', 3000), 'pause', 'too late');
});
