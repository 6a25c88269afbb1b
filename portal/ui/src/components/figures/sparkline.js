// A small line of recent values on a canvas; the scale starts at zero.

/** points turns values into x and y in a box, the newest at the right edge. */
export function points(values, width, height, slots = 120) {
  const top = Math.max(...values, 1e-9);
  const step = width / (slots - 1);
  return values.map((v, i) => [width - (values.length - 1 - i) * step, height - 1 - (v / top) * (height - 3)]);
}

export function drawSparkline(canvas, values) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height || values.length < 2) return;
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const g = canvas.getContext('2d');
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, width, height);
  g.strokeStyle = getComputedStyle(canvas).color;
  g.lineWidth = 1.5;
  g.lineJoin = 'round';
  g.beginPath();
  points(values, width, height).forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
  g.stroke();
}
