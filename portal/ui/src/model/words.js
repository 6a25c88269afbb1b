// Which devices the words of a search find. The portal's parameter q finds the same; both are tested by
// test/data/words.json. Pure functions.

/** fold makes texts comparable: lower case, and ASCII instead of the full-width forms of input methods. */
export const fold = (s) => s.toLowerCase().replace(/[！-～]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0)).replaceAll('\u3000', ' ');

/** readWords splits a search: [{text, floor, marked}]; floor is NaN unless the word is like 7, 7F, 7楼 or 7层. */
export function readWords(q) {
  return fold(q).split(/\s+/).filter(Boolean).map((text) => {
    const [, floor, mark] = /^([+-]?\d+)(f|楼|层)?$/.exec(text) ?? [];
    return { text, floor: floor === undefined ? NaN : Number(floor), marked: mark !== undefined };
  });
}

/** folded keeps with a row what words are compared with: a row that changes is another one. */
function folded(d) {
  d.folded ??= {
    texts: fold([d.id, d.name, d.building, d.room, d.model, d.gateway, ...d.tags].join('\n')),
    building: fold(d.building).split(/\s+/).filter(Boolean),
    room: fold(d.room),
  };
  return d.folded;
}

/**
 * matches reports whether every word is found in a device. Beside the name of its building, or beside its floor as
 * 7F, a number means a floor or a room and nothing else: "B栋 702" is that room, not also device_1702.
 */
export function matches(d, words) {
  if (words.length === 0) return true;
  const f = folded(d);
  const placed =
    (f.building.length > 0 && f.building.every((part) => words.some((w) => w.text === part))) ||
    words.some((w) => w.marked && w.floor === d.floor);
  return words.every((w) => {
    if (w.floor === d.floor) return true;
    if (placed && !Number.isNaN(w.floor)) return !w.marked && w.text === f.room;
    return f.texts.includes(w.text);
  });
}
