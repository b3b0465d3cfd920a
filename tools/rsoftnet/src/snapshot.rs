// SPDX-License-Identifier: GPL-2.0

//! The text of the file `snapshot`.

use std::{
    collections::BTreeMap,
    str::{
        FromStr,
        SplitAsciiWhitespace, //
    }, //
};

use anyhow::{
    bail,
    Context,
    Error,
    Result, //
};
use serde::Serialize;

/// Names with numbers, in their order.
pub type Numbers = Vec<(String, u64)>;

/// What a stage, latency or backlog has, in total and by CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Of all CPUs.
    pub all: Numbers,
    /// Of each CPU.
    pub cpus: Vec<Numbers>,
}

/// A histogram with what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// How many.
    pub count: u64,
    /// Their sum, in nanoseconds.
    pub sum_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// How many there were from 2^(i-1) to 2^i - 1 ns.
    pub log2_ns: Vec<u64>,
}

/// A stage: whether it is on, and its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Whether it counts.
    pub enabled: bool,
    /// Its counters.
    pub rows: Rows,
}

/// A latency: whether it is on, its histogram in total and by CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Its name.
    pub name: String,
    /// Whether it is measured.
    pub enabled: bool,
    /// Of all CPUs.
    pub all: Times,
    /// Of each CPU.
    pub cpus: Vec<Times>,
}

/// Everything of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// When, by the monotonic clock.
    pub time_ns: u64,
    /// Which device and namespace are looked at, where there is a filter.
    pub filters: BTreeMap<String, String>,
    /// The queues of each CPU.
    pub backlog: Vec<Numbers>,
    /// In the order in which a packet comes by.
    pub stages: Vec<Stage>,
    /// In their order.
    pub latencies: Vec<Latency>,
    /// Drops by reason.
    pub reasons: BTreeMap<String, u64>,
    /// By stage, the CPU that does it and the one that it is done to.
    pub targets: Vec<(String, u32, u32, u64)>,
    /// Packets whose times were given up.
    pub unmatched: u64,
}

/// The value of a name; 0 if there is none.
pub fn number(numbers: &[(String, u64)], name: &str) -> u64 {
    numbers
        .iter()
        .find_map(|(key, value)| (key == name).then_some(*value))
        .unwrap_or(0)
}

fn word<'a>(words: &mut SplitAsciiWhitespace<'a>) -> Result<&'a str> {
    words.next().context("a line is too short")
}

fn value(words: &mut SplitAsciiWhitespace<'_>) -> Result<u64> {
    let word = word(words)?;
    word.parse().with_context(|| format!("{word} is no number"))
}

/// Of `cpu<N>`.
pub fn cpu_number(word: &str) -> Result<u32> {
    word.strip_prefix("cpu")
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("{word} is no CPU"))
}

/// The rest of a line: names and numbers.
fn numbers(words: &mut SplitAsciiWhitespace<'_>) -> Result<Numbers> {
    let mut found = Numbers::new();
    while let Some(name) = words.next() {
        found.push((name.to_owned(), value(words)?));
    }
    Ok(found)
}

impl Snapshot {
    fn line(&mut self, line: &str) -> Result<()> {
        let mut words = line.split_ascii_whitespace();
        match word(&mut words)? {
            "time_ns" => self.time_ns = value(&mut words)?,
            "filter" => {
                let (which, to) = (word(&mut words)?, word(&mut words)?);
                if to != "-" {
                    self.filters.insert(which.to_owned(), to.to_owned());
                }
            }
            "backlog" => {
                cpu_number(word(&mut words)?)?;
                self.backlog.push(numbers(&mut words)?);
            }
            "stage" => self.stage(&mut words)?,
            "latency" => self.latency(&mut words)?,
            "reason" => {
                let name = word(&mut words)?.to_owned();
                self.reasons.insert(name, value(&mut words)?);
            }
            "target" => {
                let stage = word(&mut words)?.to_owned();
                let source = cpu_number(word(&mut words)?)?;
                let target = cpu_number(word(&mut words)?)?;
                self.targets
                    .push((stage, source, target, value(&mut words)?));
            }
            "unmatched" => self.unmatched = value(&mut words)?,
            // New lines may be added.
            _ => {}
        }
        Ok(())
    }

