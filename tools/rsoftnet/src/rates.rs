// SPDX-License-Identifier: GPL-2.0

//! What has changed from one snapshot to the next.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::snapshot::{
    Numbers,
    Snapshot,
    Times, //
};

/// By name.
type Named = BTreeMap<String, u64>;

/// A stage during an interval.
#[derive(Clone, Debug, Serialize)]
pub struct StageRate {
    /// Its name.
    pub name: String,
    /// Whether it counts.
    pub enabled: bool,
    /// How often in a second, on all CPUs.
    pub per_second: f64,
    /// How often on all CPUs, by the names of its counters.
    pub all: Named,
    /// The same for each CPU.
    pub cpus: Vec<Named>,
}

/// A latency during an interval.
#[derive(Clone, Debug, Serialize)]
pub struct LatencyRate {
    /// Its name.
    pub name: String,
    /// Whether it is measured.
    pub enabled: bool,
    /// On all CPUs; `max_ns` is that of the end of the interval.
    pub all: Times,
    /// The same for each CPU.
    pub cpus: Vec<Times>,
}

/// An interval.
#[derive(Clone, Debug, Serialize)]
pub struct Rates {
    /// Its end, by the monotonic clock.
    pub time_ns: u64,
    /// How long it was.
    pub interval_ns: u64,
    /// Which device and namespace are looked at, where there is a filter.
    pub filters: BTreeMap<String, String>,
    /// The queues of each CPU at the end: not a difference.
    pub backlog: Vec<Named>,
    /// In the order in which a packet comes by.
    pub stages: Vec<StageRate>,
    /// In their order.
    pub latencies: Vec<LatencyRate>,
    /// Drops by reason.
    pub reasons: Named,
    /// By stage, the CPU that does it and the one that it is done to.
    pub targets: Vec<(String, u32, u32, u64)>,
    /// Packets whose times were given up.
    pub unmatched: u64,
}

