"""Style and script of the HTML page: plain text, so that there is nothing to build and nothing to fetch.

The script only ever sets `textContent`. Keys: arrows walk the tree (right to the first child, left to the
parent, up and down within the level), Home and End, Enter to the details, `/` to the search.
"""

STYLE = """
:root{color-scheme:light dark;--ink:#1d2430;--dim:#5b6575;--paper:#fff;--line:#c5ccd6;--hue:215 70% 45%;
--mark:#b4480a}
@media(prefers-color-scheme:dark){:root{--ink:#e7ebf1;--dim:#a3adbb;--paper:#14181f;--line:#3b4453;
--hue:215 80% 65%;--mark:#ffb066}}
*{box-sizing:border-box}
body{margin:0;height:100vh;display:flex;flex-direction:column;color:var(--ink);background:var(--paper);
font:14px/1.4 system-ui,"Noto Sans","DejaVu Sans",sans-serif}
header{display:flex;flex-wrap:wrap;gap:.3rem 1.5rem;align-items:baseline;padding:.6rem 1rem;
border-bottom:1px solid var(--line)}
h1{font-size:1.15rem;margin:0;overflow-wrap:anywhere}
header p{margin:0;color:var(--dim)}
input{font:inherit;padding:.15rem .4rem}
main{flex:1;min-height:0;display:grid;grid-template-columns:minmax(0,1fr) minmax(18rem,26rem)}
#tree{overflow:auto;padding:0 1rem 1rem}
.levels,.grid{display:grid;grid-template-columns:repeat(var(--columns),minmax(9.5rem,1fr));gap:3px;
min-width:calc(var(--columns)*(9.5rem + 3px) - 3px)}
.levels{position:sticky;top:0;z-index:1;background:var(--paper);padding:.5rem 0 .3rem;color:var(--dim);
font-weight:600}
.grid{grid-auto-rows:minmax(2rem,auto)}
[role=treeitem]{padding:.25rem .5rem;border:1px solid var(--line);border-left:4px solid hsl(var(--hue));
border-radius:4px;cursor:pointer;overflow-wrap:anywhere;scroll-margin-top:2.4rem;
background:hsl(var(--hue)/calc(.05 + .45*var(--share)))}
[role=treeitem]>span{position:sticky;top:2.4rem}
[role=treeitem] small{color:var(--dim);white-space:nowrap}
[role=treeitem]:focus-visible,button:focus-visible,aside:focus-visible{outline:3px solid var(--mark);
outline-offset:1px}
[aria-selected=true]{border-color:var(--mark);border-left-color:var(--mark);font-weight:600}
.other{opacity:.3}
aside{overflow:auto;padding:1rem;border-left:1px solid var(--line)}
aside h2{margin:.2rem 0 .5rem;font-size:1.2rem;overflow-wrap:anywhere}
aside h3{margin:1.1rem 0 .3rem;font-size:.95rem}
aside p{margin:.3rem 0;white-space:pre-wrap;overflow-wrap:anywhere}
aside .dim{color:var(--dim)}
.bar{height:.55rem;border:1px solid var(--line);border-radius:3px;overflow:hidden}
.bar>div{height:100%;background:hsl(var(--hue))}
button{font:inherit;color:inherit;text-align:left;background:none;border:0;padding:.1rem .2rem;
text-decoration:underline;cursor:pointer;overflow-wrap:anywhere}
blockquote{margin:.4rem 0;padding:.4rem .6rem;border-left:3px solid hsl(var(--hue));white-space:pre-wrap;
overflow-wrap:anywhere;max-height:16rem;overflow:auto}
@media(max-width:52rem){main{grid-template-columns:1fr;grid-template-rows:1fr 1fr}
aside{border-left:0;border-top:1px solid var(--line)}}
"""

