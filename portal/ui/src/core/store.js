// What the page knows: devices with their newest readings, alarms, gateways and figures.
// It fetches nothing and draws nothing; main.js feeds it and components read it.

export const SEVERITIES = ['critical', 'high', 'medium', 'low'];

/** rank orders severities, the worst first. */
export function rank(severity) {
  const i = SEVERITIES.indexOf(severity);
  return i < 0 ? SEVERITIES.length : i;
}

const KEEP_CLEARED = 200;
const DEFAULT_INTERVAL = 5000;

export function createStore({ now = Date.now } = {}) {
  const devices = new Map();
  const alerts = new Map();
  const listeners = new Set();
  let order = null; // devices by id, made when asked for
  let clearedKept = 0; // cleared alarms the portal could list when we asked
  let clearedSeen = 0; // those that cleared since
  let offset = 0; // the server's clock less ours
  const live = { newest: 0, arrived: 0, gap: 1000, count: 0 };
  const state = { stats: null, statsAt: 0, gateways: [], gatewaysAt: 0, socket: 'connecting', socketSince: now(), closeCode: 0 };

  function changed(what) {
    for (const f of listeners) f(what);
  }

  function device(id) {
    let d = devices.get(id);
    if (!d) {
      d = { id, location: {}, presence: 'unknown', interval: 0, seen: 0, reading: null, alarm: null };
      devices.set(id, d);
      order = null;
    }
    return d;
  }

  /** takeReading files a device_data payload. An older one than is known changes nothing. */
  function takeReading(r) {
    const d = device(r.device_id);
    const at = now();
    live.gap += (Math.min(at - live.arrived, 10_000) - live.gap) * (live.arrived ? 0.05 : 0);
    live.arrived = at;
    live.count++;
    if (d.reading && r.timestamp < d.seen) return;
    d.reading = r;
    d.seen = r.timestamp;
    if (r.location) d.location = r.location;
    // What has just spoken is online; a reading that waited in a buffer says nothing of now.
    if (serverNow() - r.timestamp < 60_000) d.presence = 'online';
    live.newest = Math.max(live.newest, Math.min(r.timestamp, serverNow()));
    changed('devices');
  }

  /** takeDevice files a device of the REST API. */
  function takeDevice(v) {
    const d = device(v.device_id);
    d.location = v.location ?? d.location;
    d.interval = v.interval_ms ?? d.interval;
    d.since = v.since ?? 0;
    d.gateway = v.gateway;
    if (v.reading && (!d.reading || v.reading.timestamp >= d.seen)) d.reading = v.reading;
    d.seen = Math.max(d.seen, v.last_seen ?? 0);
    d.presence = v.presence;
    changed('devices');
  }

  /** setAbsent says which devices are not online; all others that were not are. */
  function setAbsent(list) {
    const absent = new Set();
    for (const v of list) {
      absent.add(v.device_id);
      takeDevice(v);
    }
    for (const d of devices.values()) if (d.presence !== 'online' && !absent.has(d.id)) d.presence = 'online';
    changed('devices');
  }

  /** takeAlert files an alert; cleared is final, and of the rest the later one counts. */
  function takeAlert(a) {
    const old = alerts.get(a.alert_id);
    if (old && (old.status === 'cleared' || (old.status === a.status && a.timestamp <= old.timestamp))) return false;
    alerts.set(a.alert_id, a);
    if (a.status === 'cleared') clearedSeen++;
    const d = device(a.device_id);
    if (!d.location.building && a.location) d.location = a.location;
    attend(d, a);
    trim();
    changed('alarms');
    return !old && a.status === 'active';
  }

  /** attend keeps the worst active alarm of a device up to date after a changed. */
  function attend(d, a) {
    if (a.status === 'active') {
      if (!d.alarm || d.alarm.alert_id === a.alert_id || rank(a.severity) < rank(d.alarm.severity)) d.alarm = a;
      return;
    }
    if (d.alarm?.alert_id !== a.alert_id) return;
    d.alarm = null;
    for (const other of alerts.values()) if (other.device_id === d.id && other.status === 'active') attend(d, other);
  }

  function trim() {
    if (alerts.size <= KEEP_CLEARED * 2) return;
    const cleared = [...alerts.values()].filter((a) => a.status !== 'active').sort((a, b) => a.timestamp - b.timestamp);
    for (const a of cleared.slice(0, Math.max(cleared.length - KEEP_CLEARED, 0))) alerts.delete(a.alert_id);
  }

  /** setAlerts replaces all alarms, as after a connection was lost. */
  function setAlerts(list) {
    const before = new Set([...alerts.values()].map((a) => a.device_id));
    alerts.clear();
    for (const id of before) device(id).alarm = null;
    list.forEach(takeAlert);
    changed('alarms');
  }

  function setStats(stats, askedAt) {
    const at = now();
    offset = stats.time - (askedAt + at) / 2;
    state.stats = stats;
    state.statsAt = at;
    changed('stats');
  }

  function setGateways(list) {
    const at = now();
    const before = new Map(state.gateways.map((g) => [g.gateway, g]));
    state.gateways = list.items.map((g) => {
      const old = before.get(g.gateway);
      const again = old && old.epoch === g.epoch && g.accepted >= old.accepted && g.time > old.time;
      const speed = again ? ((g.accepted - old.accepted) * 1000) / (g.time - old.time) : (old?.rate ?? null);
      return { ...g, rate: speed, at };
    });
    state.gatewaysAt = at;
    changed('gateways');
  }

  function setSocket(name, code = 0) {
    if ((state.socket === 'open') !== (name === 'open')) state.socketSince = now(); // the tries between are one absence
    state.socket = name;
    state.closeCode = code;
    changed('socket');
  }

  const serverNow = () => now() + offset;

  /** liveness says whether what is shown is live: {state, age} with age in ms. */
  function liveness() {
    if (state.socket === 'refused') return { state: 'refused', age: serverNow() - live.newest };
    if (state.socket !== 'open') return { state: 'reconnecting', age: now() - state.socketSince };
    if (!live.newest) return { state: 'waiting', age: now() - state.socketSince };
    const age = serverNow() - live.newest;
    const patience = Math.min(3000 + 5 * live.gap, 60_000);
    const source = state.stats && !state.stats.sources.hub;
    return { state: age > patience || source ? 'stale' : 'live', age };
  }

  return {
    devices,
    alerts,
    state,
    live,
    device,
    takeReading,
    takeDevice,
    setAbsent,
    takeAlert,
    setAlerts,
    setStats,
    setGateways,
    setSocket,
    /** setClearedKept says how many cleared alarms the portal can list. */
    setClearedKept(n) {
      clearedKept = n;
      clearedSeen = 0;
    },
    clearedTotal: () => clearedKept + clearedSeen,
    activeBySeverity() {
      const by = { critical: 0, high: 0, medium: 0, low: 0, other: 0 };
      for (const a of alerts.values()) if (a.status === 'active') by[a.severity in by ? a.severity : 'other']++;
      return by;
    },
    activeTotal() {
      let n = 0;
      for (const a of alerts.values()) if (a.status === 'active') n++;
      return n;
    },
    serverNow,
    liveness,
    subscribe(f) {
      listeners.add(f);
      return () => listeners.delete(f);
    },
    /** sorted are all devices by id, as people count: device_9 before device_10. */
    sorted() {
      order ??= [...devices.values()].sort((a, b) => compareIDs(a.id, b.id));
      return order;
    },
    /** isStale tells whether a device's values are too old to be taken for current. */
    isStale(d) {
      if (!d.seen) return true;
      return serverNow() - d.seen > Math.max(3 * (d.interval || DEFAULT_INTERVAL), 3000) + 1000;
    },
  };
}

