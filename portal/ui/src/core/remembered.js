// Settings that outlive the page. A browser that forbids it forgets them.
export const remembered = {
  get(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch {
      // then it holds until the page is closed
    }
  },
};
