// The REST API. Every call has a deadline.

export class ApiError extends Error {
  constructor(path, status, code, message, body = null) {
    super(message || `${path}: ${code}`);
    this.status = status;
    this.code = code;
    this.body = body;
  }
}

async function call(path, init, within) {
  const response = await fetch(path, { ...init, signal: AbortSignal.timeout(within) });
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) {
    throw new ApiError(path, response.status, body?.error?.code ?? `http ${response.status}`, body?.error?.message, body);
  }
  return body;
}

/** get asks for JSON. */
export const get = (path, { within = 8000 } = {}) => call(path, { headers: { Accept: 'application/json' } }, within);

/** send sends JSON with a method and returns the answer. */
export const send = (method, path, body, { within = 10_000, headers = {} } = {}) =>
  call(path, { method, headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...headers }, body: JSON.stringify(body) }, within);

/** post sends JSON and returns the answer. */
export const post = (path, body, options) => send('POST', path, body, options);

/** query encodes parameters; empty ones are omitted. */
export function query(params) {
  const q = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) if (value !== '' && value !== null && value !== undefined) q.set(key, String(value));
  const text = q.toString();
  return text ? `?${text}` : '';
}