SCRIPT = """
"use strict";
(() => {
  const nodes = JSON.parse(document.getElementById("data").textContent);
  const boxes = nodes.map((_, number) => document.getElementById("n" + number));
  const details = document.getElementById("details");
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  let chosen = 0;
  let matches = [];

  function add(parent, tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    element.dir = "auto";
    parent.append(element);
    return element;
  }
  const percent = (share) => (100 * share).toFixed(1) + " %";

  function links(title, numbers) {
    if (!numbers.length) return;
    add(details, "h3", title);
    for (const number of numbers) {
      const button = add(add(details, "div"), "button", nodes[number].label);
      button.type = "button";
      button.addEventListener("click", () => choose(number, true));
    }
  }

  function ancestors(number) {
    const path = [];
    for (let at = nodes[number].parent; at !== null; at = nodes[at].parent) path.unshift(at);
    return path;
  }

  function show(number) {
    const node = nodes[number];
    details.replaceChildren();
    details.scrollTop = 0;
    add(details, "div", "level " + node.level, "dim");
    add(details, "h2", node.label);
    add(details, "p", node.description || "No description.", node.description ? "" : "dim");
    add(details, "h3", "Size");
    if (node.size === null) add(details, "p", "not known", "dim");
    else {
      let text = node.size.toLocaleString("en") + (node.size === 1 ? " chunk" : " chunks");
      if (node.share !== null) text += ", " + percent(node.share) + " of all";
      if (node.shareOfParent !== null) text += ", " + percent(node.shareOfParent) + " of its parent";
      add(details, "p", text).id = "size";
      if (node.share !== null) {
        add(add(details, "div", undefined, "bar"), "div").style.width = percent(node.share).replace(" ", "");
      }
    }
    links("Above", ancestors(number));
    links("Below", node.children);
    if (node.givenLabels.length) {
      add(details, "h3", "Given labels");
      add(details, "p", node.givenLabels.join("; "));
    }
    add(details, "h3", "Examples");
    if (!node.examples.length) add(details, "p", "none", "dim");
    for (const text of node.examples) add(details, "blockquote", text);
  }

  function choose(number, focus) {
    boxes[chosen].setAttribute("aria-selected", "false");
    boxes[chosen].tabIndex = -1;
    chosen = number;
    boxes[chosen].setAttribute("aria-selected", "true");
    boxes[chosen].tabIndex = 0;
    if (focus) {
      boxes[chosen].focus({preventScroll: true});
      boxes[chosen].scrollIntoView({block: "nearest", inline: "nearest"});
    }
    history.replaceState(null, "", "#n" + number);
    show(number);
  }

  function within(step) {
    const peers = nodes.map((_, number) => number).filter((each) => nodes[each].level === nodes[chosen].level);
    const place = peers.indexOf(chosen) + step;
    return peers[Math.max(0, Math.min(peers.length - 1, place))];
  }

  const moves = {
    ArrowRight: () => (nodes[chosen].children.length ? nodes[chosen].children[0] : chosen),
    ArrowLeft: () => (nodes[chosen].parent === null ? chosen : nodes[chosen].parent),
    ArrowDown: () => within(1),
    ArrowUp: () => within(-1),
    Home: () => 0,
    End: () => within(nodes.length),
    " ": () => chosen,
  };

  boxes.forEach((box, number) => {
    box.addEventListener("click", () => choose(number, true));
    box.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "Enter") details.focus();
      else if (Object.hasOwn(moves, event.key)) choose(moves[event.key](), true);
      else return;
      event.preventDefault();
    });
  });

  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    matches = [];
    nodes.forEach((node, number) => {
      const hit = (node.label + "\\n" + node.description).toLowerCase().includes(wanted);
      if (wanted && hit) matches.push(number);
      boxes[number].classList.toggle("other", Boolean(wanted) && !hit);
    });
    found.textContent = wanted ? matches.length + " found, Enter for the next" : "";
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && matches.length) {
      const next = matches.find((number) => number > chosen);
      choose(next === undefined ? matches[0] : next, false);
      boxes[chosen].scrollIntoView({block: "nearest", inline: "nearest"});
    } else if (event.key === "Escape") {
      search.value = "";
      search.dispatchEvent(new Event("input"));
      boxes[chosen].focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== search) {
      event.preventDefault();
      search.focus();
    }
  });

  details.tabIndex = -1;
  const asked = boxes.findIndex((box) => "#" + box.id === location.hash);
  choose(asked < 0 ? 0 : asked, false);
  if (asked >= 0) boxes[asked].scrollIntoView({block: "center", inline: "center"});
})();
"""
