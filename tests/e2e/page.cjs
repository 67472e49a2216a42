// SPDX-License-Identifier: MIT
// Opens a page in a browser and prints what is seen of it, as JSON, for page_test.py. Usage: page.cjs PAGE
"use strict";
const { chromium } = require("playwright-core");

const widths = [360, 1600];

// Boxes of all text that is on the page, and pairs of them that overlap.
function layout() {
  const boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim() || !node.parentElement.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width > 0 && box.height > 0) boxes.push({ text: node.data, left: box.left, right: box.right, top: box.top, bottom: box.bottom });
    }
  }
  const overlaps = [];
  boxes.forEach((a, i) => {
    for (const b of boxes.slice(i + 1)) {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left), down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 3) overlaps.push([a.text, b.text, across, down]);
    }
  });
  const beyond = boxes.filter(box => box.left < -0.5 || box.right > innerWidth + 0.5).map(box => box.text);
  return { texts: boxes.length, overlaps, beyond, scrolls: document.documentElement.scrollWidth > innerWidth };
}

function colours() {
  const luminance = element => {
    const name = getComputedStyle(element)[element.classList.contains("box") ? "backgroundColor" : "color"];
    return brightness(name);
  };
  const brightness = colour => {
    const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = brightness(getComputedStyle(document.body).backgroundColor);
  const contrast = selector => {
    const ink = luminance(document.querySelector(selector));
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  };
  const root = getComputedStyle(document.documentElement);
  const levels = [...Array(8).keys()].map(i => brightness("#" === root.getPropertyValue(`--l${i}`).trim()[0] ? hex(root.getPropertyValue(`--l${i}`).trim()) : ""));
  function hex(text) { return [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16)).join(","); }
  return { paper, contrasts: ["body", ".heading", ".hint", "thead th", "figcaption", ".names span"].map(contrast), levels };
}

function figures() {
  const rows = [...document.querySelectorAll("table.keys tbody tr")].map(row => ({
    key: row.cells[0].textContent, values: [...row.querySelectorAll("td.n")].map(cell => cell.dataset.value) }));
  const sections = [...document.querySelectorAll("section.key")].map(section => ({
    key: section.querySelector("h2").textContent,
    summary: Object.fromEntries([...section.querySelectorAll("dl div")].map(item => [item.children[0].textContent, item.children[1].textContent])),
    columns: section.querySelectorAll(".map .column").length,
    counts: [...section.querySelectorAll("details:last-of-type tbody td.c-count")].map(cell => Number(cell.dataset.value)),
    cells: [...section.querySelectorAll(".map .column")].map(column => column.dataset.cells.trim().split(" ").filter(cell => cell)
      .reduce((sum, cell) => sum + Number(cell.split(":")[1]), 0)),
    lines: section.querySelectorAll(".map path.line").length,
  }));
  return { rows, sections };
}

async function sorted(page, heading) {
  await page.locator("table.keys thead button", { hasText: new RegExp(`^${heading}$`) }).click();
  return page.$$eval("table.keys tbody tr th", cells => cells.map(cell => cell.textContent));
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  const seen = { complaints: [], requests: [], layout: {}, colours: {} };
  const open = async options => {
    const page = await browser.newPage(options);
    page.on("console", message => seen.complaints.push(message.text()));
    page.on("pageerror", error => seen.complaints.push(error.message));
    page.on("dialog", dialog => { seen.complaints.push("dialog: " + dialog.message()); dialog.dismiss(); });
    page.on("request", request => seen.requests.push(request.url()));
    await page.goto("file://" + process.argv[2]);
    return page;
  };
  for (const width of widths) {
    const page = await open({ viewport: { width, height: 900 } });
    seen.layout[width] = await page.evaluate(layout);
    await page.$$eval("details", all => all.forEach(one => { one.open = true; }));
    seen.layout[width + " opened"] = await page.evaluate(layout);
  }
  for (const colorScheme of ["light", "dark"]) seen.colours[colorScheme] = await (await open({ colorScheme })).evaluate(colours);
  const printed = await open({ colorScheme: "dark" });
  await printed.emulateMedia({ media: "print", colorScheme: "dark" });
  seen.colours.print = await printed.evaluate(colours);
  const plain = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  await plain.goto("file://" + process.argv[2]);
  seen.rows_without_scripts = await plain.locator("table.keys tbody tr").count();

  const page = await open({ viewport: { width: 1600, height: 900 } });
  Object.assign(seen, await page.evaluate(figures));
  seen.fits = await page.$eval("table.keys", table => table.getBoundingClientRect().bottom <= innerHeight);
  seen.by_p99 = [await sorted(page, "p99"), await sorted(page, "p99")];
  seen.by_key = await sorted(page, "key");
  const drawing = page.locator(".map svg").first();
  await drawing.scrollIntoViewIfNeeded();
  const box = await drawing.boundingBox();
  await page.mouse.move(box.x + 2, box.y + box.height / 2);
  seen.tip = await page.locator("#tip").textContent();
  seen.tip_is_shown = await page.locator("#tip").isVisible();
  await page.mouse.move(1, 1);
  seen.tip_stays = await page.locator("#tip").isVisible();
  await browser.close();
  console.log(JSON.stringify(seen));
})();
