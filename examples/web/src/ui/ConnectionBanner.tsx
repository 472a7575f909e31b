import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { apiUrl } from "../config";
import { type Obstacle, obstacle, online, watchedFetch } from "../connection";
import { useStore } from "../store";

const TEXT: Record<Obstacle["kind"], string> = {
  limited: "You are going a little fast for the service.",
  unavailable: "The service is not available just now.",
  unreachable: "The service cannot be reached.",
};

interface BannerProps {
  /** The number of new tasks that are waiting. */
  waiting: number;
  /** Called when requests succeed again. */
  onRecovered: () => void;
}

/** Says why nothing moves, when the next attempt is due, and makes that attempt. */
export function ConnectionBanner({ waiting, onRecovered }: BannerProps) {
  const isOnline = useStore(online);
  const current = useStore(obstacle);
  useAttempts(isOnline ? current : null);
  useRecovery(isOnline && !current, onRecovered);
  const text = !isOnline ? "You are offline." : current ? TEXT[current.kind] : "";
  return (
    <div className="banner-region">
      <div role="status" className={text ? "banner" : undefined}>
        {text && (
          <p>
            <span className="banner-dot" aria-hidden="true" />
            {text} {waiting > 0 && <Waiting count={waiting} />}
            {isOnline && current && <Countdown until={current.until} />}
          </p>
        )}
      </div>
    </div>
  );
}

function Waiting({ count }: { count: number }) {
  return <>{count === 1 ? "1 new task is kept here and will be sent. " : `${count} new tasks are kept here and will be sent. `}</>;
}

/** Hidden from screen readers, which would announce every second of it. */
function Countdown({ until }: { until: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.ceil((until - now) / 1000);
  return (
    <span aria-hidden="true" className="countdown">
      {seconds > 0 ? `Trying again in ${seconds} s` : "Trying again …"}
    </span>
  );
}

function useAttempts(current: Obstacle | null) {
  useEffect(() => {
    if (!current) return;
    // The response, or its absence, sets the next obstacle or none. This request needs no token, and counts for no limit
    // of the user.
    const attempt = () => void watchedFetch(`${apiUrl}/health/ready`).catch(() => undefined);
    const timer = setTimeout(attempt, Math.max(0, current.until - Date.now()));
    return () => clearTimeout(timer);
  }, [current]);
}

function useRecovery(clear: boolean, onRecovered: () => void) {
  const cache = useQueryClient();
  const [wasClear, setWasClear] = useState(clear);
  useEffect(() => {
    if (clear === wasClear) return;
    setWasClear(clear);
    if (!clear) return;
    onRecovered();
    void cache.invalidateQueries();
  }, [clear, wasClear, cache, onRecovered]);
}
