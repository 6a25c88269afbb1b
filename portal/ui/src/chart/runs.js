// The pieces of a line. A value of undefined is at another line's time and belongs to no piece; null ends one.

/** runs returns the indexes of each piece of a line between two indexes, both inclusive. */
export function runs(line, first = 0, last = line.length - 1) {
  const all = [];
  let run = [];
  for (let i = first; i <= last; i++) {
    const v = line[i];
    if (v === undefined) continue;
    if (v !== null) run.push(i);
    else if (run.length > 0) {
      all.push(run);
      run = [];
    }
  }
  if (run.length > 0) all.push(run);
  return all;
}

/** extent returns the lowest and the highest of lists between two indexes, [null, null] if there is none. */
export function extent(lists, first, last) {
  let low = Infinity;
  let high = -Infinity;
  for (const list of lists) {
    for (let i = first; i <= last; i++) {
      const v = list?.[i];
      if (v === undefined || v === null) continue;
      if (v < low) low = v;
      if (v > high) high = v;
    }
  }
  return low > high ? [null, null] : [low, high];
}