    fn stage(&mut self, words: &mut SplitAsciiWhitespace<'_>) -> Result<()> {
        let (name, of) = (word(words)?.to_owned(), word(words)?);
        let mut found = numbers(words)?;
        let enabled = number(&found, "enable") != 0;
        found.retain(|(name, _)| name != "enable");
        if of == "all" {
            self.stages.push(Stage {
                name,
                enabled,
                rows: Rows {
                    all: found,
                    cpus: Vec::new(),
                },
            });
            return Ok(());
        }
        cpu_number(of)?;
        match self.stages.last_mut() {
            Some(stage) if stage.name == name => stage.rows.cpus.push(found),
            _ => bail!("a CPU's line of {name} is not behind that of all"),
        }
        Ok(())
    }

    fn latency(&mut self, words: &mut SplitAsciiWhitespace<'_>) -> Result<()> {
        let (name, of) = (word(words)?.to_owned(), word(words)?);
        let (mut times, mut enabled) = (Times::default(), false);
        loop {
            match word(words)? {
                "log2_ns" => break,
                "enable" => enabled = value(words)? != 0,
                "count" => times.count = value(words)?,
                "sum_ns" => times.sum_ns = value(words)?,
                "max_ns" => times.max_ns = value(words)?,
                _ => {
                    value(words)?;
                }
            }
        }
        for word in words {
            times.log2_ns.push(word.parse().context("a bucket")?);
        }
        if of == "all" {
            self.latencies.push(Latency {
                name,
                enabled,
                all: times,
                cpus: Vec::new(),
            });
            return Ok(());
        }
        cpu_number(of)?;
        match self.latencies.last_mut() {
            Some(latency) if latency.name == name => latency.cpus.push(times),
            _ => bail!("a CPU's line of {name} is not behind that of all"),
        }
        Ok(())
    }
}

/// The lines of a text between its first, which has to be `first`, and its last, "end".
pub fn lines_of<'a>(text: &'a str, first: &str) -> Result<impl Iterator<Item = &'a str>> {
    let mut lines = text.lines();
    match lines.next() {
        Some(line) if line == first => {}
        Some(line) => bail!("this program reads \"{first}\", the module writes \"{line}\""),
        None => bail!("\"{first}\": the text is empty"),
    }
    if lines.next_back() != Some("end") {
        bail!("\"{first}\": the text is not whole");
    }
    Ok(lines)
}

impl FromStr for Snapshot {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut snapshot = Self::default();
        for line in lines_of(text, "rsoftnet 1")? {
            snapshot.line(line).with_context(|| line.to_owned())?;
        }
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "rsoftnet 1\ntime_ns 77\nfilter device lo\nfilter netns -\n\
        backlog cpu0 online 1 input_qlen 3\nbacklog cpu1 online 0 input_qlen 0\n\
        stage xmit all enable 1 count 5\nstage xmit cpu0 enable 1 count 2\n\
        stage xmit cpu1 enable 1 count 3\nreason NO_SOCKET 4\n\
        target rps_ipi cpu0 cpu1 6\nsomething new 1\n\
        latency poll all enable 0 count 2 sum_ns 9 max_ns 5 log2_ns 0 0 0 2\n\
        latency poll cpu0 enable 0 count 2 sum_ns 9 max_ns 5 log2_ns 0 0 0 2\n\
        unmatched 8\nend\n";

    #[test]
    fn whole() {
        let seen: Snapshot = TEXT.parse().unwrap();
        assert_eq!(seen.time_ns, 77);
        assert_eq!(seen.filters.get("device").unwrap(), "lo");
        assert_eq!(seen.filters.get("netns"), None);
        assert_eq!(number(&seen.backlog[0], "input_qlen"), 3);
        assert_eq!(seen.stages.len(), 1);
        assert_eq!(number(&seen.stages[0].rows.cpus[1], "count"), 3);
        assert!(seen.stages[0].enabled && !seen.latencies[0].enabled);
        assert_eq!(seen.latencies[0].all.log2_ns, [0, 0, 0, 2]);
        assert_eq!(seen.reasons["NO_SOCKET"], 4);
        assert_eq!(seen.targets, [("rps_ipi".to_owned(), 0, 1, 6)]);
        assert_eq!(seen.unmatched, 8);
    }

    #[test]
    fn not_whole() {
        let cut = &TEXT[..TEXT.len() - 4];
        assert!(cut.parse::<Snapshot>().is_err());
        let newer = TEXT.replace("rsoftnet 1", "rsoftnet 2");
        let error = newer.parse::<Snapshot>().unwrap_err().to_string();
        assert!(error.contains("rsoftnet 2"), "{error}");
        for nonsense in [
            "stage xmit cpu0 count 1",
            "time_ns x",
            "backlog 1",
            "latency",
        ] {
            let text = format!("rsoftnet 1\n{nonsense}\nend\n");
            assert!(text.parse::<Snapshot>().is_err(), "{nonsense}");
        }
    }
}
