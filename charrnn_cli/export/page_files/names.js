// Elements by their ids, and characters by names that are seen.

const byId = (id) => document.getElementById(id);

const NAMES = new Map([
  [" ", "␣"],
  ["\n", "⏎"],
  ["\t", "⇥"],
]);

// Names of other characters without a shape of their own: controls, formats, separators.
const UNSEEN = /^[\p{C}\p{Z}]$/u;

function nameOf(text) {
  if (NAMES.has(text)) return NAMES.get(text);
  if (/^\p{M}$/u.test(text)) return `◌${text}`;
  if (!UNSEEN.test(text)) return text;
  return `U+${text.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}