/// What was added to a counter that somebody may have reset meanwhile.
fn grown(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

fn numbers(before: Option<&Numbers>, now: &[(String, u64)]) -> Named {
    let of = |name: &str| before.map_or(0, |numbers| crate::snapshot::number(numbers, name));
    now.iter()
        .map(|(name, value)| (name.clone(), grown(of(name), *value)))
        .collect()
}

fn times(before: Option<&Times>, now: &Times) -> Times {
    let Some(before) = before.filter(|before| before.count <= now.count) else {
        return now.clone();
    };
    let old = before.log2_ns.iter().copied().chain(std::iter::repeat(0));
    Times {
        count: now.count - before.count,
        sum_ns: grown(before.sum_ns, now.sum_ns),
        max_ns: now.max_ns,
        log2_ns: now
            .log2_ns
            .iter()
            .zip(old)
            .map(|(now, old)| grown(old, *now))
            .collect(),
    }
}

impl Rates {
    /// Between two snapshots.
    pub fn between(before: &Snapshot, now: &Snapshot) -> Self {
        let interval_ns = now.time_ns.saturating_sub(before.time_ns).max(1);
        let seconds = interval_ns as f64 / 1e9;
        let stages = now.stages.iter().map(|stage| {
            let old = before.stages.iter().find(|old| old.name == stage.name);
            let all = numbers(old.map(|old| &old.rows.all), &stage.rows.all);
            StageRate {
                name: stage.name.clone(),
                enabled: stage.enabled,
                per_second: all.get("count").copied().unwrap_or(0) as f64 / seconds,
                all,
                cpus: (stage.rows.cpus.iter().enumerate())
                    .map(|(cpu, now)| numbers(old.and_then(|old| old.rows.cpus.get(cpu)), now))
                    .collect(),
            }
        });
        let latencies = now.latencies.iter().map(|latency| {
            let old = before.latencies.iter().find(|old| old.name == latency.name);
            LatencyRate {
                name: latency.name.clone(),
                enabled: latency.enabled,
                all: times(old.map(|old| &old.all), &latency.all),
                cpus: (latency.cpus.iter().enumerate())
                    .map(|(cpu, now)| times(old.and_then(|old| old.cpus.get(cpu)), now))
                    .collect(),
            }
        });
        let target = |of: &(String, u32, u32, u64)| {
            let is_same =
                |old: &&(String, u32, u32, u64)| (&old.0, old.1, old.2) == (&of.0, of.1, of.2);
            let old = before.targets.iter().find(is_same).map_or(0, |old| old.3);
            (of.0.clone(), of.1, of.2, grown(old, of.3))
        };
        let reason = |(name, value): (&String, &u64)| {
            let old = before.reasons.get(name).copied().unwrap_or(0);
            (name.clone(), grown(old, *value))
        };
        Self {
            time_ns: now.time_ns,
            interval_ns,
            filters: now.filters.clone(),
            backlog: (now.backlog.iter())
                .map(|row| row.iter().cloned().collect())
                .collect(),
            stages: stages.collect(),
            latencies: latencies.collect(),
            reasons: now
                .reasons
                .iter()
                .map(reason)
                .filter(|(_, n)| *n != 0)
                .collect(),
            targets: now
                .targets
                .iter()
                .map(target)
                .filter(|row| row.3 != 0)
                .collect(),
            unmatched: grown(before.unmatched, now.unmatched),
        }
    }

    /// How often a stage was come by in a second, on one CPU.
    pub fn per_second(&self, stage: &StageRate, cpu: usize) -> f64 {
        let count = stage.cpus.get(cpu).and_then(|row| row.get("count"));
        count.copied().unwrap_or(0) as f64 * 1e9 / self.interval_ns as f64
    }

    /// How many CPUs there are.
    pub fn cpus(&self) -> usize {
        self.backlog.len()
    }
}

/// The time below which so many of a hundred are, as exactly as a histogram says it: the end of its
/// bucket.
pub fn percentile(times: &Times, percent: u64) -> u64 {
    let wanted = times.count.saturating_mul(percent).div_ceil(100).max(1);
    let mut seen = 0u64;
    for (bits, count) in times.log2_ns.iter().enumerate() {
        seen += count;
        if seen >= wanted {
            let end = 1u64.checked_shl(bits as u32).unwrap_or(u64::MAX);
            return end.saturating_sub(1).min(times.max_ns);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(time: u64, xmit: u64, bucket: u64) -> Snapshot {
        format!(
            "rsoftnet 1\ntime_ns {time}\nbacklog cpu0 online 1 input_qlen 1\n\
             stage xmit all enable 1 count {xmit}\nstage xmit cpu0 enable 1 count {xmit}\n\
             latency poll all enable 1 count {bucket} sum_ns {bucket} max_ns 3 log2_ns 0 0 {bucket}\n\
             latency poll cpu0 enable 1 count {bucket} sum_ns {bucket} max_ns 3 log2_ns 0 0 {bucket}\n\
             end\n"
        )
        .parse()
        .unwrap()
    }

    #[test]
    fn differences() {
        let rates = Rates::between(&snapshot(0, 10, 1), &snapshot(500_000_000, 30, 5));
        assert_eq!(rates.stages[0].all["count"], 20);
        assert_eq!(rates.stages[0].per_second, 40.0);
        assert_eq!(rates.per_second(&rates.stages[0], 0), 40.0);
        assert_eq!(rates.latencies[0].all.log2_ns, [0, 0, 4]);
        assert_eq!(rates.latencies[0].all.count, 4);
    }

    #[test]
    fn reset_meanwhile() {
        let rates = Rates::between(&snapshot(0, 10, 9), &snapshot(1_000_000_000, 3, 2));
        assert_eq!(rates.stages[0].all["count"], 3);
        assert_eq!(rates.latencies[0].cpus[0].count, 2);
    }

    #[test]
    fn percentiles() {
        let times = Times {
            count: 100,
            sum_ns: 0,
            max_ns: 900,
            log2_ns: vec![0, 50, 0, 0, 49, 0, 0, 0, 0, 0, 1],
        };
        assert_eq!(percentile(&times, 50), 1);
        assert_eq!(percentile(&times, 51), 15);
        assert_eq!(percentile(&times, 100), 900);
        assert_eq!(percentile(&Times::default(), 50), 0);
    }
}
