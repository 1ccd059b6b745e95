// The live page in a real Chromium, served by the example `service`; ci/page starts both.
//   NODE_PATH=DIR/node_modules node tests/page/page.mjs http://127.0.0.1:PORT/memory [DIR for screenshots]
// SERVICE_CLEANUP_TOKEN: the service's. Prints what it saw; the first failed check ends it with status 1.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { chromium } = createRequire(import.meta.url)("playwright-core");
const [base, shots] = process.argv.slice(2);
const TOKEN = process.env.SERVICE_CLEANUP_TOKEN;
const MIB = 1024 * 1024;
const BATCH = 4000;
const TRANSFER_MAX_BYTES = 120 * 1024;
const POLICY = ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic"],
});
const complaints = [];
let offline = false;

async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("console", (message) => offline || message.type() === "debug" || complaints.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`script: ${error.message}`));
  page.on("dialog", (dialog) => { complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== new URL(base).origin && protocol !== "data:") complaints.push(`left the house: ${request.url()}`);
  });
  page.sizes = new Map();
  page.on("response", async (response) => {
    const feed = (response.headers()["content-type"] ?? "").startsWith("text/event-stream");
    if (!feed) page.sizes.set(new URL(response.url()).pathname, (await response.body().catch(() => "")).length);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
  });
  const response = await page.goto(base);
  await page.waitForSelector('#connection[data-state="live"]');
  await page.waitForFunction(() => document.getElementById("connection-words").textContent.startsWith("Live, reading"));
  return { page, context, response };
}
const drawn = (page, id) => page.$eval(`#chart-${id} canvas`, (canvas) => canvas.toDataURL());
const noSidewaysScroll = async (page) => assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, "scrolls sideways");
const shot = (page, name) => shots && page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

/** What the heap chart's table says is allocated now. */
async function allocated(page) {
  const words = await page.$eval("#chart-heap .key tbody", (body) => [...body.rows].find((row) => row.cells[0].textContent.includes("Allocated")).cells[1].textContent);
  const [size, unit] = words.split(" ");
  return Number(size) * { B: 1, KiB: 1024, MiB: MIB, GiB: 1024 * MIB }[unit];
}

/** Sends a batch of new events; how many were taken. */
async function send(name) {
  const batch = Array.from({ length: BATCH }, (_, i) => ({ id: `${name}-${i}`, exchange: "binance", symbol: "BTC-USDT", price: 1.5, size: 2, ts_ms: i }));
  const response = await fetch(new URL("/events", base), { method: "POST", body: JSON.stringify(batch) });
  await response.arrayBuffer();
  return response.ok ? BATCH : 0;
}

/** Sends batches until `seen`. */
async function burst(seen) {
  let sent = 0;
  for (let round = 0; !(await seen()); round += 1) {
    assert.ok(round < 2000, "never seen");
    sent += await send(`burst-${round}`);
  }
  return sent;
}

/** A minute as a service has it, for the picture. */
async function aMinute(page) {
  for (let round = 0; round < 220; round += 1) {
    await send(`work-${round}`);
    await page.waitForTimeout(250);
  }
}

async function check(name, work) {
  try {
    console.log(`ok    ${name}`, (await work()) ?? "");
  } catch (error) {
    console.log(`FAIL  ${name}`);
    throw error;
  }
}

