// The colours of the map. Both ramps walk one path through OKLCH with even steps of lightness, so that their order is
// seen without seeing hue: colour-blind, printed in grey, at night. More is always further from the ground it lies on.

const DARK = {
  sea: '#0d121b', land: '#1a2230', district: '#222c3d', border: '#43516a', river: '#22344f',
  hexagonBorder: '#0d121b', selected: '#ffffff', silent: '#ffffff', casing: '#080c13',
  ramp: ['#503e86', '#9238a1', '#d3358d', '#fd5962', '#ff9757', '#eecc94', '#f0f3c5'],
  severity: { critical: '#ff5c7c', major: '#ff9d4d', moderate: '#f3d250', minor: '#86bdf5' },
};
const LIGHT = {
  sea: '#d3deea', land: '#f4f5f1', district: '#eaecea', border: '#9aa5b3', river: '#b4c9df',
  hexagonBorder: '#ffffff', selected: '#131a26', silent: '#131a26', casing: '#ffffff',
  ramp: ['#f1eabc', '#eabf8d', '#f68356', '#e74467', '#b61e8a', '#722291', '#32286d'],
  severity: { critical: '#b3093c', major: '#b84a00', moderate: '#7d6200', minor: '#1e62a8' },
};

/** The colours of the five bands of risk: every second one of the ramp, about. */
export const bandColours = () => [0, 2, 3, 5, 6].map((index) => palette().ramp[index]);

/** The colours of the kinds of surprise. */
export const surpriseColours = () => {
  const { severity, ramp } = palette();
  return { black_swan: severity.critical, grey_rhino: severity.major, watch: severity.moderate, normal: ramp[0] };
};

const dark = window.matchMedia('(prefers-color-scheme: dark)');

/** The palette of the present scheme. */
export const palette = () => (dark.matches ? DARK : LIGHT);

/** Calls back when the system goes from light to dark or back. */
export const onSchemeChange = (listener) => dark.addEventListener('change', listener);
