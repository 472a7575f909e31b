import { store, stored } from "../storage";
import { Store, useStore } from "../store";
import { MoonIcon, SunIcon } from "./icons";

type Theme = "light" | "dark";

const NAME = "theme";
const preference = matchMedia("(prefers-color-scheme: dark)");
const chosen = new Store<Theme | null>(stored(NAME) as Theme | null);
const system = new Store<Theme>(preference.matches ? "dark" : "light");
preference.addEventListener("change", () => system.set(preference.matches ? "dark" : "light"));

export function applyTheme(): void {
  const theme = chosen.get();
  if (theme) document.documentElement.dataset.theme = theme;
}

/** Switches between light and dark. Until it is used, the page follows the system. */
export function ThemeButton() {
  const ofSystem = useStore(system);
  const theme = useStore(chosen) ?? ofSystem;
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={`Use ${other} colours`}
      onClick={() => {
        store(NAME, other);
        chosen.set(other);
        applyTheme();
      }}
    >
      {theme === "dark" ? <SunIcon /> : <MoonIcon />}
    </button>
  );
}
