// The plan of a floor: where its devices are on the picture, in percent from the top left. Pure functions.

/** The farthest step of an arrow key, in percent; with Shift it is ten times as long. */
export const STEP = 0.5;

const inside = (v) => Math.min(Math.max(Math.round(v * 100) / 100, 0), 100);

/** move puts a device at x, y; what lies outside the picture comes to its edge. */
export const move = (points, id, x, y) => new Map(points).set(id, { x: inside(x), y: inside(y) });

/** step moves a device as an arrow key says, null if key is none. */
export function step(points, id, key, far) {
  const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const at = points.get(id);
  if (!by || !at) return null;
  const length = STEP * (far ? 10 : 1);
  return move(points, id, at.x + by[0] * length, at.y + by[1] * length);
}

/** remove takes a device off the picture. */
export function remove(points, id) {
  const next = new Map(points);
  next.delete(id);
  return next;
}

/** read returns the points of an answer by device. */
export const read = (list) => new Map(list.map((p) => [p.device_id, { x: p.x, y: p.y }]));

/** write is the inverse of read. here(id) says which devices are of this floor; those that moved elsewhere lose their place. */
export const write = (points, here) => [...points].filter(([id]) => here(id)).map(([id, at]) => ({ device_id: id, ...at }));

/** unplaced returns the devices that have no place on the picture. */
export const unplaced = (devices, points) => devices.filter((d) => !points.has(d.id));

/** fit returns the size of a picture that is no longer than most on either side. */
export function fit(width, height, most) {
  const scale = Math.min(1, most / Math.max(width, height));
  return [Math.max(Math.round(width * scale), 1), Math.max(Math.round(height * scale), 1)];
}

/** planPath is the plan's address in the API. */
export const planPath = (building, floor) => `/api/v1/buildings/${encodeURIComponent(building)}/floors/${encodeURIComponent(floor)}/plan`;

/** imagePath is a picture's. */
export const imagePath = (id) => `/api/v1/images/${encodeURIComponent(id)}`;