const collator = new Intl.Collator('en', { numeric: true });

/** compareIDs orders ids by their numbers. */
export function compareIDs(a, b) {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** filterDevices keeps those that hold the text, in their building. */
export function filterDevices(list, { text = '', building = '' }) {
  const words = text.trim().toLowerCase();
  if (!words && !building) return list;
  return list.filter((d) => {
    if (building && d.location.building !== building) return false;
    if (!words) return true;
    return (
      d.id.toLowerCase().includes(words) ||
      String(d.location.room ?? '').toLowerCase().includes(words) ||
      String(d.location.building ?? '').toLowerCase().includes(words)
    );
  });
}

/** sortAlarms puts active ones first: worst, then newest; cleared ones by when they cleared. */
export function sortAlarms(list) {
  return [...list].sort((a, b) => {
    if (a.status !== b.status) return a.status === 'active' ? -1 : 1;
    if (a.status === 'active' && rank(a.severity) !== rank(b.severity)) return rank(a.severity) - rank(b.severity);
    return b.timestamp - a.timestamp || compareIDs(a.alert_id, b.alert_id);
  });
}

/** windowOf says which rows of a long table are to exist, given where it is scrolled to. */
export function windowOf({ top, height, row, total, extra = 6 }) {
  const from = Math.max(Math.floor(top / row) - extra, 0);
  const to = Math.min(Math.ceil((top + height) / row) + extra, total);
  return { from: Math.min(from, Math.max(total - 1, 0)), to };
}
