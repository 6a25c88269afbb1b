// Colours of charts, from the style sheet, so that they follow the theme.

/** Okabe–Ito, without its yellow, which is too faint on white; each with a dash of its own. */
const SERIES = [
  { light: '#0072b2', dark: '#56b4e9', dash: [] },
  { light: '#b85c00', dark: '#e69f00', dash: [6, 3] },
  { light: '#007a5a', dark: '#33c79a', dash: [2, 3] },
  { light: '#a8477f', dark: '#cc79a7', dash: [8, 3, 2, 3] },
  { light: '#5b6570', dark: '#a9b4bf', dash: [4, 4] },
  { light: '#3a3f9e', dark: '#9aa0f0', dash: [1, 2] },
  { light: '#7a4b1f', dark: '#d3a273', dash: [10, 4] },
  { light: '#1f2933', dark: '#e6eaee', dash: [3, 6] },
];

/** css returns the current value of a custom property. */
export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** isDark reports whether the dark theme is active. */
function isDark() {
  return getComputedStyle(document.documentElement).colorScheme === 'dark';
}

/** series returns the look of the n-th line. */
export function series(n) {
  const s = SERIES[n % SERIES.length];
  return { color: isDark() ? s.dark : s.light, dash: s.dash };
}
