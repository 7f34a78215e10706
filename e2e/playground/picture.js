// Takes a picture of the built page, with one source that is right and one with a mistake: picture.js FILE
import { createRequire } from "node:module";
import { serve } from "./server.js";

const root = new URL("../../", import.meta.url);
const { chromium } = createRequire(new URL("playground/package.json", root))("playwright-core");

const source = `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: argocd
  annotations:
    telewarden.io/endpoints: |
      - web: http://web.shop.svc:8080/metrics
      - redis: http://redis.shop.svc:9121/metrics
      - queue:
          url: http://queue.shop.svc:9419/metrics
          interval: 30s
spec:
  destination: {server: "https://kubernetes.default.svc", namespace: shop}
---
apiVersion: v1
kind: Namespace
metadata:
  name: bank
  annotations:
    telewarden.io/endpoints: |
      - ledger:
          url: http://ledger.bank.svc:8080/metrics
          intervall: 30s
`;

const server = await serve(new URL("playground/dist/page/", root));
const browser = await chromium.launch({
    executablePath: process.env.TELEWARDEN_PART_CHROMIUM,
    args: ["--headless", "--no-sandbox", "--disable-gpu"],
});
const page = await browser.newPage({ viewport: { width: 1440, height: 760 }, colorScheme: "light" });
await page.addInitScript((source) => {
    sessionStorage.setItem("telewarden.draft", JSON.stringify({ source, settings: "" }));
    localStorage.setItem("telewarden.pane.rows", "80");
}, source);
await page.goto(server.address);
await page.locator("#source-findings .go").click();
await page.getByRole("tab", { name: "Picture" }).click();
await page.locator("#picture svg").waitFor();
await page.locator("#tab-picture").blur();
await page.screenshot({ path: process.argv[2] });
await browser.close();
await server.close();
