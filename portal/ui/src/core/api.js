// The REST API. Every call has a deadline, and an error says what failed.

export class ApiError extends Error {
  constructor(path, status, code) {
    super(`${path}: ${code}`);
    this.status = status;
    this.code = code;
  }
}

export async function get(path, { fetcher = fetch, within = 8000 } = {}) {
  const response = await fetcher(path, { signal: AbortSignal.timeout(within), headers: { Accept: 'application/json' } });
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) {
    throw new ApiError(path, response.status, body?.error?.code ?? `http ${response.status}`);
  }
  return body;
}

/** all reads a list page by page and calls each(item) for every item. Returns the total. */
export async function all(path, each, options) {
  const limit = 1000;
  for (let offset = 0; ; offset += limit) {
    const sep = path.includes('?') ? '&' : '?';
    const page = await get(`${path}${sep}limit=${limit}&offset=${offset}`, options);
    page.items.forEach(each);
    if (page.count < limit) return page.total;
  }
}
