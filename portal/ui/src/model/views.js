// A saved view is the page's address in parts: page, subject and query. Pure functions.
import { format, parse } from '../core/router.js';

/** viewOf returns what is saved of a route. */
export function viewOf(route) {
  const [path, search = ''] = format(route).split('?', 2);
  const { page, subject } = parse(path);
  return { page, subject, query: search };
}

/**
 * viewHref returns the address of a saved view. Its parts are encoded anew: it leads nowhere else. One of all buildings
 * says so, or it would be shown of the building that is looked at.
 */
export function viewHref(view) {
  const href = format({ page: view.page, subject: view.subject ?? '', params: Object.fromEntries(new URLSearchParams(view.query ?? '')) });
  if (/[?&]b=/.test(href)) return href;
  return `${href}${href.includes('?') ? '&' : '?'}b=`;
}
