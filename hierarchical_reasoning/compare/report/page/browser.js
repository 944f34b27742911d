// @ts-check
"use strict";

const PAGE_SIZE = 20;
const MOST_MARKS = 24;
const TYPING_PAUSE = 200;
const MOST_TABS = 8;

/** The list of problems with its filters; what is chosen in it is shown beside it. */
class Browser {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.detail = new Detail(store, byId("detail"));
    const { left, right, problems } = store.index;
    this.arms = [left, right];
    /** @type {number[]} */
    this.listed = problems.ids.map((_, number) => number);
    this.page = 0;
    this.chosen = -1;
    this.query = "";
    /** @type {Set<number> | null} */
    this.found = null;
    this.searches = 0;
  }

  start() {
    const { arms, problems } = this.store.index;
    for (const [side, id] of ["left-arm", "right-arm"].entries()) {
      byId(id).replaceChildren(...arms.map((arm, number) => new Option(arm.label, String(number))));
      byId(id).value = String(this.arms[side]);
    }
    const outcomes = [...new Set(arms.flatMap((arm) => arm.outcomes.flatMap((letters) => [...letters])))];
    const present = Object.keys(OUTCOMES).filter((letter) => outcomes.includes(letter));
    for (const id of ["left-outcome", "right-outcome"])
      byId(id).append(...present.map((letter) => new Option(OUTCOMES[letter][0], letter)));
    byId("category").append(...problems.categories.map((name, number) => new Option(name, String(number))));
    byId("category-field").hidden = !problems.categories.length;
    byId("filters").addEventListener("input", (/** @type {Event} */ event) => this.changed(event.target));
    byId("filters").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
    byId("filters").addEventListener("reset", () => setTimeout(() => this.reset()));
    byId("earlier").addEventListener("click", () => this.turn(-1));
    byId("later").addEventListener("click", () => this.turn(1));
    byId("list").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.pressed(event));
    byId("traces-body").hidden = false;
    byId("traces-wait").remove();
    const told = new URLSearchParams(location.hash.slice(1)).get("problem");
    this.filter();
    if (told !== null && problems.ids.includes(told)) {
      this.choose(problems.ids.indexOf(told));
      byId("traces").scrollIntoView();
    }
  }

  reset() {
    const { left, right } = this.store.index;
    this.arms = [left, right];
    byId("left-arm").value = String(left);
    byId("right-arm").value = String(right);
    this.query = "";
    this.found = null;
    this.searches++;
    this.filter();
  }

  /** @param {any} field */
  changed(field) {
    this.arms = [Number(byId("left-arm").value), Number(byId("right-arm").value)];
    const query = byId("query").value.trim();
    if (query !== this.query || (query && field.id.endsWith("-arm"))) {
      this.query = query;
      this.search();
    } else this.filter();
  }

  /** Waits until no key was pressed for a moment, then looks through all traces of the two arms. */
  async search() {
    const asked = ++this.searches;
    const stopped = () => asked !== this.searches;
    if (!this.query) {
      this.found = null;
      this.filter();
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, TYPING_PAUSE));
    if (stopped()) return;
    byId("count").textContent = "Searching …";
    const found = await this.store.search(this.query, this.arms, stopped);
    if (!found) return;
    this.found = found;
    this.filter();
  }

  filter() {
    const { problems } = this.store.index;
    const category = byId("category").value;
    const agreement = byId("agreement").value;
    const outcomes = [byId("left-outcome").value, byId("right-outcome").value];
    this.listed = problems.ids
      .map((_, number) => number)
      .filter(
        (number) =>
          (!this.found || this.found.has(number)) &&
          (category === "" || problems.category[number] === Number(category)) &&
          this.arms.every((arm, side) => !outcomes[side] || this.store.outcomes(arm, number).includes(outcomes[side])) &&
          this.agrees(agreement, number),
      );
    if (byId("order").value === "hardest") this.hardestFirst();
    const place = this.listed.indexOf(this.chosen);
    this.page = place < 0 ? 0 : Math.floor(place / PAGE_SIZE);
    if (place < 0 && this.listed.length) this.choose(this.listed[0]);
    else {
      this.draw();
      if (this.listed.length) this.showChosen();
    }
    byId("detail").hidden = !this.listed.length;
  }

  /** @param {string} agreement @param {number} number */
  agrees(agreement, number) {
    if (!agreement) return true;
    const [left, right] = this.arms.map((arm) => this.store.right(arm, number));
    if (left === null || right === null) return false;
    return {
      differ: left !== right,
      left: left > right,
      right: right > left,
      both: left === 1 && right === 1,
      neither: left === 0 && right === 0,
    }[agreement];
  }

  hardestFirst() {
    const { arms } = this.store.index;
    const solved = new Map(
      this.listed.map((number) => [number, arms.reduce((sum, _, arm) => sum + (this.store.right(arm, number) || 0), 0)]),
    );
    this.listed.sort((one, other) => (solved.get(one) || 0) - (solved.get(other) || 0) || one - other);
  }

  draw() {
    const { ids } = this.store.index.problems;
    const first = this.page * PAGE_SIZE;
    const shown = this.listed.slice(first, first + PAGE_SIZE);
    byId("list").replaceChildren(...shown.map((number) => this.item(number)));
    byId("list").start = first + 1;
    byId("count").textContent = this.listed.length
      ? `${(first + 1).toLocaleString("en")} to ${(first + shown.length).toLocaleString("en")} of ` +
        `${this.listed.length.toLocaleString("en")} problems` +
        (this.listed.length < ids.length ? `, ${ids.length.toLocaleString("en")} in all` : "")
      : "No problem is like that. Loosen a filter, or press Reset.";
    byId("earlier").disabled = !this.page;
    byId("later").disabled = first + PAGE_SIZE >= this.listed.length;
  }

  /** @param {number} number */
  item(number) {
    const { problems, arms } = this.store.index;
    const badges = this.arms.map((arm) => this.badge(arm, number));
    const marks = element("span", "marks", ...arms.slice(0, MOST_MARKS).map((_, arm) => this.mark(arm, number)));
    marks.setAttribute("aria-hidden", "true");
    const name = element("span", "name", element("bdi", "", problems.ids[number]), " ");
    const category = problems.categories[problems.category[number]];
    if (category) name.append(element("span", "dim", category));
    const top = element("span", "top", name, element("span", "badges", ...badges));
    const button = element("button", "", top, element("span", "excerpt", problems.excerpts[number]), marks);
    button.dataset.number = String(number);
    button.setAttribute("aria-current", String(number === this.chosen));
    button.addEventListener("click", () => {
      this.choose(number);
      this.link();
      if (matchMedia("(max-width: 60rem)").matches) byId("detail").scrollIntoView();
    });
    return element("li", "", button);
  }

  /** @param {number} arm @param {number} number */
  badge(arm, number) {
    const letters = this.store.outcomes(arm, number);
    const { label } = this.store.index.arms[arm];
    const right = letters.filter((letter) => letter === "c").length;
    const [name, mark, kind] = OUTCOMES[letters.length > 1 && right ? "c" : letters[0]];
    const sign = element("span", "", letters.length > 1 ? `${right}/${letters.length}` : mark);
    sign.setAttribute("aria-hidden", "true");
    const told = letters.length > 1 ? `${right} of ${letters.length} right` : name;
    return element("span", `badge ${kind}`, sign, element("span", "unseen", `${label}: ${told}. `));
  }

  /** @param {number} arm @param {number} number */
  mark(arm, number) {
    const right = this.store.right(arm, number);
    const mark = element("i", right === null ? "owed" : right === 1 ? "correct" : right === 0 ? "wrong" : "partly");
    mark.title = this.store.index.arms[arm].label;
    if (this.arms.includes(arm)) mark.classList.add("shown");
    return mark;
  }

  /** @param {number} number */
  choose(number) {
    this.chosen = number;
    this.page = Math.max(0, Math.floor(this.listed.indexOf(number) / PAGE_SIZE));
    this.draw();
    this.showChosen();
  }

  showChosen() {
    return this.detail.show(this.chosen, this.arms, this.query);
  }

  /** @param {number} by pages */
  turn(by) {
    this.page += by;
    this.choose(this.listed[this.page * PAGE_SIZE]);
  }

  /** Arrows go through the problems, from page to page. @param {KeyboardEvent} event */
  pressed(event) {
    const here = this.listed.indexOf(this.chosen);
    const last = this.listed.length - 1;
    /** @type {Record<string, number>} */
    const places = {
      ArrowDown: here + 1,
      ArrowUp: here - 1,
      PageDown: here + PAGE_SIZE,
      PageUp: here - PAGE_SIZE,
      Home: 0,
      End: last,
    };
    if (!(event.key in places) || here < 0) return;
    event.preventDefault();
    this.choose(this.listed[Math.min(Math.max(places[event.key], 0), last)]);
    this.link();
    byId("list").querySelector("[aria-current=true]").focus();
  }

  /** The page's address leads to the chosen problem. */
  link() {
    const id = this.store.index.problems.ids[this.chosen];
    history.replaceState(null, "", `#${new URLSearchParams({ problem: id })}`);
  }
}

