"use strict";
// Searches the institutions in the browser: the whole index is loaded once, and what people type goes nowhere.

const SHOWN = 20;
const REMEMBERED = 3;
const STORE = "institutions";

const main = document.querySelector("main");
const query = document.getElementById("query");
const status = document.getElementById("status");
const found = document.getElementById("found");

// Without accents and case, so that "universite" finds "Université".
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function nameOf(institution) {
  for (const language of [...navigator.languages, "en"]) {
    const name = institution.names[language] || institution.names[language.split("-")[0]];
    if (name) return name;
  }
  return Object.values(institution.names)[0];
}

function remembered() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORE));
    return Array.isArray(stored) ? stored.filter((id) => typeof id === "string") : [];
  } catch {
    return []; // Another program's value, or a browser that keeps nothing.
  }
}

function remember(id) {
  const ids = [id, ...remembered().filter((other) => other !== id)].slice(0, REMEMBERED);
  try {
    localStorage.setItem(STORE, JSON.stringify(ids));
  } catch {
    // A browser that keeps nothing: the next login searches again.
  }
}

function choice(institution) {
  const link = document.createElement("a");
  // Where the choice goes is fixed: an address in the query would let anybody send people anywhere.
  link.href = `${main.dataset.return}?entityID=${encodeURIComponent(institution.id)}`;
  link.textContent = institution.name;
  if (institution.domain) {
    const domain = document.createElement("span");
    domain.textContent = institution.domain;
    link.append(domain);
  }
  link.addEventListener("click", () => remember(institution.id));
  const item = document.createElement("li");
  item.append(link);
  return item;
}

function search(institutions, text) {
  const words = plain(text).split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const whole = words.join(" ");
  const rank = (institution) => (institution.sortName.startsWith(whole) ? 0 : institution.sortName.includes(whole) ? 1 : 2);
  return institutions
    .filter((institution) => words.every((word) => institution.haystack.includes(word)))
    .sort((one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name));
}

function show(institutions) {
  const matches = search(institutions, query.value);
  found.replaceChildren(...matches.slice(0, SHOWN).map(choice));
  if (!query.value.trim()) status.textContent = `${institutions.length} institutions`;
  else if (!matches.length) status.textContent = "No institution is called so. Try another word of its name, or its web domain.";
  else if (matches.length > SHOWN) status.textContent = `The first ${SHOWN} of ${matches.length} institutions. Type more of the name.`;
  else status.textContent = matches.length === 1 ? "1 institution" : `${matches.length} institutions`;
}

async function start() {
  const answer = await fetch("institutions.json");
  if (!answer.ok) throw new Error(`${answer.status}`);
  const institutions = (await answer.json()).map((entry) => {
    const name = nameOf(entry);
    const domain = entry.words.split(" ").filter((word) => word.includes(".")).join(", ");
    const haystack = plain([...Object.values(entry.names), entry.words, entry.id].join(" "));
    return { id: entry.id, name, domain, sortName: plain(name), haystack };
  });
  const recent = remembered().flatMap((id) => institutions.filter((institution) => institution.id === id));
  if (recent.length) {
    const section = document.getElementById("recent");
    section.querySelector("ul").replaceChildren(...recent.map(choice));
    section.hidden = false;
  }
  query.disabled = false;
  query.addEventListener("input", () => show(institutions));
  show(institutions);
  if (!recent.length) query.focus();
}

document.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const first = found.querySelector("a");
  if (first && found.children.length === 1) first.click();
});

start().catch(() => {
  status.textContent = "The list of institutions cannot be loaded. Load this page again in a few minutes.";
});
