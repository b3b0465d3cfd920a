// SPDX-License-Identifier: GPL-2.0

//! The text of the file `log/events`.

use std::{
    collections::HashMap,
    str::FromStr, //
};

use anyhow::{
    Context,
    Error,
    Result, //
};

use crate::snapshot::{
    cpu_number,
    lines_of, //
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by the monotonic clock.
    pub time_ns: u64,
    /// On which CPU.
    pub cpu: u32,
    /// Where: the name of a stage.
    pub what: String,
    /// What there is to know besides, by name.
    pub more: HashMap<String, String>,
}

impl Event {
    /// A number among what there is to know.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.more.get(name)?.parse().ok()
    }

    /// A word among it.
    pub fn word(&self, name: &str) -> Option<&str> {
        self.more.get(name).map(String::as_str)
    }
}

/// All events, in the order of their times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Events that are not there any more.
    pub lost: u64,
    /// Those that are.
    pub events: Vec<Event>,
}

fn event(line: &str) -> Result<Event> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let mut next = || words.next().context("the line is too short");
    let (time, cpu, what) = (next()?, next()?, next()?);
    let mut more = HashMap::new();
    while let Some(name) = words.next() {
        let value = words.next().context("a name without a value")?;
        more.insert(name.to_owned(), value.to_owned());
    }
    Ok(Event {
        time_ns: time.parse().context("a time")?,
        cpu: cpu_number(cpu)?,
        what: what.to_owned(),
        more,
    })
}

impl FromStr for Log {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut log = Self::default();
        for line in lines_of(text, "rsoftnet-log 1")? {
            if let Some(lost) = line.strip_prefix("lost ") {
                log.lost = lost.parse().context("lost")?;
            } else if line.starts_with("event ") {
                log.events
                    .push(event(line).with_context(|| line.to_owned())?);
            }
        }
        // CPUs take their places in the log and look at the clock in any order.
        log.events.sort_by_key(|event| event.time_ns);
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order() {
        let text = "rsoftnet-log 1\nlost 2\n\
            event 30 cpu1 deliver packet 1 dev 1 len 92 protocol 2048 mark 7\n\
            event 20 cpu0 softirq_raise\nevent 25 cpu0 rps_ipi target cpu1\nend\n";
        let log: Log = text.parse().unwrap();
        assert_eq!(log.lost, 2);
        let order: Vec<_> = log.events.iter().map(|e| e.what.as_str()).collect();
        assert_eq!(order, ["softirq_raise", "rps_ipi", "deliver"]);
        assert_eq!(log.events[2].number("mark"), Some(7));
        assert_eq!(log.events[1].word("target"), Some("cpu1"));
        assert!("rsoftnet-log 1\nevent x cpu0 a\nend\n"
            .parse::<Log>()
            .is_err());
        assert!("rsoftnet-log 1\nevent 1 cpu0 a b\nend\n"
            .parse::<Log>()
            .is_err());
    }
}
