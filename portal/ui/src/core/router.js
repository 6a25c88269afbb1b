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

/** carry returns a route with the parameters that are kept from page to page; one that is there, even empty, stays. */
export function carry(route, kept) {
  const more = Object.entries(kept).filter(([name, value]) => value && !(name in route.params));
  return more.length === 0 ? route : { ...route, params: { ...Object.fromEntries(more), ...route.params } };
}

/**
 * createRouter calls onChange(route) for the current address and each later one. carried are names of parameters
 * that an address without them takes over from the one before.
 */
export function createRouter(onChange, carried = []) {
  const kept = {};
  const keep = ({ params }) => carried.forEach((name) => (kept[name] = params[name] ?? ''));
  const current = () => parse(location.hash);

  function arrive() {
    const route = carry(current(), kept);
    keep(route);
    if (format(route) !== format(current())) history.replaceState(null, '', format(route));
    onChange(route);
  }

  addEventListener('hashchange', arrive);
  return {
    current,
    start: arrive,
    go(page, subject, params) {
      location.hash = format({ page, subject, params });
    },
    /** set changes parameters of the present page without a new entry in the history. */
    set(params) {
      const now = carry(current(), kept); // a page may set them after the address changed and before it arrives
      const next = format({ ...now, params: { ...now.params, ...params } });
      history.replaceState(null, '', next);
      keep(parse(next));
      return parse(next);
    },
  };
}
