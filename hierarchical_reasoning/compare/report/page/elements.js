// @ts-check
"use strict";

const FIRST_CHARACTERS = 4000;
const MORE_CHARACTERS = 50000;

/**
 * An element with text, or with other elements; never with markup.
 * @param {string} tag @param {string} [kind] classes @param {...(string | Node)} inside
 */
function element(tag, kind = "", ...inside) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.append(...inside);
  return made;
}

/** @param {string} id @returns {any} */
function byId(id) {
  return document.getElementById(id);
}

/** Text of any length: its beginning, and a button for more. @param {string} text @param {string} kind */
function longText(text, kind) {
  const shown = element("div", kind, text.slice(0, FIRST_CHARACTERS));
  shown.dir = "auto";
  if (text.length <= FIRST_CHARACTERS) return shown;
  let end = FIRST_CHARACTERS;
  const more = element("button", "more");
  const told = () => (more.textContent = `Show more: ${(text.length - end).toLocaleString("en")} characters left`);
  more.addEventListener("click", () => {
    shown.append(text.slice(end, end + MORE_CHARACTERS));
    end += MORE_CHARACTERS;
    if (end >= text.length) more.remove();
    else told();
  });
  told();
  return element("div", "", shown, more);
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {...Node} inside */
function svgElement(name, attributes, ...inside) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...inside);
  return made;
}

const SQUARE = 45;

/**
 * A chess board, seen by the side to move, with the solution's move and those of the arms.
 * @param {Board} board @param {{move: string, kind: string}[]} arrows
 */
function chessBoard(board, arrows) {
  const turned = board.black;
  /** @param {number} file @param {number} rank @returns {[number, number]} */
  const corner = (file, rank) => [(turned ? 7 - file : file) * SQUARE, (turned ? rank : 7 - rank) * SQUARE];
  const side = 8 * SQUARE;
  const picture = svgElement("svg", { class: "board", viewBox: `0 0 ${side} ${side}`, role: "img" });
  /** @type {{letter: string, file: number, rank: number}[]} */
  const pieces = [];
  board.squares.split("/").forEach((row, place) => {
    let file = 0;
    for (const letter of row) {
      if (/[1-8]/.test(letter)) file += Number(letter);
      else pieces.push({ letter, file: file++, rank: 7 - place });
    }
  });
  for (let file = 0; file < 8; file++)
    for (let rank = 0; rank < 8; rank++) {
      const [x, y] = corner(file, rank);
      const kind = (file + rank) % 2 ? "square light" : "square";
      picture.append(svgElement("rect", { class: kind, x, y, width: SQUARE, height: SQUARE }));
    }
  for (const { letter, file, rank } of pieces) {
    const [x, y] = corner(file, rank);
    picture.append(svgElement("use", { href: `#piece-${letter}`, x, y, width: SQUARE, height: SQUARE }));
  }
  for (const { move, kind } of arrows) {
    const [from, to] = [move.slice(0, 2), move.slice(2, 4)].map((square) =>
      corner(square.charCodeAt(0) - 97, Number(square[1]) - 1).map((each) => each + SQUARE / 2));
    picture.append(
      svgElement("line", { class: `arrow ${kind}`, x1: from[0], y1: from[1], x2: to[0], y2: to[1] }),
      svgElement("circle", { class: `arrow ${kind}`, cx: to[0], cy: to[1], r: 8 }),
    );
  }
  const names = pieces.map(({ letter, file, rank }) => letter + String.fromCharCode(97 + file) + (rank + 1)).join(", ");
  picture.setAttribute("aria-label", `Chess board, ${turned ? "black" : "white"} to move. ${names}`);
  return picture;
}
