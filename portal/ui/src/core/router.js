// The page and its settings, all in the address after '#', so that operators can share a view:
// #/trends?devices=a,b&range=5m

/** parse reads the part after '#'. The first segment is the page, the second its subject. */
export function parse(hash) {
  const [path, query = ''] = hash.replace(/^#?\/?/, '').split('?', 2);
  const [page = '', ...rest] = path.split('/').filter(Boolean).map(decode);
  return { page: page || 'overview', subject: rest.join('/'), params: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // malformed address
  }
}

/** format is the inverse of parse; empty parameters are omitted. */
export function format({ page, subject = '', params = {} }) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== '' && value !== null && value !== undefined && value !== false) query.set(key, value === true ? '1' : String(value));
  }
  const q = query.toString();
  return `#/${page}${subject ? `/${encodeURIComponent(subject)}` : ''}${q ? `?${q}` : ''}`;
}

/** createRouter calls onChange(route) for the current address and each later one. */
export function createRouter(onChange) {
  const current = () => parse(location.hash);
  addEventListener('hashchange', () => onChange(current()));
  return {
    current,
    start: () => onChange(current()),
    go(page, subject, params) {
      location.hash = format({ page, subject, params });
    },
    /** set changes parameters of the present page without a new entry in the history. */
    set(params) {
      const now = current();
      const next = format({ ...now, params: { ...now.params, ...params } });
      history.replaceState(null, '', next);
      return parse(next);
    },
  };
}
