// Who is at the screens: the portal lists an operator once for each portal.

/** byName merges the entries of one name: [{name, since, screens, portals}], in the portal's order. */
export function byName(items) {
  const people = new Map();
  for (const { name, since, screens, portal } of items) {
    const p = people.get(name);
    if (!p) people.set(name, { name, since, screens, portals: [portal] });
    else {
      p.since = Math.min(p.since, since);
      p.screens += screens;
      p.portals.push(portal);
    }
  }
  return [...people.values()];
}
