// Files that the page makes for its user.

/** save offers a blob as a download. */
export function save(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/**
 * csv writes rows as text with a byte order mark, so that spreadsheets read it as UTF-8. A
 * cell that a spreadsheet would take for a formula gets an apostrophe in front.
 */
export function csv(columns, rows) {
  const cell = (v) => {
    let s = v === null || v === undefined ? '' : String(v);
    if (typeof v === 'string' && /^[=+\-@\t\r]/.test(s)) s = `'${s}`;
    return /[",\r\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s;
  };
  const lines = [columns.map(([name]) => cell(name)), ...rows.map((r) => columns.map(([, f]) => cell(f(r))))];
  return `\ufeff${lines.map((l) => l.join(',')).join('\r\n')}\r\n`;
}
