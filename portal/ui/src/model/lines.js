// What a line of the trends is of: a device, by its id, or the means of a building, by `building:` and its name.

export const MOST = 8;
const BUILDING = 'building:';

/** building returns the key of a building. Keys are listed with commas between them. */
export const building = (name) => BUILDING + name.replace(/[%,]/g, encodeURIComponent);

/** buildingOf returns the name of the building that a key is of, '' if it is of a device. */
export function buildingOf(key) {
  if (!key.startsWith(BUILDING)) return '';
  const name = key.slice(BUILDING.length);
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a person wrote it
  }
}

/** keysOf reads the list of an address. */
export const keysOf = (list) => [...new Set((list ?? '').split(',').filter(Boolean))].slice(0, MOST);

/**
 * find returns the keys that a text means, {keys, unknown}: the name or id of one device, the name of a building, or
 * a list of them as it comes from a spreadsheet or a message. isDevice(id) is true also while devices are not known.
 */
export function find(text, { isDevice, byName, buildings }) {
  const one = (word) => {
    if (buildings.includes(word)) return building(word);
    if (buildings.includes(buildingOf(word))) return building(buildingOf(word));
    const named = byName(word);
    if (named) return named;
    return isDevice(word) ? word : null;
  };
  const all = one(text.trim());
  if (all) return { keys: [all], unknown: [] };
  const words = [...new Set(text.split(/[\s,;，；、"']+/).filter(Boolean))];
  const found = words.map(one);
  return { keys: [...new Set(found.filter(Boolean))], unknown: words.filter((_, i) => !found[i]) };
}

/** first returns what is shown to someone who chose nothing: buildings, and the devices with the newest alarms. */
export function first(buildings, alarms, isDevice) {
  const newest = [...alarms].sort((a, b) => (b.raised_at || b.timestamp) - (a.raised_at || a.timestamp));
  const devices = [...new Set(newest.map((a) => a.device_id).filter(isDevice))];
  const some = buildings.slice(0, devices.length > 0 ? MOST / 2 : MOST).map(building);
  return [...some, ...devices.slice(0, 3)];
}
