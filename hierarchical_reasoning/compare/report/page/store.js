// @ts-check
"use strict";

/**
 * @typedef {{type: number, p: number | null, text: string, cut: boolean, notes: string[]}} Step
 * @typedef {{answer: string | null, reason: string, steps: Step[], text: string, tokens: number, cost: number | null,
 *   seconds: number, error: string | null, notes: string[], move: string | null}} Trace
 * @typedef {{squares: string, black: boolean, solutions: string[]}} Board
 * @typedef {{text: string, answers: string[], difficulty: string | null, board: Board | null}} Problem
 * @typedef {{name: string, label: string, starts: number[], outcomes: string[], places: number[][]}} Arm
 * @typedef {{arms: Arm[], types: [string, string][], left: number, right: number, problems: {ids: string[],
 *   excerpts: string[], categories: string[], category: number[], starts: number[]}}} Index
 */

const MOST_BLOCKS = 40;

/** What lies packed in the page; a block is unpacked when something in it is asked for, the latest ones are kept. */
class Store {
  /** @param {Index} index */
  constructor(index) {
    this.index = index;
    /** @type {Map<string, Promise<any[]>>} */
    this.blocks = new Map();
  }

  /** @param {string} id of an element */
  static async unpacked(id) {
    const packed = atob(/** @type {HTMLElement} */ (document.getElementById(id)).textContent || "");
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  static async open() {
    return new Store(await Store.unpacked("index"));
  }

  /** @param {string} id @returns {Promise<any[]>} */
  block(id) {
    const found = this.blocks.get(id) || Store.unpacked(id);
    this.blocks.delete(id);
    this.blocks.set(id, found);
    if (this.blocks.size > MOST_BLOCKS) this.blocks.delete(this.blocks.keys().next().value || "");
    return found;
  }

  /** The value with that number among those of the blocks. @param {string} prefix @param {number[]} starts @param {number} number */
  async at(prefix, starts, number) {
    let block = starts.length - 1;
    while (starts[block] > number) block--;
    return (await this.block(prefix + block))[number - starts[block]];
  }

  /** @param {number} number @returns {Promise<Problem>} */
  problem(number) {
    return this.at("problems-", this.index.problems.starts, number);
  }

  /** @param {number} arm @param {number} sample @param {number} problem @returns {Promise<Trace | null>} */
  async trace(arm, sample, problem) {
    const { places, starts } = this.index.arms[arm];
    const place = places[sample] ? places[sample][problem] : -1;
    return place < 0 ? null : this.at(`traces-${arm}-`, starts, place);
  }

  /** Letters of the outcomes of an arm's samples. @param {number} arm @param {number} problem */
  outcomes(arm, problem) {
    return this.index.arms[arm].outcomes.map((letters) => letters[problem]);
  }

  /** Share of right samples among those graded; null where none was. @param {number} arm @param {number} problem */
  right(arm, problem) {
    const graded = this.outcomes(arm, problem).filter((letter) => letter !== "." && letter !== "u");
    return graded.length ? graded.filter((letter) => letter === "c").length / graded.length : null;
  }

  /**
   * The problems in which a text occurs: in their own text, or in a trace of one of the arms.
   * @param {string} text @param {number[]} arms @param {() => boolean} stopped @returns {Promise<Set<number> | null>} null: stopped
   */
  async search(text, arms, stopped) {
    const wanted = text.toLowerCase();
    /** @type {Set<number>} */
    const found = new Set();
    const { ids, starts } = this.index.problems;
    ids.forEach((id, number) => id.toLowerCase().includes(wanted) && found.add(number));
    for (let block = 0; block < starts.length; block++) {
      const problems = /** @type {Problem[]} */ (await this.block(`problems-${block}`));
      if (stopped()) return null;
      problems.forEach((problem, place) => {
        if ([problem.text, ...problem.answers].some((each) => each.toLowerCase().includes(wanted)))
          found.add(starts[block] + place);
      });
    }
    for (const arm of new Set(arms)) {
      const problemAt = this.problemsByPlace(arm);
      const { starts: first } = this.index.arms[arm];
      for (let block = 0; block < first.length; block++) {
        const traces = /** @type {Trace[]} */ (await this.block(`traces-${arm}-${block}`));
        if (stopped()) return null;
        traces.forEach((trace, place) => {
          const problem = problemAt[first[block] + place];
          if (!found.has(problem) && this.occurs(trace, wanted)) found.add(problem);
        });
      }
    }
    return found;
  }

  /** @param {number} arm */
  problemsByPlace(arm) {
    /** @type {number[]} */
    const problemAt = [];
    for (const sample of this.index.arms[arm].places)
      sample.forEach((place, problem) => place >= 0 && (problemAt[place] = problem));
    return problemAt;
  }

  /** @param {Trace} trace @param {string} wanted */
  occurs(trace, wanted) {
    const { types } = this.index;
    return (
      [trace.text, trace.answer || "", trace.reason, trace.error || ""].some((each) => each.toLowerCase().includes(wanted)) ||
      trace.steps.some((step) => step.text.toLowerCase().includes(wanted) || types[step.type][0].toLowerCase().includes(wanted))
    );
  }
}
