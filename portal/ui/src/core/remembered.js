// Persistent settings; lost where the browser forbids storage.
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
      // kept until the page is closed
    }
  },
};
