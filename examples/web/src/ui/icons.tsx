import type { ReactNode } from "react";

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      {children}
    </svg>
  );
}

export const BinIcon = () => (
  <Icon>
    <path d="M4 6h12M8 6V4.5h4V6M5.5 6l.6 9.5h7.8l.6-9.5M8.4 9v4M11.6 9v4" />
  </Icon>
);
export const RestoreIcon = () => (
  <Icon>
    <path d="M4.5 8.5h7a4 4 0 0 1 0 8H8M4.5 8.5 8 5M4.5 8.5 8 12" />
  </Icon>
);
export const MoreIcon = () => (
  <Icon>
    <circle cx="4.5" cy="10" r="1.1" />
    <circle cx="10" cy="10" r="1.1" />
    <circle cx="15.5" cy="10" r="1.1" />
  </Icon>
);
export const MoonIcon = () => (
  <Icon>
    <path d="M16 11.8A6.5 6.5 0 0 1 8.2 4a6.5 6.5 0 1 0 7.8 7.8Z" />
  </Icon>
);
export const SunIcon = () => (
  <Icon>
    <circle cx="10" cy="10" r="3.2" />
    <path d="M10 2.8v1.6M10 15.6v1.6M2.8 10h1.6M15.6 10h1.6M4.9 4.9 6 6M14 14l1.1 1.1M15.1 4.9 14 6M6 14l-1.1 1.1" />
  </Icon>
);
export const PlusIcon = () => (
  <Icon>
    <path d="M10 4.5v11M4.5 10h11" />
  </Icon>
);

export const Logo = () => (
  <svg className="logo" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true">
    <rect className="logo-tile" width="32" height="32" rx="9" />
    <path className="logo-mark" d="m9 16.5 4.6 4.6L23 11.6" />
  </svg>
);
