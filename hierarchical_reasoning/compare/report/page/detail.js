// @ts-check
"use strict";

/** @type {Record<string, [string, string, string]>} By letter: name, mark, class. */
const OUTCOMES = {
  c: ["correct", "✓", "correct"],
  w: ["wrong", "✗", "wrong"],
  n: ["no answer", "∅", "no-answer"],
  t: ["truncated", "…", "truncated"],
  e: ["error", "!", "error"],
  u: ["ungraded", "?", "ungraded"],
  ".": ["owed", "·", "owed"],
};

/** A mark and what it means. @param {string} letter */
function outcomeBadge(letter) {
  const [name, mark, kind] = OUTCOMES[letter];
  const sign = element("span", "sign", mark);
  sign.setAttribute("aria-hidden", "true");
  return element("span", `outcome ${kind}`, sign, ` ${name}`);
}

/** One problem, with what two arms made of it side by side. */
class Detail {
  /** @param {Store} store @param {HTMLElement} place */
  constructor(store, place) {
    this.store = store;
    this.place = place;
    this.shown = 0;
    /** The sample at the left and at the right. */
    this.samples = [0, 0];
  }

  /** @param {number} problem @param {number[]} arms at the left and at the right @param {string} query */
  async show(problem, arms, query) {
    const asked = ++this.shown;
    const samples = arms.map((arm, side) => Math.min(this.samples[side], this.store.index.arms[arm].outcomes.length - 1));
    const [facts, ...traces] = await Promise.all([
      this.store.problem(problem),
      ...arms.map((arm, side) => this.store.trace(arm, samples[side], problem)),
    ]);
    if (asked !== this.shown) return;
    const columns = arms.map((arm, side) => {
      const again = (/** @type {number} */ sample) => {
        this.samples[side] = sample;
        this.show(problem, arms, query);
      };
      return this.column(arm, side, problem, samples[side], traces[side], again);
    });
    this.place.replaceChildren(this.question(problem, facts, traces), element("div", "sides", ...columns));
    highlight(this.place, query);
  }

  /** @param {number} problem @param {Problem} facts @param {(Trace | null)[]} traces */
  question(problem, facts, traces) {
    const { ids, categories, category } = this.store.index.problems;
    const told = [categories[category[problem]], facts.difficulty && `difficulty ${facts.difficulty}`].filter(Boolean);
    const heading = element("h3", "", element("bdi", "", ids[problem]));
    heading.id = "problem-title";
    heading.tabIndex = -1;
    const words = element("div", "", heading, element("p", "dim", told.join(", ")), longText(facts.text, "text problem"));
    if (facts.answers.length) {
      const answers = facts.answers.map((answer) => element("b", "", element("bdi", "", answer)));
      words.append(element("p", "accepted", "Accepted: ", ...answers.flatMap((each, n) => (n ? [" or ", each] : [each]))));
    }
    if (!facts.board) return element("div", "question", words);
    const arrows = facts.board.solutions.map((move) => ({ move, kind: "solution" }));
    traces.forEach((trace, side) => trace && trace.move && arrows.push({ move: trace.move, kind: side ? "right" : "left" }));
    const keys = ["solution", "left", "right"].filter((kind) => arrows.some((arrow) => arrow.kind === kind));
    const legend = element("p", "board-key", ...keys.map((kind) => element("span", `key ${kind}`, kind)));
    return element("div", "question", words, element("div", "", chessBoard(facts.board, arrows), legend));
  }

  /**
   * @param {number} arm @param {number} side @param {number} problem @param {number} sample @param {Trace | null} trace
   * @param {(sample: number) => void} again
   */
  column(arm, side, problem, sample, trace, again) {
    const { label, outcomes } = this.store.index.arms[arm];
    const heading = element("h4", "", element("bdi", "", label));
    heading.id = `side-${side}`;
    const head = element("header", "", heading, outcomeBadge(outcomes[sample][problem]));
    const column = element("article", "", head);
    column.setAttribute("aria-labelledby", heading.id);
    if (outcomes.length > 1) column.append(this.samplePicker(side, outcomes, problem, sample, again));
    if (!trace) {
      column.append(element("p", "dim", "This arm has not finished the problem."));
      return column;
    }
    const answer = element("p", "answer", "Answer: ");
    answer.append(trace.answer === null ? element("span", "dim", "none found") : element("b", "", element("bdi", "", trace.answer)));
    if (trace.reason) answer.append(element("span", "dim", ` (${trace.reason})`));
    column.append(answer, element("p", "dim figures", figuresOf(trace)));
    for (const note of [trace.error, ...trace.notes]) if (note) column.append(longText(note, "note"));
    if (trace.steps.length) column.append(this.ribbon(trace.steps), this.steps(trace.steps));
    if (trace.text) column.append(element("p", "kind", trace.steps.length ? "Answer as written" : "Reply"), longText(trace.text, "text"));
    return column;
  }

  /**
   * @param {number} side @param {string[]} outcomes @param {number} problem @param {number} sample
   * @param {(sample: number) => void} again
   */
  samplePicker(side, outcomes, problem, sample, again) {
    const buttons = outcomes.map((letters, number) => {
      const [name, mark, kind] = OUTCOMES[letters[problem]];
      const button = element("button", `sample ${kind}`, mark);
      button.setAttribute("aria-label", `Sample ${number + 1}: ${name}`);
      button.setAttribute("aria-pressed", String(number === sample));
      button.addEventListener("click", () => again(number));
      return button;
    });
    const group = element("div", "samples", ...buttons);
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", `Samples at the ${side ? "right" : "left"}`);
    return group;
  }

  /** The thought types at a glance. @param {Step[]} steps */
  ribbon(steps) {
    const { types } = this.store.index;
    const ribbon = element("div", "ribbon", ...steps.map((step) => element("i", types[step.type][1])));
    ribbon.setAttribute("aria-hidden", "true");
    return ribbon;
  }

  /** @param {Step[]} steps */
  steps(steps) {
    const items = steps.map((step) => {
      const [name, kind] = this.store.index.types[step.type];
      const chip = element("p", "chip", element("i", `dot ${kind}`), element("bdi", "", name));
      if (step.p !== null) chip.append(element("span", "dim", ` ${Math.round(100 * step.p)} %`));
      if (step.cut) chip.append(element("span", "dim", " cut off"));
      const item = element("li", kind, chip);
      if (step.text) item.append(longText(step.text, "text"));
      for (const note of step.notes) item.append(longText(note, "note"));
      return item;
    });
    return element("ol", "steps", ...items);
  }
}

/** @param {Trace} trace */
function figuresOf(trace) {
  const parts = [`${trace.tokens.toLocaleString("en")} tokens`];
  if (trace.cost) parts.push(`$${trace.cost.toPrecision(3)}`);
  if (trace.seconds) parts.push(`${trace.seconds.toLocaleString("en")} s`);
  return parts.join(" · ");
}

/** Shows where a text occurs, where the browser can without markup. @param {HTMLElement} place @param {string} query */
function highlight(place, query) {
  if (!("highlights" in CSS)) return;
  CSS.highlights.delete("found");
  if (!query) return;
  const wanted = query.toLowerCase();
  const ranges = [];
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node && ranges.length < 1000; node = walker.nextNode()) {
    const text = (node.nodeValue || "").toLowerCase();
    for (let at = text.indexOf(wanted); at >= 0 && ranges.length < 1000; at = text.indexOf(wanted, at + wanted.length)) {
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, Math.min(at + wanted.length, (node.nodeValue || "").length));
      ranges.push(range);
    }
  }
  CSS.highlights.set("found", new Highlight(...ranges));
}
