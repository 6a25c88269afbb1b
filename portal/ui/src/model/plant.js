// The current totals and gateways, and whether the page's data is live. The sources are the
// topics `stats` and `gateways`, and the connection itself.

/** A frame comes at least every second; without one for this long values are stale. */
export const STALE = 2500;

export function createPlant({ now = Date.now } = {}) {
  const state = { stats: null, gateways: [], socket: 'connecting', since: now(), closeCode: 0, frame: 0, begun: now(), hub: 0, insecure: [] };
  let offset = 0; // the server's clock minus ours
  const rates = []; // readings a second, for the sparkline

  const serverNow = () => now() + offset;

  /** liveness returns whether the data is live: {state, age} with age in ms. */
  function liveness() {
    const silence = now() - (state.frame || state.begun);
    if (state.socket === 'refused') return { state: 'refused', age: silence };
    if (state.socket !== 'open' && !state.frame) return { state: 'connecting', age: silence };
    if (state.socket !== 'open') return { state: silence > STALE ? 'reconnecting' : 'live', age: silence };
    if (silence > STALE) return { state: 'stale', age: silence };
    if (!state.stats) return { state: 'waiting', age: silence };
    if (!state.stats.sources.hub) return { state: 'cut', age: silence };
    return { state: 'live', age: silence };
  }

  /**
   * asOf is the time, by the server's clock, after which nothing is known of the plant's values; 0 while
   * they are live or there are none yet.
   */
  function asOf() {
    const { state: name } = liveness();
    if (name === 'live' || name === 'waiting' || !state.frame) return 0;
    return name === 'cut' ? state.hub : state.frame + offset;
  }

  return {
    state,
    rates,
    serverNow,
    hello(h) {
      offset = h.server_time - now();
      state.insecure = h.insecure ?? [];
    },
    heard() {
      state.frame = now();
    },
    takeStats({ data, kind }) {
      state.stats = kind === 'snapshot' ? data[0] : data;
      rates.push(state.stats.readings.per_second);
      if (rates.length > 60) rates.shift();
      offset += (state.stats.time - now() - offset) * 0.1; // smoothed: frames can be late
      if (state.stats.sources.hub || !state.hub) state.hub = state.stats.time;
    },
    takeGateways({ data, kind }) {
      const items = (kind === 'snapshot' ? data[0] : data).items;
      const before = new Map(state.gateways.map((g) => [g.gateway, g]));
      state.gateways = items.map((g) => {
        const old = before.get(g.gateway);
        const again = old && old.epoch === g.epoch && g.time > old.time;
        return { ...g, at: now(), rate: again ? ((g.accepted - old.accepted) * 1000) / (g.time - old.time) : (old?.rate ?? null) };
      });
    },
    setSocket(name, code = 0) {
      if ((state.socket === 'open') !== (name === 'open')) state.since = now();
      state.socket = name;
      state.closeCode = code;
    },
    asOf,
    liveness,
    /** ageOf returns the age of a time by the server's clock, in ms. Once nothing comes any more it stands still. */
    ageOf: (ms) => (ms ? Math.max((asOf() || serverNow()) - ms, 0) : null),
  };
}
