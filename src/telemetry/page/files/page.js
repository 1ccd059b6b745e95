// The live page: what the feed says, as words, charts and tables. Strings of the service become text, never markup.
import { forgetColors, makeCharts, write } from "./charts.js";
import { Feed } from "./feed.js";
import { History } from "./history.js";
import { bytes, cleanupReason, cleanupReturned, cleanupTook, clock, count, duration, levelMeaning, levelName, number, percent, visible, zone } from "./words.js";

const ROWS_MAX = 50;
const ANSWER_MAX = 2000;
const RECENT_CLEANUPS = 8;

const $ = (id) => document.getElementById(id);
const announce = (text) => write($("announce"), text);
const page = { history: new History(), seconds: 600, windowWords: "10 min", lines: null, announce };
const charts = makeCharts(page);

let now = null; // The newest frame with all that is not kept.
let announcedLevel = null;
let announcedState = null;

const feed = new Feed(new URL("feed", import.meta.url), {
  history(data) {
    page.history.replace(data.fields, data.rows);
    $("clean").hidden = data.may_clean !== true;
    draw();
  },
  now(data) {
    now = data;
    page.lines = data.lines ?? null;
    page.history.push(data);
    draw();
  },
  state: showConnection,
});

function draw() {
  if (!document.hidden) charts.draw(); // The words go on: a tab in the background shows its title.
  if (page.history.last === null) return;
  showCleanups();
  showNow(page.history.last);
  if (now === null) return;
  showFindings();
  fill(
    "scopes",
    now.scopes,
    ({ site, limit, held, peak, calls, exceeded }) => [visible(site), limit === null ? "none" : bytes(limit), bytes(held), bytes(peak), count(calls), count(exceeded)],
    ({ exceeded }) => (exceeded > 0 ? 5 : -1),
  );
  fill("hooks", now.hooks, ({ name, reclaimable, freed, calls }) => [visible(name), bytes(reclaimable), bytes(freed), count(calls)]);
}

function showNow(frame) {
  const { used, limit } = frame;
  const level = limit === null ? null : frame.level; // Without a limit there is nothing to be normal against.
  const share = used === null || limit === null || limit <= 0 ? null : (used / limit) * 100;
  write($("used"), bytes(used));
  write($("of"), limit === null ? "of an unknown limit" : `of ${bytes(limit)}${share === null ? "" : ` (${percent(share)})`}`);
  write($("level"), levelName(level));
  write($("meaning"), limit === null ? "No limit is known, so no level can be." : `${levelMeaning(level)} ${linesWords()}`);
  $("now").dataset.level = levelName(level).toLowerCase();
  showGauge(share);
  write($("time-to-limit"), frame.time_to_limit_s === null ? "unknown" : `about ${duration(frame.time_to_limit_s)}`);
  write($("headroom"), share === null ? "unknown" : bytes(limit - used));
  write($("limit-source"), visible(now?.limit_source));
  write($("rss"), bytes(frame.rss));
  const title = `${share === null ? bytes(used) : percent(share)} ${levelName(level)}, memory`;
  if (document.title !== title) document.title = title;
  if (announcedLevel !== null && announcedLevel !== level) {
    announce(`Memory level is now ${levelName(level)}: ${bytes(used)} ${$("of").textContent}.`);
  }
  announcedLevel = level;
}

function linesWords() {
  const lines = ["elevated", "high", "critical"].map((name) => number(page.lines?.[name]));
  return lines.includes(null) ? "" : `Elevated begins at ${lines[0]} %, High at ${lines[1]} %, Critical at ${lines[2]} %.`;
}

function showGauge(share) {
  $("gauge").hidden = share === null;
  if (share === null) return;
  $("fill").style.width = `${Math.min(100, Math.max(0, share))}%`;
  for (const line of $("gauge").querySelectorAll(".line")) {
    const at = number(page.lines?.[line.dataset.line]);
    line.hidden = at === null;
    if (at !== null) line.style.left = `${at}%`;
  }
}

function showCleanups() {
  const recent = page.history.cleanups.slice(-RECENT_CLEANUPS).reverse();
  fill(
    "cleanups",
    recent,
    (cleanup) => [clock(cleanup.t), cleanupReason(cleanup), cleanupReturned(cleanup), cleanupTook(cleanup)],
    ({ futile }) => (futile > 0 ? 2 : -1),
  );
  const [last] = recent;
  const words = last && `${bytes(last.returned)} back, ${duration(Math.max(0, page.history.last.t - last.t))} ago`;
  write($("last-cleanup"), words ?? "none in this hour");
}

