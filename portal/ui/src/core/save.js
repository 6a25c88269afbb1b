// Downloads.

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
 * csv encodes rows with a byte order mark, so that spreadsheets read UTF-8. A cell that a
 * spreadsheet could read as a formula gets a leading apostrophe, as in the portal's export.
 */
export function csv(columns, rows) {
  const cell = (v) => {
    let s = v === null || v === undefined ? '' : String(v);
    if (typeof v === 'string' && /^[\s\p{C}]*[=+\-@＝＋－＠]|^[\t\r\n]/u.test(s)) s = `'${s}`;
    return /[",\r\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s;
  };
  const lines = [columns.map(([name]) => cell(name)), ...rows.map((r) => columns.map(([, f]) => cell(f(r))))];
  return `\ufeff${lines.map((l) => l.join(',')).join('\r\n')}\r\n`;
}
