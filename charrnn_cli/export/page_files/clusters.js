// Which characters are drawn together, as in charrnn_cli/text/clusters.py.

const MAX_CLUSTER = 32; // characters; hostile text has marks without end
const EXTENDING = /^[\p{M}\u200c\u200d\u200e\u200f\u061c\u{1f3fb}-\u{1f3ff}]$/u;

// Return whether a character is drawn in the place of the cluster before it, `length` characters
// long.
function combines(cluster, length, character) {
  const isAlone = (text) => text === "\n" || text === "\t";
  if (!cluster || isAlone(cluster) || length >= MAX_CLUSTER || isAlone(character)) return false;
  return cluster.endsWith("\u200d") || EXTENDING.test(character);
}
