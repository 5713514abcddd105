"use strict";
// What changed between two texts, word by word, in bounded time.

const WORD = /\p{Script=Han}\s*|[\p{L}\p{N}]+\s*|[^\p{L}\p{N}]\s*/gu;
const SENTENCE = /[^.!?\n]*[.!?\n]*\s*/g;
const MOST_CELLS = 4e6; // of the table below: about 20 ms and 8 MB
const SHORT_RUN = 3; // shared words; fewer between longer changes are chance ("the"), and make the marks hard to read

/**
 * Compares two texts.
 * Returns runs {same, before, after}, each a list of tokens, which put together are the two texts.
 */
function compareTexts(before, after) {
  return smoothed(aligned(split(before, WORD), split(after, WORD), MOST_CELLS) ?? bySentences(before, after));
}

function split(text, pattern) {
  return (text.match(pattern) ?? []).filter((token) => token);
}

/** For texts too long for a table of words: sentences first, then the words of those that changed. */
function bySentences(before, after) {
  const whole = { same: false, before: [before], after: [after] };
  const runs = aligned(split(before, SENTENCE), split(after, SENTENCE), MOST_CELLS) ?? [whole];
  let cells = MOST_CELLS;
  return runs.flatMap(({ same, ...parts }) => {
    const [one, two] = [parts.before, parts.after].map((part) => split(part.join(""), WORD));
    const finer = same ? null : aligned(one, two, cells);
    if (finer) cells -= one.length * two.length;
    return finer ?? [{ same, before: one, after: two }];
  });
}

/** The longest common subsequence of two lists of tokens as runs; null if its table has too many cells. */
function aligned(a, b, mostCells) {
  const keys = [a, b].map((tokens) => tokens.map((token) => token.trim()));
  let start = 0;
  while (start < a.length && start < b.length && keys[0][start] === keys[1][start]) start++;
  let [endA, endB] = [a.length, b.length];
  for (; endA > start && endB > start && keys[0][endA - 1] === keys[1][endB - 1]; endA--) endB--;
  const [n, m] = [endA - start, endB - start];
  if ((n + 1) * (m + 1) > mostCells) return null;

  const numbers = new Map();
  const [x, y] = keys.map((list, side) =>
    Int32Array.from(list.slice(start, side ? endB : endA), (key) => {
      if (!numbers.has(key)) numbers.set(key, numbers.size);
      return numbers.get(key);
    }),
  );
  const width = m + 1;
  const longest = new Uint16Array((n + 1) * width); // of x from i and y from j on
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      const here = i * width + j;
      longest[here] =
        x[i] === y[j] ? longest[here + width + 1] + 1 : Math.max(longest[here + width], longest[here + 1]);
    }
  }

  const runs = [];
  const add = (same, before, after) => {
    const last = runs.at(-1);
    const run = last && last.same === same ? last : { same, before: [], after: [] };
    if (run !== last) runs.push(run);
    if (before !== null) run.before.push(a[before]);
    if (after !== null) run.after.push(b[after]);
  };
  for (let k = 0; k < start; k++) add(true, k, k);
  let [i, j] = [0, 0];
  while (i < n || j < m) {
    if (i < n && j < m && x[i] === y[j]) add(true, start + i++, start + j++);
    else if (j === m || (i < n && longest[(i + 1) * width + j] >= longest[i * width + j + 1]))
      add(false, start + i++, null);
    else add(false, null, start + j++);
  }
  for (let k = 0; endA + k < a.length; k++) add(true, endA + k, endB + k);
  return runs;
}

/** Runs without the short shared ones between longer changes; neighbours of one kind become one run. */
function smoothed(runs) {
  const size = (run) => (run && !run.same ? run.before.length + run.after.length : 0);
  const merged = [];
  runs.forEach((run, place) => {
    const around = Math.min(size(runs[place - 1]), size(runs[place + 1]));
    const chance = run.before.length < SHORT_RUN && around > 2 * run.before.length;
    const same = run.same && !chance;
    const last = merged.at(-1);
    if (last && last.same === same) {
      last.before.push(...run.before);
      last.after.push(...run.after);
    } else {
      merged.push({ same, before: [...run.before], after: [...run.after] });
    }
  });
  return merged;
}