function showFindings() {
  const findings = objects(now.findings);
  document.querySelector('[data-for="findings"]').hidden = findings.length > 0;
  const errors = findings.filter((finding) => finding.severity === "error").length;
  write($("findings-count"), findings.length === 0 ? "none" : `${findings.length}${errors === 0 ? "" : `, ${errors} ${errors === 1 ? "error" : "errors"}`}`);
  const list = $("findings-list");
  const told = JSON.stringify(findings);
  if (list.told === told) return;
  list.told = told;
  list.replaceChildren(
    ...findings.map((finding) => {
      const item = document.createElement("li");
      const severity = visible(finding.severity);
      item.dataset.severity = severity;
      const parts = { b: severity, span: visible(finding.message, 1000), em: visible(finding.advice, 1000), code: visible(finding.code) };
      for (const [name, text] of Object.entries(parts)) {
        const part = item.appendChild(document.createElement(name));
        part.textContent = text;
        item.append(" ");
      }
      return item;
    }),
  );
}

/** What a list of the feed holds, as far as it can be shown. */
const objects = (list) => (Array.isArray(list) ? list : []).filter((item) => item && typeof item === "object").slice(0, ROWS_MAX);

/** Rows of a table, reused: a name, then figures. `loud` says which cell asks to be seen. */
function fill(id, items, words, loud = () => -1) {
  const rows = objects(items);
  const body = $(id).tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((item, i) => {
    const texts = words(item);
    const row = body.rows[i] ?? newRow(body, texts.length);
    texts.forEach((text, n) => {
      write(row.cells[n], text);
      row.cells[n].classList.toggle("loud", n === loud(item));
    });
  });
  $(id).hidden = rows.length === 0;
  document.querySelector(`[data-for="${id}"]`).hidden = rows.length > 0;
}

// The roles stay when a narrow screen lays the row out as a grid.
function newRow(body, cells) {
  const row = body.insertRow();
  row.setAttribute("role", "row");
  for (let n = 0; n < cells; n += 1) {
    const cell = row.appendChild(document.createElement(n === 0 ? "th" : "td"));
    cell.setAttribute("role", n === 0 ? "rowheader" : "cell");
    if (n === 0) cell.scope = "row";
  }
  return row;
}

function showConnection(state) {
  const silent = feed.silentSeconds;
  const age = number(now?.reading_age_s);
  const words = {
    connecting: "Connecting",
    live: now === null ? "Live" : `Live, reading ${age === null ? "of unknown age" : `${duration(age + silent)} old`}`,
    lost: `Lost, last heard ${duration(silent)} ago, retrying`,
  }[state];
  $("connection").dataset.state = state;
  write($("connection-words"), words);
  $("retry").hidden = state !== "lost";
  document.body.classList.toggle("stale", state === "lost");
  if (announcedState === "lost" && state === "live") announce("The connection is back.");
  if (state === "lost" && announcedState !== "lost") announce("The connection is lost: what is shown is old.");
  announcedState = state;
}

function choose(button) {
  page.seconds = Number(button.dataset.seconds);
  page.windowWords = button.textContent;
  for (const other of $("windows").children) other.setAttribute("aria-pressed", String(other === button));
  draw();
}

async function clean(event) {
  event.preventDefault();
  const [button, answer] = [$("clean-form").querySelector("button"), $("clean-answer")];
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true"; // Not `disabled`: that takes the focus away.
  write(answer, "Cleaning up …");
  write(answer, await askForCleanup($("token").value));
  button.ariaDisabled = "false";
}

async function askForCleanup(token) {
  try {
    const headers = { "x-plimsoll-token": token };
    const response = await fetch(new URL("cleanup", import.meta.url), { method: "POST", headers, cache: "no-store", redirect: "error" });
    if (response.status === 401 || response.status === 403) return "The service did not accept this token.";
    const text = (await response.text()).slice(0, ANSWER_MAX).trim();
    return response.ok ? text || "Done." : `The service refused (status ${response.status}). ${text}`;
  } catch (error) {
    return `No answer: ${error.message}`;
  }
}

$("windows").addEventListener("click", (event) => {
  if (event.target.matches("button")) choose(event.target);
});
$("retry").addEventListener("click", () => feed.retry());
$("clean-form").addEventListener("submit", clean);
document.addEventListener("visibilitychange", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  forgetColors();
  draw();
});
write($("times"), `Times are in ${zone()}.`);
draw();
