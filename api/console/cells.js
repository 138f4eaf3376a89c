// The little that the page must know of H3 indexes: 4 bits of resolution from bit 52, then 7 bits of base cell and
// 3 bits for each finer step, so a cell lies in another when the parts down to the other's resolution are the same.

const CELL = /^[0-9a-f]{15,16}$/;

/** Whether the text is a cell id as the server writes it. */
export const isCell = (text) => typeof text === 'string' && CELL.test(text);

/** Whether `inner` is `outer` or one of its descendants. */
export function contains(outer, inner) {
  if (!isCell(outer) || !isCell(inner)) return false;
  const [large, small] = [BigInt(`0x${outer}`), BigInt(`0x${inner}`)];
  const resolution = resolutionOf(large);
  if (resolutionOf(small) < resolution) return false;
  const finer = 45n - 3n * resolution;
  const path = (cell) => (cell & ((1n << 52n) - 1n)) >> finer;
  return path(large) === path(small);
}

/** The resolution of a cell id. */
export const resolution = (cell) => Number(resolutionOf(BigInt(`0x${cell}`)));

const resolutionOf = (cell) => (cell >> 52n) & 15n;
