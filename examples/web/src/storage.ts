/** What localStorage would not take: it can be blocked, or full. */
const kept = new Map<string, string>();

/** Read what `store` has kept for all tabs, or for this one. */
export function stored(name: string): string | null {
  const value = kept.get(name);
  if (value !== undefined) return value;
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keep a value for all tabs and after a reload or, where the browser refuses that, as long as this page is open. */
export function store(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
    kept.delete(name);
  } catch {
    kept.set(name, value);
  }
}
