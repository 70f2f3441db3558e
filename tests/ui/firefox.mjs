// Opens the page in Firefox, over WebDriver BiDi, and does what the test says: node firefox.mjs FIREFOX ADDRESS < steps.json
//
// The steps are {panel: [[what, selector, text]]}. What it answers, as JSON: {panel: {seen: [texts], said: [what the console
// and the network complained of]}}; a step that can't be done ends its panel, and is the last thing said.

import { text } from "node:stream/consumers";
import puppeteer from "puppeteer-core";

const [executablePath, address] = process.argv.slice(2);
const WAIT = 30_000;

const steps = JSON.parse(await text(process.stdin));
const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true, timeout: 120_000 });
const found = {};
let said = [];
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  page.setDefaultTimeout(WAIT);
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("response", (answer) => answer.status() >= 400 && said.push(`${answer.status()} ${answer.url()}`));
  await page.goto(address);

  const does = {
    click: (selector) => page.locator(selector).click(),
    fill: (selector, value) => page.locator(selector).fill(value),
    press: (_, key) => page.keyboard.press(key),
    type: (_, value) => page.keyboard.type(value),
  };
  for (const [panel, wanted] of Object.entries(steps)) {
    const seen = [];
    try {
      await does.click(`[role=tab][data-panel=${panel}]`);
      for (const [what, selector, value] of wanted) {
        if (what !== "see") await does[what](selector, value);
        else seen.push(await (await page.waitForSelector(selector, { visible: true })).evaluate((node) => node.value || node.textContent));
      }
    } catch (error) {
      said.push(String(error));
    }
    found[panel] = { seen, said };
    said = [];
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(found));
