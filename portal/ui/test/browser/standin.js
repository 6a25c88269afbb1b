// A stand-in for the portal: the page from dist, and answers that a test makes up, in a real browser.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { launch } from './page.js';
import { PATIENCE } from './plant.js';

const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
const dist = new URL('../../dist/', import.meta.url);

/** standIn starts one. answer(url, req) returns [status, body], or null for what is asked of dist. */
export async function standIn(answer) {
  const server = http.createServer(async (req, res) => {
    const url = new URL(req.url, 'http://portal');
    const answered = await answer(url, req);
    if (answered) {
      res.writeHead(answered[0], { 'Content-Type': 'application/json' });
      return res.end(JSON.stringify(answered[1]));
    }
    const name = url.pathname === '/' ? 'index.html' : url.pathname.slice(1);
    const body = await readFile(new URL(name, dist)).catch(() => null);
    res.writeHead(body ? 200 : 404, { 'Content-Type': TYPES[name.split('.').at(-1)] ?? 'text/plain' });
    res.end(body ?? '');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = `http://127.0.0.1:${server.address().port}`;
  const browser = await launch();
  return {
    at,
    /** open shows a page of it until the test t ends. ready(page) is called before anything is asked for. */
    async open(t, hash, { lang = 'en-US', width = 1440, height = 900, theme = 'light', hasTouch = false, ready = () => {} } = {}) {
      const context = await browser.newContext({ viewport: { width, height }, locale: lang, colorScheme: theme, hasTouch, acceptDownloads: true });
      t.after(() => context.close());
      context.setDefaultTimeout(PATIENCE);
      const page = await context.newPage();
      page.on('pageerror', (e) => t.diagnostic(`page: ${e.message}`));
      await ready(page);
      await page.goto(`${at}/${hash}`);
      return page;
    },
    async close() {
      await browser.close();
      server.closeAllConnections();
      server.close();
    },
  };
}
