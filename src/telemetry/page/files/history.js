// The last hour, as frames. Bounded in time and in number; a frame keeps only what the charts draw.
import { number } from "./words.js";

const HOUR_S = 3600;
const FRAMES_MAX = 3700;
const CLEANUPS_MAX = 200;
// The oldest part comes at 10 s: a longer step is a time of which nothing is known.
const GAP_S = 25;

const FIELDS = [
  "t", "used", "limit", "rss", "level", "allocated", "active", "dirty", "metadata", "retained", "thread_cache", "reserved", "reserved_unfilled", "waiting",
  "psi_some", "psi_full", "brake_pauses", "brake_paused_ms", "time_to_limit_s",
];

function frameOf(raw) {
  if (raw === null || typeof raw !== "object" || number(raw.t) === null) return null;
  const frame = {};
  for (const field of FIELDS) frame[field] = number(raw[field]);
  return frame;
}

export class History {
  frames = [];
  cleanups = [];

  /** What the server holds, a row of values for each frame, replaces what is held here. */
  replace(fields, rows) {
    this.frames = [];
    this.cleanups = [];
    if (!Array.isArray(fields) || !Array.isArray(rows)) return;
    for (const row of rows.slice(-FRAMES_MAX)) this.push(Object.fromEntries(fields.map((field, i) => [field, row?.[i]])));
  }

  push(raw) {
    const frame = frameOf(raw);
    if (frame === null) return;
    // A clock that was set back: the charts need times that grow.
    while (this.frames.length > 0 && this.frames.at(-1).t >= frame.t) this.frames.pop();
    const before = this.frames.at(-1);
    if (before && frame.t - before.t > GAP_S) this.frames.push(frameOf({ t: before.t + 1 }));
    this.frames.push(frame);
    this.#pushCleanup(raw.cleanups, frame.t);
    this.#forget(frame.t - HOUR_S);
  }

  #pushCleanup(raw, frameTime) {
    if (raw === null || typeof raw !== "object") return; // None in this frame.
    const t = number(raw.t) ?? frameTime;
    // The present is told once more after the hour, and a part of the hour may have grown.
    while (this.cleanups.length > 0 && this.cleanups.at(-1).t >= t) this.cleanups.pop();
    this.cleanups.push({
      t,
      count: number(raw.count) ?? 1,
      futile: number(raw.futile) ?? 0,
      returned: number(raw.returned),
      reason: raw.reason,
      took_ms: number(raw.took_ms),
    });
  }

  #forget(oldest) {
    let old = Math.max(0, this.frames.length - FRAMES_MAX);
    while (this.frames[old].t < oldest) old += 1;
    if (old > 0) this.frames.splice(0, old);
    this.cleanups = this.cleanups.slice(-CLEANUPS_MAX).filter((cleanup) => cleanup.t >= oldest);
  }

  get last() {
    return this.frames.at(-1) ?? null;
  }

  /** The frames of the last `seconds`, and one before, so that lines reach the edge. */
  since(seconds) {
    const start = (this.last?.t ?? 0) - seconds;
    let from = this.frames.findIndex((frame) => frame.t >= start);
    if (from > 0) from -= 1;
    return from < 0 ? [] : this.frames.slice(from);
  }
}

/** Of a total that only grows: how much a second. A smaller total is a restart, and unknown. */
export function perSecond(frame, before, field) {
  if (!before || frame[field] === null || before[field] === null || frame[field] < before[field]) return null;
  return (frame[field] - before[field]) / (frame.t - before.t);
}
