const LONGEST = 40;

/** A title within a sentence. */
export function quoted(title: string): string {
  const characters = [...title];
  return `“${characters.length > LONGEST ? `${characters.slice(0, LONGEST).join("")}…` : title}”`;
}
