// What the means of buildings are of. Pure functions.

/** MEMORY is how far the portal's own samples reach, in ms; what is older is in the history. */
const MEMORY = 600_000;

/**
 * offered returns the names of the ranges {name: ms} that have something to show which the next shorter one
 * has not: begins is when the oldest mean is of, 0 if there is none; code is why the history is away.
 */
export function offered(ranges, now, begins, code) {
  const names = Object.keys(ranges);
  return names.filter((name, i) => {
    if (i === 0) return true;
    if (code) return ranges[name] <= MEMORY;
    return begins > 0 && begins < now - ranges[names[i - 1]];
  });
}

/** countOf is how many devices the newest mean of a column is of, null if that is not known. */
export function countOf(column) {
  return column.n?.findLast((n) => n !== null) ?? null;
}