try {
  const { page, context, response } = await open({ colorScheme: "light" });
  await check("security headers", () => {
    for (const part of POLICY) assert.ok((response.headers()["content-security-policy"] ?? "").includes(part), `no ${part}`);
    assert.equal(response.headers()["x-content-type-options"], "nosniff");
  });
  await check("small enough", () => {
    const total = [...page.sizes.values()].reduce((a, b) => a + b, 0);
    assert.ok(page.sizes.size >= 5 && total > 0 && total <= TRANSFER_MAX_BYTES, `${total} bytes`);
    return `${total} bytes in ${page.sizes.size} files`;
  });
  await check("charts move", async () => {
    const before = await drawn(page, "used");
    await page.waitForFunction((old) => document.querySelector("#chart-used canvas").toDataURL() !== old, before);
  });
  await check("an allocation burst is seen, and a cleanup by pressure marked", async () => {
    const before = await allocated(page);
    const canvas = await drawn(page, "heap");
    const sent = await burst(() => page.$$eval("#cleanups tbody tr", (rows) => rows.some((row) => row.cells[1].textContent.startsWith("pressure"))));
    const after = await allocated(page);
    assert.ok(after > before + 10 * MIB, `${before} -> ${after}`);
    assert.notEqual(await drawn(page, "heap"), canvas);
    return `${sent} events, ${Math.round(before / MIB)} -> ${Math.round(after / MIB)} MiB allocated`;
  });
  // Told, not judged: a busy machine paints late.
  await check("first paint, ms", () => page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
  await check("names are text", async () => assert.equal(await page.locator("img, iframe, main script").count(), 0));
  await check("every chart has its table, no number where nothing is known", async () => {
    const tables = await page.$$eval("figure .key", (all) => all.map((table) => table.tBodies[0].innerText));
    assert.equal(tables.length, 4);
    for (const text of tables) assert.doesNotMatch(text, /NaN|undefined|null|Infinity/);
    assert.doesNotMatch(await page.innerText("main"), /NaN|undefined|Infinity/);
  });
  await check("windows", async () => {
    for (const seconds of [60, 3600, 600]) {
      const before = await page.getAttribute("#chart-used .plot", "aria-label");
      await page.click(`#windows [data-seconds="${seconds}"]`);
      assert.equal(await page.getAttribute(`#windows [data-seconds="${seconds}"]`, "aria-pressed"), "true");
      assert.notEqual(await page.getAttribute("#chart-used .plot", "aria-label"), before);
    }
  });
  await check("keyboard", async () => {
    const { page, context } = await open({});
    const stops = [];
    for (let i = 0; i < 16; i += 1) {
      await page.keyboard.press("Tab");
      const stop = await page.evaluate(() => {
        const at = document.activeElement;
        if (at === document.body) return null;
        const style = getComputedStyle(at);
        const name = at.id || at.dataset.seconds || at.closest("figure")?.id || at.className || at.textContent;
        return { name, seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 };
      });
      if (stop === null) break;
      assert.ok(stop.seen, `no visible focus on ${stop.name}`);
      stops.push(stop.name);
    }
    const drawnCharts = await page.$$eval("figure:not(.none)", (all) => all.map((figure) => figure.id));
    for (const wanted of ["skip", "60", "600", "3600", ...drawnCharts]) assert.ok(stops.includes(wanted), `${wanted} can't be reached: ${stops}`);
    if (!drawnCharts.includes("chart-used") || !drawnCharts.includes("chart-heap")) return stops.join(" > ");
    await page.focus("#chart-used .plot");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    assert.notEqual(await page.textContent("#chart-heap .key thead th:nth-child(2)"), "Now", "the cursor is shared");
    await page.keyboard.press("Escape");
    assert.equal(await page.textContent("#chart-heap .key thead th:nth-child(2)"), "Now");
    await context.close();
    return stops.join(" > ");
  });
  await check("an hour at most is held, and names are made visible", async () => {
    const told = await page.evaluate(async (url) => {
      const { History } = await import(`${url}/history.js`);
      const { bytes, visible } = await import(`${url}/words.js`);
      const history = new History();
      for (let t = 1; t <= 20000; t += 1) history.push({ t, used: 1, cleanups: { t, count: 1, futile: 0, reason: "pressure", returned: 1, took_ms: 1 } });
      const held = history.frames.at(-1).t - history.frames[0].t;
      for (let t = 1; t <= 20000; t += 1) history.push({ t: 20000 + t / 1000, used: 1 });
      const again = new History();
      const frame = { t: 5, used: 1, cleanups: { t: 5, count: 1, futile: 0, reason: "pressure", returned: 1, took_ms: 1 } };
      again.push(frame);
      again.push(frame);
      return { held, frames: history.frames.length, cleanups: history.cleanups.length, twice: again.cleanups.length, unknown: bytes(null), name: visible("a\u0000\u202e<b>") };
    }, base);
    assert.deepEqual(told, { held: 3600, frames: 3700, cleanups: 200, twice: 1, unknown: "unknown", name: "a\\u{0}\\u{202e}<b>" });
  });
  await check("cleanup only by permission", async () => {
    const shown = await page.isVisible("#clean");
    assert.equal(shown, TOKEN !== undefined);
    if (!shown) return "not offered";
    await page.fill("#token", "not the token");
    offline = true; // The browser reports the refusal.
    await page.click("#clean button");
    await page.waitForFunction(() => document.getElementById("clean-answer").textContent.includes("did not accept"));
    offline = false;
    await page.fill("#token", TOKEN);
    await page.click("#clean button");
    await page.waitForFunction(() => /returned|Done/.test(document.getElementById("clean-answer").textContent));
    return page.textContent("#clean-answer");
  });
  await check("1280 px wide, light", () => noSidewaysScroll(page));
  await page.click('#windows [data-seconds="60"]');
  if (shots) await aMinute(page);
  await shot(page, "light");
  const light = await ground(page);
  await check("dark", async () => {
    await page.emulateMedia({ colorScheme: "dark" });
    assert.notEqual(await ground(page), light);
    await page.waitForTimeout(1500);
    await shot(page, "dark");
  });
  await check("lost is said, and comes back", async () => {
    offline = true; // The browser reports what is cut off here.
    const feed = (url) => url.pathname.endsWith("/feed");
    await context.route(feed, (route) => route.abort());
    await page.reload();
    await page.waitForSelector('#connection[data-state="lost"]');
    // What stands there is for the eye: who listens is told once, and once more when it is over.
    const told = (words) => page.waitForFunction((words) => document.getElementById("announce").textContent.includes(words), words);
    await told("is lost");
    await context.unroute(feed);
    await page.click("#retry");
    await page.waitForSelector('#connection[data-state="live"]');
    await told("is back");
    assert.ok(await page.isHidden("#retry"));
    offline = false;
  });
  await context.close();

  for (const colorScheme of ["light", "dark"]) {
    await check(`400 px wide, ${colorScheme}`, async () => {
      const narrow = await open({ colorScheme, viewport: { width: 400, height: 800 }, reducedMotion: "reduce" });
      await narrow.page.waitForTimeout(500);
      await noSidewaysScroll(narrow.page);
      assert.equal(await narrow.page.$eval("#fill", (fill) => getComputedStyle(fill).transitionDuration), "0s");
      if (colorScheme === "light") await shot(narrow.page, "narrow");
      await narrow.context.close();
    });
  }
  await check("no complaint of the browser", () => assert.deepEqual(complaints, []));
} finally {
  await browser.close();
}
