// How long to wait between tries to connect.
const FIRST = 500;
const LONGEST = 4_000; // an operator should not wait for it

/** pause is how long to wait before the n-th try in a row, n from 0, in ms. */
export function pause(n, random = Math.random) {
  const base = Math.min(FIRST * 2 ** n, LONGEST);
  return base / 2 + (base / 2) * random(); // spread, so that a thousand pages do not come at once
}
