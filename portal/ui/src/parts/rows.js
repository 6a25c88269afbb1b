/** windowOf returns which rows of a long table must exist at a scroll position. */
export function windowOf({ top, height, row, total, extra = 6 }) {
  const from = Math.max(Math.floor(top / row) - extra, 0);
  const to = Math.min(Math.ceil((top + height) / row) + extra, total);
  return { from: Math.min(from, Math.max(total - 1, 0)), to };
}