/** Sections of which one is shown at a time, with a button or, where they are many, an option for each; on paper all. */
function choosePanes() {
  for (const group of document.querySelectorAll("[data-panes]")) {
    const panes = /** @type {HTMLElement[]} */ ([...group.querySelectorAll(":scope > [data-pane]")]);
    const what = group.getAttribute("data-panes") || "";
    const first = Math.max(0, panes.findIndex((pane) => pane.hasAttribute("data-first")));
    const show = (/** @type {number} */ chosen) => panes.forEach((pane, number) => (pane.hidden = number !== chosen));
    if (panes.length > MOST_TABS) group.prepend(paneList(panes, what, first, show));
    else if (panes.length > 1) group.prepend(paneTabs(panes, what, first, show));
    show(first);
  }
}

/** @param {HTMLElement[]} panes @param {string} what @param {number} first @param {(chosen: number) => void} show */
function paneTabs(panes, what, first, show) {
  const buttons = panes.map((pane, number) => {
    const button = element("button", "", pane.dataset.pane || "");
    button.setAttribute("aria-pressed", String(number === first));
    button.addEventListener("click", () => {
      buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      show(number);
    });
    return button;
  });
  const bar = element("div", "tabs", ...buttons);
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", what);
  return bar;
}

/** @param {HTMLElement[]} panes @param {string} what @param {number} first @param {(chosen: number) => void} show */
function paneList(panes, what, first, show) {
  const list = document.createElement("select");
  list.append(...panes.map((pane, number) => new Option(pane.dataset.pane, String(number))));
  list.value = String(first);
  list.addEventListener("input", () => show(Number(list.value)));
  return element("label", "pane-list", `${what} `, list);
}

choosePanes();
if ("DecompressionStream" in window)
  Store.open().then((store) => {
    new Browser(store).start();
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
  });
else byId("traces-wait").textContent = "This browser is too old to unpack the traces; it needs DecompressionStream (2023).";
